"""The report: JSON that is stable, and ids by volume."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.project.world import World, plan_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_the_document(tmp_path: Path) -> None:
    """Plain JSON with exact amounts, ids by volume, and the failure where there is one."""
    world = World()
    done = json.loads(json.dumps(world.apply(tmp_path).to_document()))
    assert done["exit_code"] == 0
    assert done["volumes"] == {disk.name.split("-")[0]: [disk.id] for disk in world.live}
    assert (done["usd_hr"], done["totals"]["limit_usd_hr"]) == ("0.03", "0.03")
    assert "error" not in done
    again = World()
    again.fault("ok", "422_stock")
    failed = json.loads(json.dumps(again.apply(tmp_path / "two").to_document()))
    assert failed["exit_code"] == 5
    assert failed["drift"]
    assert [slot["state"] for slot in failed["slots"]] == ["created", "refused"]


def test_a_disk_that_failed_is_named_with_its_price(tmp_path: Path) -> None:
    """ERROR: recorded, counted, and the command that deletes it is shown."""
    world = World()
    world.fault("made_error")
    report = world.apply(tmp_path, plan_of(1))
    (disk,) = world.live
    assert str(report.usd_hr) == "0.0100"
    assert f"planner destroy lab --id {disk.id}" in " ".join(report.warnings)
