"""Doctor: every check made that can be made, none that changes anything."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import Defect, InputError, MarketError, StateUnusable
from planner.marketplace.sim.local import Sim
from planner.project import doctor as machine
from planner.project.context import Pace
from planner.project.doctor import Check, DoctorReport, examine, failed, ok, skipped, warning
from planner.project.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

QUICK = Pace(settle_s=0.1)


@pytest.fixture
def sim() -> Iterator[Sim]:
    with Sim() as market:
        yield market


def looked(
    tmp_path: Path, environ: Mapping[str, str], pace: Pace = QUICK, state: str = "state"
) -> dict[str, Check]:
    """Return all checks by name; none shows the key."""
    found = examine(environ, tmp_path, tmp_path / state, pace)
    key = environ.get("PRIME_API_KEY", "an absent key")
    assert key not in json.dumps(found.to_document())
    return {one.name: one for one in found.checks} | {"": Check("", "ok", str(found.exit_code))}


def states(checks: Mapping[str, Check], state: str) -> set[str]:
    return {name for name, check in checks.items() if check.state == state}


def test_all_in_order(sim: Sim, tmp_path: Path) -> None:
    """Only what would cost money is skipped; only reads are sent, and nothing is made."""
    sim.add_disk(size=100, usd_hr="0.5")
    found = looked(tmp_path, sim.environ)
    assert states(found, "ok") == set(found) - {"disks_write"}
    assert found[""].says == "0"
    assert found["runway"].facts["usd_hr"] == "0.5"
    assert float(found["runway"].facts["hours_left"]) == pytest.approx(2000, abs=1)
    assert found["market_disks"].facts["rows"] == 13
    assert found["market_gpus"].facts["rows"] == 9
    assert found["solver"].says.startswith("HiGHS proved")
    assert found["versions"].facts["planner"] != "not installed"
    assert {entry["method"] for entry in sim.audit()} == {"GET"}
    assert not (tmp_path / "state").exists()


def test_a_key_that_may_read_offers_only(sim: Sim, tmp_path: Path) -> None:
    """Enough to plan: what else it may not read is a warning, and the clock is still told."""
    found = looked(tmp_path, {**sim.environ, "PRIME_API_KEY": "sim-read"})
    assert states(found, "warning") == {"disks_read", "wallet_read"}
    assert states(found, "skipped") == {"disks_write", "runway"}
    assert found["clock"].state == "ok"
    assert found[""].says == "0"


def test_without_a_wallet(sim: Sim, tmp_path: Path) -> None:
    """The run-rate is known, and how long it lasts is not."""
    found = looked(tmp_path, {**sim.environ, "PRIME_API_KEY": "sim-no-wallet"})
    assert states(found, "warning") == {"wallet_read"}
    assert "balance unknown" in found["runway"].says


def test_no_key(sim: Sim, tmp_path: Path) -> None:
    """What needs none is checked, and where a key would go is said; nobody is asked."""
    found = looked(tmp_path, {"PRIME_API_BASE_URL": sim.base_url})
    assert states(found, "failed") == {"credentials"}
    assert states(found, "ok") >= {"base_url", "state_directory", "solver", "versions"}
    assert found[""].says == "2"
    assert sim.audit() == []


def test_a_key_that_is_not_known(sim: Sim, tmp_path: Path) -> None:
    """Said once, with its code; the clock is told all the same."""
    found = looked(tmp_path, {**sim.environ, "PRIME_API_KEY": "no-such-key"})
    assert states(found, "failed") == {"key"}
    assert found["clock"].state == "ok"
    assert found[""].says == "4"
    assert len(sim.audit()) == 3


def test_nobody_there(tmp_path: Path) -> None:
    """One failure, not one for each thing that could have been asked."""
    environ = {"PRIME_API_KEY": "made-up", "PRIME_API_BASE_URL": "http://127.0.0.1:9"}
    found = looked(tmp_path, environ)
    assert states(found, "failed") == {"key"}
    assert found[""].says == "4"


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"PRIME_API_KEY": ""}, "credentials"),
        ({"PRIME_API_KEY": "made-up", "PRIME_API_BASE_URL": "http://example.com"}, "credentials"),
        ({"PRIME_API_KEY": "made-up", "PRIME_CONTEXT": "none-such"}, "credentials"),
    ],
)
def test_settings_that_cannot_be_used(variables: dict[str, str], name: str, tmp_path: Path) -> None:
    """Empty, in the clear, or not there: exit 2."""
    found = examine(variables, tmp_path, tmp_path, QUICK)
    assert [one.name for one in found.checks if one.state == "failed"] == [name]
    assert found.exit_code == 2


def test_where_the_key_was_found(sim: Sim, tmp_path: Path) -> None:
    """The environment, the vendor's file, or a context of it."""
    folder = tmp_path / ".prime" / "environments"
    folder.mkdir(parents=True)
    settings = json.dumps({"api_key": sim.key, "base_url": sim.base_url, "team_id": "team-9"})
    (tmp_path / ".prime" / "config.json").write_text(settings)
    (folder / "work.json").write_text(settings)
    assert "PRIME_API_KEY" in looked(tmp_path, sim.environ)["credentials"].says
    from_file = looked(tmp_path, {})
    assert from_file["credentials"].facts == {"source": "~/.prime/config.json", "team_id": "team-9"}
    assert from_file["base_url"].facts["source"] == "~/.prime/config.json"
    assert "context work" in looked(tmp_path, {"PRIME_CONTEXT": "work"})["credentials"].says
    assert sim.key not in str([one.says for one in from_file.values()])


@pytest.mark.parametrize(("seconds", "state"), [(20, "ok"), (3600, "warning"), (-3600, "warning")])
def test_a_clock_that_is_wrong(sim: Sim, seconds: int, state: str, tmp_path: Path) -> None:
    """Half a minute is let pass, an hour is not; ahead and behind are told apart."""
    off = timedelta(seconds=seconds)
    pace = Pace(settle_s=0.1, now=lambda: datetime.now(UTC) + off)
    check = looked(tmp_path, sim.environ, pace)["clock"]
    assert check.state == state
    assert check.facts["skew_s"] == pytest.approx(seconds, abs=3)
    assert ("ahead of" if seconds > 0 else "behind") in check.says


@pytest.mark.parametrize(("balance", "state"), [("0", "warning"), ("71", "warning"), ("80", "ok")])
def test_a_wallet_that_runs_out(balance: str, state: str, tmp_path: Path) -> None:
    """Nothing left, or less than three days."""
    with Sim(clock_speed=0, now=datetime.now(UTC), balance_usd=balance) as sim:
        sim.add_disk(usd_hr=1)
        assert looked(tmp_path, sim.environ)["runway"].state == state


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("GET /availability/disks:list-short-total", "market_disks"),
        ("GET /availability/gpus:garbage", "market_gpus"),
        ("GET /disks/#2-:list-dup", "runway"),
        ("GET /billing/wallet#2-:garbage", "runway"),
    ],
)
def test_what_cannot_be_read_whole_is_four(fault: str, name: str, tmp_path: Path) -> None:
    """Each check on its own: the others are still made."""
    with Sim(faults=[fault]) as sim:
        sim.add_disk()
        found = looked(tmp_path, sim.environ)
    assert states(found, "failed") == {name}
    assert found[""].says == "4"


def damage(folder: Path, how: str) -> None:
    if how == "a file":
        folder.write_text("")
        return
    folder.mkdir(mode=0o700)
    if how == "nonsense":
        (folder / "journal.jsonl").write_text("nonsense\nmore\n")
    if how == "a link":
        (folder / "journal.jsonl").symlink_to(folder / "elsewhere")
    if how == "another version":
        with Journal(folder, write=True) as journal:
            journal.append("from the future")


@pytest.mark.parametrize("how", ["a file", "nonsense", "a link", "another version"])
def test_a_state_that_cannot_be_used_is_eight(how: str, tmp_path: Path) -> None:
    """The gravest code wins over the missing key."""
    damage(tmp_path / "state", how)
    found = looked(tmp_path, {})
    assert states(found, "failed") == {"credentials", "state_directory"}
    assert found[""].says == "8"


def test_rights_that_others_have(tmp_path: Path) -> None:
    """A warning, and nothing is changed by looking."""
    with Journal(tmp_path / "state", write=True):
        pass
    (tmp_path / "state").chmod(0o755)
    found = machine.state_checks(tmp_path / "state")
    assert [one.state for one in found] == ["warning", "ok", "ok"]
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o755


def test_what_is_in_doubt(tmp_path: Path) -> None:
    """It is named, and so is the way out."""
    facts: dict[str, Any] = {
        "name": "corpus-1",
        "size_gb": 100,
        "provider": "runpod",
        "cloud_id": None,
        "data_center": None,
        "country": None,
        "usd_hr": "0.01",
    }
    with Journal(tmp_path / "state", write=True) as journal:
        journal.append(
            "intent",
            name="corpus-1",
            plan="p",
            project="tour",
            volume="corpus",
            replica=1,
            disk=1,
            facts=facts,
            body="digest",
            sends=1,
            baseline=[],
            server_at=None,
        )
        check = machine.state_checks(tmp_path / "state")[-1]  # a run that holds the lock is no harm
    assert (check.name, check.state) == ("pending", "warning")
    assert check.facts == {"names": ["corpus-1"]}
    assert "planner resolve" in (check.do or "")


def test_a_solver_that_is_not_there_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, broken and mistaken are told apart."""

    def raises(error: Exception) -> Any:
        def tiny() -> Any:
            raise error

        return tiny

    monkeypatch.setattr(machine, "_tiny", raises(InputError("none", hint="install it")))
    assert machine.solver_check().state == "failed"
    monkeypatch.setattr(machine, "_tiny", raises(OSError("exec format")))
    assert (machine.solver_check().state, machine.solver_check().exit_code) == ("failed", 1)
    monkeypatch.setattr(machine, "_tiny", raises(Defect("contradicts itself")))
    assert machine.solver_check().says == "contradicts itself"
    monkeypatch.undo()
    monkeypatch.setattr(machine, "_LEAST", machine._LEAST * 2)
    assert machine.solver_check().state == "failed"


def test_the_code_is_that_of_the_gravest() -> None:
    """Warnings and what was skipped cost nothing."""
    calm = (ok("a", ""), warning("b", "", ""), skipped("c", ""))
    assert DoctorReport(calm).exit_code == 0
    worst = [failed("d", error) for error in (InputError("x"), MarketError("x"))]
    assert DoctorReport((*calm, *worst)).exit_code == 4
    assert DoctorReport((*worst, failed("e", StateUnusable("x")))).exit_code == 8
