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
from tests.market.rows import disk
from tests.market.test_history_file import record

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
    checks = examine(environ, tmp_path, tmp_path / state, pace)
    key = environ.get("PRIME_API_KEY", "an absent key")
    assert key not in json.dumps(checks.to_document())
    return {one.name: one for one in checks.checks} | {"": Check("", "ok", str(checks.exit_code))}


def states(checks: Mapping[str, Check], state: str) -> set[str]:
    return {name for name, check in checks.items() if check.state == state}


@pytest.mark.slow
def test_all_in_order(sim: Sim, tmp_path: Path) -> None:
    """Only what would cost money is skipped; only reads are sent, and nothing is made."""
    sim.add_disk(size=100, usd_hr="0.5")
    checks = looked(tmp_path, sim.environ)
    assert states(checks, "ok") == set(checks) - {"disks_write"}
    assert checks[""].says == "0"
    assert checks["runway"].facts["usd_hr"] == "0.5"
    assert float(checks["runway"].facts["hours_left"]) == pytest.approx(2000, abs=1)
    assert checks["market_disks"].facts["rows"] == 13
    assert checks["market_gpus"].facts["rows"] == 9
    assert checks["solver"].says.startswith("HiGHS proved")
    assert checks["versions"].facts["planner"] != "not installed"
    assert {entry["method"] for entry in sim.audit()} == {"GET"}
    assert not (tmp_path / "state").exists()


def test_a_key_that_may_read_offers_only(sim: Sim, tmp_path: Path) -> None:
    """Enough to plan: what else it may not read is a warning, and the clock is still checked."""
    checks = looked(tmp_path, {**sim.environ, "PRIME_API_KEY": "sim-read"})
    assert states(checks, "warning") == {"disks_read", "wallet_read"}
    assert states(checks, "skipped") == {"disks_write", "runway"}
    assert checks["clock"].state == "ok"
    assert checks[""].says == "0"


@pytest.mark.slow
def test_without_a_wallet(sim: Sim, tmp_path: Path) -> None:
    """The run-rate is known, and how long it lasts is not."""
    checks = looked(tmp_path, {**sim.environ, "PRIME_API_KEY": "sim-no-wallet"})
    assert states(checks, "warning") == {"wallet_read"}
    assert "balance unknown" in checks["runway"].says


def test_no_key(sim: Sim, tmp_path: Path) -> None:
    """What needs none is checked, and where a key would go is said; nothing is asked."""
    checks = looked(tmp_path, {"PRIME_API_BASE_URL": sim.base_url})
    assert states(checks, "failed") == {"credentials"}
    assert states(checks, "ok") >= {"base_url", "state_directory", "solver", "versions"}
    assert checks[""].says == "2"
    assert sim.audit() == []


def test_a_key_that_is_not_known(sim: Sim, tmp_path: Path) -> None:
    """Said once, with its code; the clock is checked all the same."""
    checks = looked(tmp_path, {**sim.environ, "PRIME_API_KEY": "no-such-key"})
    assert states(checks, "failed") == {"key"}
    assert checks["clock"].state == "ok"
    assert checks[""].says == "4"
    assert len(sim.audit()) == 3


def test_nobody_there(tmp_path: Path) -> None:
    """One failure, not one for each thing that could have been asked."""
    environ = {"PRIME_API_KEY": "made-up", "PRIME_API_BASE_URL": "http://127.0.0.1:9"}
    checks = looked(tmp_path, environ)
    assert states(checks, "failed") == {"key"}
    assert checks[""].says == "4"


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
    checks = examine(variables, tmp_path, tmp_path, QUICK)
    assert [one.name for one in checks.checks if one.state == "failed"] == [name]
    assert checks.exit_code == 2


@pytest.mark.slow
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


@pytest.mark.sweep
@pytest.mark.parametrize(("seconds", "state"), [(20, "ok"), (3600, "warning"), (-3600, "warning")])
def test_a_clock_that_is_wrong(sim: Sim, seconds: int, state: str, tmp_path: Path) -> None:
    """Half a minute is let pass, an hour is not; ahead and behind are distinguished."""
    off = timedelta(seconds=seconds)
    pace = Pace(settle_s=0.1, now=lambda: datetime.now(UTC) + off)
    check = looked(tmp_path, sim.environ, pace)["clock"]
    assert check.state == state
    assert check.facts["skew_s"] == pytest.approx(seconds, abs=3)
    assert ("ahead of" if seconds > 0 else "behind") in check.says


@pytest.mark.sweep
@pytest.mark.parametrize(("balance", "state"), [("0", "warning"), ("71", "warning"), ("80", "ok")])
def test_a_wallet_that_runs_out(balance: str, state: str, tmp_path: Path) -> None:
    """Nothing left, or less than three days."""
    with Sim(clock_speed=0, now=datetime.now(UTC), balance_usd=balance) as sim:
        sim.add_disk(usd_hr=1)
        assert looked(tmp_path, sim.environ)["runway"].state == state


@pytest.mark.sweep
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
        checks = looked(tmp_path, sim.environ)
    assert states(checks, "failed") == {name}
    assert checks[""].says == "4"


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


@pytest.mark.sweep
@pytest.mark.parametrize("how", ["a file", "nonsense", "a link", "another version"])
def test_a_state_that_cannot_be_used_is_eight(how: str, tmp_path: Path) -> None:
    """The gravest code wins over the missing key."""
    damage(tmp_path / "state", how)
    checks = looked(tmp_path, {})
    assert states(checks, "failed") == {"credentials", "state_directory"}
    assert checks[""].says == "8"


def test_rights_that_others_have(tmp_path: Path) -> None:
    """A warning, and nothing is changed by looking."""
    with Journal(tmp_path / "state", write=True):
        pass
    (tmp_path / "state").chmod(0o755)
    checks = machine.state_checks(tmp_path / "state")
    assert [one.state for one in checks] == ["warning", "ok", "ok", "ok"]
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("spoil", ["start", "middle", "half"])
def test_a_damaged_history_is_a_warning(tmp_path: Path, spoil: str) -> None:
    """Wherever the file is damaged it is named, with what to do; no purchase depends on it."""
    record(tmp_path, *(disk(provider=f"p{n}") for n in range(200)))
    with Journal(tmp_path, write=True):
        pass

    def checked() -> machine.Check:
        return next(one for one in machine.state_checks(tmp_path) if one.name == "history")

    assert (checked().state, checked().facts) == ("ok", {"listings": 1})
    path = tmp_path / "history.sqlite"
    content = path.read_bytes()
    at = {"start": 0, "middle": len(content) // 2, "half": len(content)}[spoil]
    path.write_bytes((content[:at] + b"\xff" * 4096 + content[at + 4096 :])[: len(content)])
    if spoil == "half":
        path.write_bytes(content[: len(content) // 2])
    assert (checked().state, str(path) in checked().says) == ("warning", True)
    assert "move it away" in (checked().do or "")


def test_what_is_in_doubt(tmp_path: Path) -> None:
    """It is named, with what to do."""
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
    """Missing, broken and wrong are distinguished."""

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
