"""Plan files of other versions: what an older planner wrote loads, what a newer one adds stays."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.errors import PlanCorrupt, PlanInvalid, PlanVersionUnknown
from planner.plans.explain import explain
from planner.plans.file import FORMAT, Records, read, write
from planner.plans.plan import Plan
from tests.shipped_plans import research

if TYPE_CHECKING:
    from collections.abc import Callable

OLD = {path.stem: path for path in sorted((Path(__file__).parents[1] / "data").glob("plan-1-*"))}
COSTS = {
    "plan-1-existing": "177.54",
    "plan-1-finetune": "604.66",
    "plan-1-research": "1340.51",
}


@pytest.mark.sweep
@pytest.mark.parametrize("name", OLD)
def test_a_plan_of_format_1_loads_and_is_used_like_any_other(name: str) -> None:
    """Written by the version before: it costs what it said, explains itself and is reported."""
    plan = Plan.load(OLD[name])
    stated = json.loads(OLD[name].read_text())
    assert plan.plan_id == stated["plan_id"]
    assert plan.digest == stated["digest"]
    assert round(Decimal(plan.exact_totals["usd_month"]), 2) == Decimal(COSTS[name])
    assert len(explain(plan, exact=True).choices) == len(plan.placements)
    assert {line.volume for line in planner.report(plan).lines} >= {plan.placements[0].volume}


def test_a_volume_that_is_nothing_out_of_the_ordinary_is_read_back(tmp_path: Path) -> None:
    """Whatever its name and size are, they are read: they have no default."""
    demand = planner.demand_from({"version": 1, "volumes": [{"name": "any", "size_gb": 1}]})
    made = planner.plan(demand, planner.read_offers("shipped:disk-offers"))
    made.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json").demand == demand


@pytest.mark.parametrize("count", [0, 1, 2500])
def test_a_file_written_record_by_record_is_the_same_file(count: int) -> None:
    """Each record has a line of its own, and the digest is that of all other bytes."""
    rows = [{"volume": f"v-{n}", "sizes": [n, n]} for n in range(count)]
    document = {
        "plan_id": "a",
        "rows": rows,
        "market": {"offers": rows, "gpus": []},
        "names": ["b"],
    }
    file = write(document)
    text = file.text
    streamed = {"offers": iter(rows), "gpus": iter([])}
    assert write({**document, "rows": iter(rows), "market": streamed}).text == text
    written = json.loads(text)
    digest = written.pop("digest")
    assert written == {"format": FORMAT, **document}
    assert file.digest == digest
    assert hashlib.sha256(text.replace(digest, "", 1).encode()).hexdigest() == digest
    assert text.count("\n") == 2 * count + (2 if count else 0) + 11


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_records_of_a_file_are_read_as_often_as_they_are_asked_for(count: int) -> None:
    """A list with a record for each volume is never whole in memory; any other list is."""
    rows = [{"volume": f"v-{n}", "text": "},\n  {", "sizes": [n, n]} for n in range(count)]
    lists = {"placements": rows, "requests": rows, "demand": {"volumes": rows, "groups": rows}}
    file = write({"plan_id": "[\n  {", **lists})
    document, again = read(b"".join(file), "plan.json")
    for listed in (document["placements"], document["requests"], document["demand"]["volumes"]):
        assert isinstance(listed, Records if count else list)
        assert [*listed] == [*listed] == rows
    assert document["demand"]["groups"] == rows
    assert (document["plan_id"], again.text) == ("[\n  {", file.text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"},\n  {", b"}, 5,\n  {"),
        (b"},\n  {", b"},\n  {}{"),
        (b"}\n],", b"}\n, 5],"),
        (b"}\n],", b"}\n,"),
        (b"corpus", b"corp\xc3\xa9"),
    ],
)
def test_a_whole_file_in_another_layout_is_refused(old: bytes, new: bytes, tmp_path: Path) -> None:
    """A digest that fits makes no plan of what planner does not write."""
    path, digest = tmp_path / "plan.json", research().digest.encode()
    content = research().to_json().encode().replace(digest, b"", 1)
    assert old in content
    changed = content.replace(old, new)
    stated = b'"digest": "' + hashlib.sha256(changed).hexdigest().encode()
    path.write_bytes(changed.replace(b'"digest": "', stated, 1))
    with pytest.raises(PlanCorrupt):
        Plan.load(path)


@pytest.mark.sweep
@pytest.mark.parametrize("name", OLD)
def test_a_plan_of_format_1_is_saved_in_format_2(name: str, tmp_path: Path) -> None:
    """The same decision under the same id, which loads like any other."""
    old, path = Plan.load(OLD[name]), tmp_path / "plan.json"
    old.save(path)
    new = Plan.load(path)
    assert json.loads(path.read_text())["format"] == FORMAT
    assert (new, new.plan_id) == (old, old.plan_id)


@pytest.mark.sweep
@pytest.mark.parametrize("name", OLD)
def test_a_plan_of_format_1_with_a_byte_changed_is_refused(name: str, tmp_path: Path) -> None:
    """Its own digest and its own layout are held, whatever today's code would write."""
    content, path = OLD[name].read_bytes(), tmp_path / "plan.json"
    for place in range(0, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises((PlanCorrupt, PlanVersionUnknown)):
            Plan.load(path)


def _resealed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a plan as another version would: other content, a digest that fits."""
    document = research().to_document()
    change(document)
    stated = {k: v for k, v in document.items() if k not in {"format", "digest"}}
    path.write_text(write(stated).text)
    return path


@pytest.mark.slow
def test_fields_that_a_newer_planner_adds_are_kept_and_ignored(tmp_path: Path) -> None:
    """Wherever they stand in the document: the plan loads, is used, and is saved as it was."""

    def add(document: dict[str, Any]) -> None:
        document["months_later"] = [{"month": 3}]
        parts = ("placements", "requests")
        for place in (document["totals"], document["solver"], *(document[p][0] for p in parts)):
            place["added_later"] = {"deep": [1, None]}
        document["market"]["offers"][0]["added_later"] = "x"
        document["demand"]["volumes"][0]["added_later"] = None
        document["demand"]["policy"]["added_later"] = 1
        for name, rows in document["market"].items():
            if name in document["inputs"]:
                document["inputs"][name]["digest"] = _digest(rows)
        asked = {k: v for k, v in document["demand"].items() if k != "project"}
        document["inputs"]["demand"]["digest"] = _digest(asked)
        document["plan_id"] = _id(document)

    path = _resealed(tmp_path / "plan.json", add)
    plan = Plan.load(path)
    assert plan.exact_totals == research().exact_totals
    plan.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_row_without_a_column_of_today_is_read_as_unknown(tmp_path: Path) -> None:
    """A column that this version has and the file's writer had not is missing, not a defect."""

    def forget(document: dict[str, Any]) -> None:
        for row in document["market"]["offers"]:
            del row["default_included"]
        document["inputs"]["offers"]["digest"] = _digest(document["market"]["offers"])
        document["plan_id"] = _id(document)

    plan = Plan.load(_resealed(tmp_path / "plan.json", forget))
    assert plan.market.offers["default_included"].isna().all()


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("totals", {"usd_month": "1"}),
        ("limit_usd_hr", "0.1"),
        ("requests", []),
        ("placements", []),
        ("plan_id", "0" * 16),
    ],
)
def test_what_does_not_follow_from_the_decision_is_refused(
    key: str, change: Any, tmp_path: Path
) -> None:
    """A digest that fits does not make a total, a request or a placement true."""

    def forge(document: dict[str, Any]) -> None:
        old = document[key]
        document[key] = {**old, **change} if isinstance(old, dict) else change

    with pytest.raises(PlanInvalid):
        Plan.load(_resealed(tmp_path / "plan.json", forge))


@pytest.mark.slow
def test_the_digest_is_that_of_the_stored_bytes(tmp_path: Path) -> None:
    """It is the SHA-256 of the file without the digest; saving a loaded plan keeps it."""
    plan, path = research(), tmp_path / "plan.json"
    plan.save(path)
    content = path.read_text()
    assert plan.digest == hashlib.sha256(content.replace(plan.digest, "").encode()).hexdigest()
    assert Plan.load(path).digest == plan.digest
    assert replace(Plan.load(path), nonce="other").digest != plan.digest


def test_a_file_has_a_record_a_line() -> None:
    """A changed price is one changed line."""
    plan = research()
    lines = plan.to_json().splitlines()
    assert lines[1] == f'"format": "{FORMAT}",'
    for one in plan.placements:
        start = f'  {{"volume": "{one.volume}", "replica": {one.replica}, "action"'
        assert sum(line.startswith(start) for line in lines) == 1
    assert sum('"usd_gb_hr"' in line for line in lines) == len(plan.placements) + len(
        plan.market.offer_rows
    )


def _id(document: dict[str, Any]) -> str:
    asked = {k: v for k, v in document["demand"].items() if k != "project"}
    rows = [document["market"][name] for name in ("offers", "gpus", "disks")]
    return _digest([asked, *rows, document["placements"], document["gpus"]])[:16]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
