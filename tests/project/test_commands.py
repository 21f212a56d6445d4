"""The functions that touch the account, on a marketplace of this machine."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

import planner

if TYPE_CHECKING:
    from pathlib import Path

DEMAND = {"version": 1, "project": "tour", "volumes": [{"name": "a", "size": "100 GB"}]}


@pytest.mark.slow
def test_a_project_lives_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bought once with the plan's id, seen, renamed, and deleted with the project's name."""
    monkeypatch.setenv("PLANNER_SETTLE", "2")
    state = tmp_path / "state"
    with planner.Sim(provisioning_s=0) as sim:
        key = planner.Credentials(SecretStr(sim.key), sim.base_url)
        target: dict[str, str | None] = {"base_url": sim.base_url, "team_id": None}
        plan = planner.plan(DEMAND, planner.fetch_offers(key), target=target)
        with pytest.raises(planner.InputError, match="not confirmed") as caught:
            planner.apply(plan, credentials=key, state=state)
        assert plan.plan_id in (caught.value.hint or "")
        planner.apply(plan, dry_run=True, credentials=key, state=state)
        assert planner.fetch_holdings(key).disks.empty
        with pytest.raises(planner.PlannerError, match="disks would cost"):
            planner.apply(
                plan, confirm=plan.plan_id, max_usd_hr=0.0001, credentials=key, state=state
            )
        for _ in range(2):
            done = planner.apply(plan, confirm=plan.plan_id, credentials=key, state=state)
            assert done.usd_hr == Decimal(str(plan.totals["disk_usd_hr"]))
        (disk,) = planner.status("tour", credentials=key, state=state).disks
        assert (disk.entry.volume, disk.condition) == ("a", "in order")
        planner.rename(disk.entry.ids[0], "corpus", credentials=key, state=state)
        assert planner.fetch_holdings(key).disks["name"].tolist() == ["corpus"]
        assert disk.entry.ids[0] in planner.adopt(credentials=key, state=state)
        with pytest.raises(planner.InputError, match="superseded"):
            planner.retire("tour", confirm="tour", credentials=key, state=state)
        with pytest.raises(planner.InputError, match="not confirmed"):
            planner.destroy("tour", confirm="other", credentials=key, state=state)
        (gone,) = planner.destroy("tour", confirm="tour", credentials=key, state=state)
        assert gone.entry.ids == disk.entry.ids
        assert planner.fetch_holdings(key).disks.empty
        with pytest.raises(planner.InputError, match="exactly one"):
            planner.resolve("a/1/1", credentials=key, state=state)


@pytest.mark.slow
def test_doctor_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key this machine is checked."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PRIME_API_KEY", raising=False)
    states = {check.name: check.state for check in planner.doctor(state=tmp_path / "s").checks}
    assert states["solver"] == "ok"
    assert states["credentials"] == "failed"
