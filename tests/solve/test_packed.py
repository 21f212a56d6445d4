"""Volumes that share a disk where a pod cannot mount one for each: the optimum, and its check."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from planner.demand.read import demand_from
from planner.errors import Infeasible
from planner.market.gpus import gpus_frame
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve.optimise import Solution, optimise
from planner.solve.verify import verify
from tests.market.rows import disk, gpu
from tests.solve import packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from planner.demand.model import Demand
    from planner.solve.solution import Placement

Frames = tuple["Demand", "pd.DataFrame", "pd.DataFrame"]


def _frames(document: dict[str, Any], rows: list[Any], gpus: list[Any]) -> Frames:
    return demand_from(document), addressable(offers_frame(rows)), gpus_frame(gpus)


def _result(frames: Frames, *, full: bool = False) -> tuple[Fraction, int] | None:
    """Return cost and replicas that share a disk for jobs, of a plan that passes its check."""
    demand, offers, gpus = frames
    try:
        solution = optimise(demand, offers, gpus, full=full)
    except Infeasible:
        return None
    assert not _wrong(frames, solution)
    disks = sum((Fraction(p.usd_hr) for p in solution.placements), Fraction(0)) * 730
    jobs = [Fraction(g.usd_hr_on) * g.hours_per_month for g in solution.gpus]
    shared = solution.instance.pairs.shared.values()
    groups = {each.members for each in shared if each.by_group}
    for_jobs = [p for p in solution.placements if p.disk_group and p.disk_group not in groups]
    return disks + sum(jobs, Fraction(0)), len(for_jobs)


def _wrong(
    frames: Frames, solution: Solution, placements: tuple[Placement, ...] | None = None
) -> tuple[str, ...]:
    chosen = solution.placements if placements is None else placements
    return verify(frames[0], frames[1], chosen, gpus=frames[2], rented=solution.gpus)


def _held_against_everything(seeds: range, *, full: bool = False) -> tuple[int, int]:
    feasible = shared = 0
    for seed in seeds:
        demand, rows, gpus = packed.instance(random.Random(seed))
        expected = packed.best(demand, rows, gpus)
        assert (seed, _result(_frames(demand, rows, gpus), full=full)) == (seed, expected)
        feasible += expected is not None
        shared += expected is not None and expected[1] > 0
    return feasible, shared


@pytest.mark.slow
def test_many_instances_against_everything_that_can_be_tried() -> None:
    """Half of them have a plan, and in some of these volumes share a disk."""
    feasible, shared = _held_against_everything(range(80))
    assert feasible > 30
    assert shared > 5


@pytest.mark.slow
def test_the_full_program_says_the_same() -> None:
    _held_against_everything(range(150, 175), full=True)


# One job, two volumes, one provider whose pods can mount one disk.

SIZES = {"a": 100, "b": 250, "c": 301}


def _job(
    *mounts: str, policy: Any = None, spec: Any = None, groups: Any = (), **fields: Any
) -> Any:
    document = {
        "version": 1,
        "volumes": [{"name": name, "size_gb": gb, **fields} for name, gb in SIZES.items()],
        "workloads": [{"name": "job", "gpu": "H100_80GB", "mounts": [*mounts]}] if mounts else [],
        "groups": list(groups),
        "policy": {"attach_limits": {"alpha": 1}, **(policy or {})},
    }
    return _frames(document, [disk(spec=spec)], [gpu()])


def _placed(frames: Frames) -> tuple[Placement, ...]:
    solution = optimise(*frames)
    assert not _wrong(frames, solution)
    return solution.placements


def test_volumes_of_a_pod_that_mounts_one_disk_share_it() -> None:
    """Each pays for its own GB; the largest for what rounding to the offer's step adds."""
    a, b, c = _placed(_job("a", "b", spec={"step": 100}))
    assert a.disk_group == b.disk_group == ("a", "b")
    assert c.disk_group is None
    assert (a.disk_sizes_gb, b.disk_sizes_gb) == ((400,), (400,))
    assert (a.provision_gb, b.provision_gb) == (100, 300)
    assert a.usd_hr + b.usd_hr == 400 * a.usd_gb_hr
    assert (a.leads, b.leads) == (True, False)


@pytest.mark.slow
def test_no_more_volumes_share_than_have_to() -> None:
    """A pod that mounts two disks has three volumes on them, and the one alone costs the same."""
    placed = _placed(_job("a", "b", "c", policy={"attach_limits": {"alpha": 2}}))
    assert [p.disk_group for p in placed].count(None) == 1
    assert not any(p.disk_group for p in _placed(_job("a", "b", policy={"attach_limits": {}})))


def test_packing_can_be_ruled_out() -> None:
    with pytest.raises(Infeasible):
        optimise(*_job("a", "b", policy={"packing": "never"}))


def test_one_disk_holds_what_shares_it() -> None:
    """A disk of at most 300 GB holds neither 350 GB nor, of one volume, half."""
    with pytest.raises(Infeasible):
        optimise(*_job("a", "b", spec={"maxCount": 300}, max_disks=2))
    with pytest.raises(Infeasible):
        optimise(*_job("c", spec={"maxCount": 300}, max_disks=2))


def test_a_group_shares_its_disk_without_any_job() -> None:
    groups = [{"volumes": ["a", "c"], "same": "disk"}]
    a, b, c = _placed(_job(groups=groups, replicas=1))
    assert (a.disk_group, b.disk_group, c.disk_group) == (("a", "c"), None, ("a", "c"))
    assert a.disk_sizes_gb == (401,)


def test_a_group_counts_as_one_disk_of_a_pod() -> None:
    groups = [{"volumes": ["a", "b"], "same": "disk"}, {"volumes": ["b", "c"], "same": "disk"}]
    placed = _placed(_job("a", "c", groups=groups))
    assert {p.disk_group for p in placed} == {("a", "b", "c")}


# The check refuses what the program would not do.


def _mutants(solution: Solution) -> Iterator[tuple[str, tuple[Placement, ...]]]:
    """Yield plans that differ in one thing from one whose volumes a and b share a disk."""
    a, b, c = solution.placements
    alone = [
        replace(
            each,
            disk_group=None,
            disk_sizes_gb=(SIZES[each.volume],),
            provision_gb=SIZES[each.volume],
            usd_hr=each.usd_gb_hr * SIZES[each.volume],
        )
        for each in (a, b, c)
    ]
    yield "2 disks at alpha, where one pod can mount 1", (alone[0], alone[1], c)
    yield "not all of them are on it equally often", (a, alone[1], c)
    yield "no job there needs c to share a disk", _all_on_one(solution)
    one_more: Any = {"provision_gb": b.provision_gb + 1, "usd_hr": b.usd_hr + b.usd_gb_hr}
    yield "the share of b is not", (a, replace(b, **one_more), c)
    larger = [replace(each, disk_sizes_gb=(a.disk_sizes_gb[0] + 100,)) for each in (a, b)]
    yield "are the least that holds them", (*larger, c)
    twice = [replace(each, disk_sizes_gb=each.disk_sizes_gb * 2) for each in (a, b)]
    yield "it is 2 disks, not one", (*twice, c)
    swapped = [replace(each, disk_group=("b", "a")) for each in (a, b)]
    yield "in the demand's order", (*swapped, c)


def _all_on_one(solution: Solution) -> tuple[Placement, ...]:
    a, b, c = solution.placements
    due = {"a": 100, "b": 250, "c": 350}
    return tuple(
        replace(
            each,
            disk_group=("a", "b", "c"),
            disk_sizes_gb=(700,),
            provision_gb=due[each.volume],
            usd_hr=each.usd_gb_hr * due[each.volume],
        )
        for each in (a, b, c)
    )


@pytest.mark.slow
def test_every_changed_plan_is_refused() -> None:
    frames = _job("a", "b", spec={"step": 100})
    solution = optimise(*frames)
    for expected, placements in _mutants(solution):
        wrong = _wrong(frames, solution, placements)
        assert any(expected in sentence for sentence in wrong), (expected, wrong)


def test_a_group_that_is_taken_apart_is_refused() -> None:
    frames = _job(groups=[{"volumes": ["a", "c"], "same": "disk"}])
    solution = optimise(*frames)
    parts = tuple(
        replace(
            each,
            disk_group=None,
            disk_sizes_gb=(SIZES[each.volume],),
            provision_gb=SIZES[each.volume],
            usd_hr=each.usd_gb_hr * SIZES[each.volume],
        )
        for each in solution.placements
    )
    wrong = _wrong(frames, solution, parts)
    assert "a replica 1: it is not on one disk with a, c" in wrong


@pytest.mark.slow
def test_one_disk_too_many_is_refused_wherever_it_is() -> None:
    """Of every random plan in which jobs have volumes share a disk, with a disk for each."""
    tried = 0
    for seed in range(80):
        frames = _frames(*packed.instance(random.Random(seed)))
        try:
            solution = optimise(*frames)
        except Infeasible:
            continue
        for number, placement in enumerate(solution.placements):
            groups = {d.members for d in solution.instance.pairs.shared.values() if d.by_group}
            if placement.disk_group is None or placement.disk_group in groups:
                continue
            alone = replace(
                placement,
                disk_group=None,
                disk_sizes_gb=(placement.provision_gb,),
            )
            others = solution.placements
            assert _wrong(frames, solution, (*others[:number], alone, *others[number + 1 :]))
            tried += 1
    assert tried > 10
