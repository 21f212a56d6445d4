"""The report: JSON that is stable, ids by volume, and the lines that rent GPUs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from planner.project.outcome import pod_lines
from tests.project.world import World, plan_of

if TYPE_CHECKING:
    from pathlib import Path

GPU = {
    "workload": "train",
    "offer_id": "abc123",
    "provider": "runpod",
    "data_center": "US-1",
    "country": "US",
}


def lines(report: Any, **change: Any) -> tuple[str, ...]:
    document = {
        "demand": {"workloads": [{"name": "train", "mounts": ["v1", "v2"]}]},
        "gpus": [{**GPU, **change}],
    }
    return pod_lines(document, report.rows)


def test_the_line_that_rents_gpus(tmp_path: Path) -> None:
    """The vendor's words, each disk with its own --disks; only where the disks are."""
    world = World()
    report = world.apply(tmp_path)
    one, two = (disk.id for disk in world.live)
    words = f"prime pods create --id abc123 --name train --disks {one} --disks {two}"
    assert lines(report) == (words,)
    assert lines(report, country=None) == (words,)
    assert lines(report, data_center=None) == (words,)  # unconfirmed, and the plan said so
    assert lines(report, data_center="US-2") == ()
    assert lines(report, data_center=None, provider="other") == ()
    assert lines(report, workload="idle") == ("prime pods create --id abc123 --name idle",)


def test_no_line_for_what_is_not_there(tmp_path: Path) -> None:
    """A workload whose second volume is pending is not offered."""
    world = World()
    world.fault("ok", "lost_before")
    assert lines(world.apply(tmp_path)) == ()


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
