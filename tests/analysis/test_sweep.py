"""Sweeps: each row is the plan that would be made, whoever solves, in the order of the grid."""

from __future__ import annotations

import copy
import importlib
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import product
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import planner
from planner import read_demand, read_gpus, read_offers
from planner.analysis import points as solved
from planner.analysis import workers
from planner.analysis.points import SWEEP
from planner.analysis.sweep import sweep
from planner.demand.read import demand_from
from planner.errors import Defect, FrameError, Infeasible, InputError
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.present.progress import Progress
from planner.schema import records
from planner.solve import optimise as optimising
from planner.solve.optimum import optimum
from planner.solve.stats import Undecided
from tests.solve import instances
from tests.solve.live_disks import MARKET, disk, frame, gpu
from tests.solve.plans import listings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from planner.plans.plan import Plan

A: dict[str, Any] = {"name": "a", "size_gb": 100}
B: dict[str, Any] = {"name": "b", "size_gb": 100}
OFFERS = offers_frame(MARKET)
"""100 GB cost 7.30 USD a month at alpha, 14.60 at beta, 21.90 at gamma."""


def demand(*volumes: dict[str, Any], **top: Any) -> Any:
    return demand_from({"version": 1, "project": "p", "volumes": list(volumes), **top})


def cells(made: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    """Return columns as rows of plain values, amounts as text."""
    return [
        tuple(str(v) if isinstance(v, Decimal) else v for v in (row[name] for name in names))
        for row in records(made)
    ]


def of_plan(plan: Plan) -> dict[str, Any]:
    """Return the row that a plan would be, from its totals and placements."""
    hours = plan.demand.policy.hours_per_month
    disk_usd_month = Decimal(plan.exact_totals["disk_usd_hr"]) * hours
    sites = {(one.provider, one.data_center, one.country) for one in plan.placements}
    return {
        "feasible": True,
        "status": plan.solver.status,
        "usd_hr": Decimal(plan.exact_totals["usd_hr"]),
        "usd_month": Decimal(plan.exact_totals["usd_month"]),
        "disk_usd_month": disk_usd_month,
        "gpu_usd_month": sum((g.usd_hr_on * g.hours_per_month for g in plan.gpus), Decimal(0)),
        "gb": sum(one.provision_gb for one in plan.placements),
        "disks": len(plan.requests) + sum(len(one.disk_ids) for one in plan.placements),
        "sites": len(sites),
        "providers": len({one.provider for one in plan.placements}),
        "why": "",
    }


# -- by hand ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_sweep_by_hand() -> None:
    """One, two, three copies at two prices: the cheapest places first, each figure worked out."""
    made = sweep(demand(A), OFFERS, {"replicas": [1, 2, 3], "price_factor": [1, "1.5"]}, exact=True)
    assert [*made.columns] == ["replicas", "price_factor", *(column.name for column in SWEEP)]
    names = ("replicas", "price_factor", "usd_month", "usd_hr", "gb", "disks", "sites", "providers")
    assert cells(made, *names) == [
        (1, "1", "7.3", "0.01", 100, 1, 1, 1),
        (1, "1.5", "10.95", "0.015", 100, 1, 1, 1),
        (2, "1", "21.9", "0.03", 200, 2, 2, 2),
        (2, "1.5", "32.85", "0.045", 200, 2, 2, 2),
        (3, "1", "43.8", "0.06", 300, 3, 3, 3),
        (3, "1.5", "65.7", "0.09", 300, 3, 3, 3),
    ]
    assert cells(made, "where", "status", "feasible", "why")[2] == (
        "alpha A-1 (US), beta B-1 (NO)",
        "optimal",
        True,
        "",
    )


def test_columns_are_as_declared() -> None:
    """Values that were given, lists as tuples, and the types of `SWEEP` behind them."""
    places = ["united_states", "eu_north"]
    made = sweep(
        demand(A), OFFERS, {"regions": [places, "canada", None], "max_sites": 1}, exact=True
    )
    assert [*made["regions"]] == [tuple(places), "canada", None]
    assert made["max_sites"].tolist() == [1, 1, 1]
    assert str(made["max_sites"].dtype) == "Int64"
    assert [str(made[column.name].dtype) for column in SWEEP] == [column.stored for column in SWEEP]
    assert [*made.index] == [0, 1, 2]


def test_where_there_is_no_plan() -> None:
    """No figures, no place, and a sentence; the rows around it are as they would be alone."""
    made = sweep(demand(A), OFFERS, {"size": ["100 GB", "2 TB", "200 GB"]}, exact=True)
    assert [*made["feasible"]] == [True, False, True]
    row = records(made)[1]
    assert row.pop("size") == "2 TB"
    assert row == {
        **dict.fromkeys(row),
        "feasible": False,
        "status": "infeasible",
        "why": "a: none of 3 offers qualifies; needs more than one disk (max_disks: 1) (3 of 3)",
    }
    assert cells(made, "usd_month") == [("7.3",), (None,), ("14.6",)]


def test_no_grid_is_one_row() -> None:
    """With nothing changed there is the plan as it is."""
    assert cells(sweep(demand(A), OFFERS, {}, exact=True), "usd_month", "feasible") == [
        ("7.3", True)
    ]


def test_a_column_of_the_result_keeps_its_name() -> None:
    """`providers` and `disks` are words of a volume too: their values are in a longer column."""
    made = sweep(
        demand(A), OFFERS, {"providers": ["beta", None], "exclude.providers": ["alpha"]}, exact=True
    )
    assert [*made.columns][:2] == ["volumes.providers", "exclude.providers"]
    names = ("volumes.providers", "providers", "usd_month")
    assert cells(made, *names) == [("beta", 1, "14.6"), (None, 1, "14.6")]


def test_where_is_short() -> None:
    """Many sites are counted rather than listed."""
    rows = [
        {**MARKET[0], "provider": f"p-{n:02}", "dataCenter": None if n == 9 else f"D-{n}"}
        for n in range(10)
    ]
    made = sweep(demand({**A, "replicas": 10}), offers_frame(rows), {}, exact=True)
    assert made["where"][0].startswith("p-00 D-0 (US), p-01 D-1 (US), ")
    assert made["where"][0].endswith("p-07 D-7 (US) and 2 more")


def test_inputs_stay_as_they_are() -> None:
    """A sweep changes neither demand nor frames."""
    asked, offers = demand(A), OFFERS.copy()
    before = asked.model_copy(deep=True)
    sweep(asked, offers, {"replicas": [1, 2], "price_factor": [2]}, exact=True)
    assert asked == before
    assert_frame_equal(offers, OFFERS)


# -- like the plan ------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_shipped_demands_cost_what_their_plans_cost() -> None:
    """With disks alone and with GPUs, budgets, groups and caps: every figure of the plan."""
    offers, gpus = read_offers("shipped:disk-offers"), read_gpus("shipped:gpu-offers")
    for name, listing in (("research", None), ("finetune", gpus)):
        asked = read_demand(f"shipped:{name}")
        made = sweep(asked, offers, {}, listing, exact=True)
        expected = of_plan(planner.plan(asked, offers, listing))
        assert {key: records(made)[0][key] for key in expected} == expected


Edit = tuple[str, Any]


def edits(rng: random.Random, document: dict[str, Any]) -> list[Edit]:
    """Return changes of several kinds that a random instance may have."""
    names = [volume["name"] for volume in document["volumes"]]
    wishes: list[Edit] = [
        ("max_sites", [None, 1, 2, 3]),
        ("policy.max_providers", [None, 1, 2]),
        ("max_provider_share", ["60%", 0.75, None]),
        ("budget_usd_month", [None, 2, "5.5", 9]),
        ("hours_per_month", [672, 744]),
        ("replicas", [1, 2]),
        ("spread", ["none", "provider", None]),
        (f"{names[0]}.size", ["7 GB", "30 GB", "90 GB"]),
        (f"volumes.{names[-1]}.max_disks", [1, 3]),
        ("exclude.providers", ["alpha", ["beta", "gamma"], None]),
        ("regions", ["eu_north", ["eu_north", "united_states"], None]),
        ("price_factor", ["0.9", 1.1, Decimal("1.37")]),
        ("price_factor.alpha", [1, "2.5"]),
        ("gpu_price_factor", [1, "0.001"]),
    ]
    return [(key, rng.sample(values, 2)) for key, values in rng.sample(wishes, 2)]


def edited(document: dict[str, Any], key: str, value: Any) -> None:
    """Write a change into the file's document; factors are for `repriced`."""
    *path, last = key.removeprefix("policy.").removeprefix("volumes.").split(".")
    if last in {"regions", "providers"} and isinstance(value, str):
        value = [value]
    policy = {"max_sites", "max_providers", "max_provider_share", "budget_usd_month"}
    if last in policy | {"hours_per_month"}:
        document["policy"][last] = value
        return
    is_excluded = path[-1:] == ["exclude"]
    names = path[:-1] if is_excluded else path
    for volume in document["volumes"]:
        if names and volume["name"] != names[0]:
            continue
        if is_excluded:
            volume["exclude"] = {**volume.get("exclude", {}), last: value}
            continue
        if last == "size":
            del volume["size_gb"]
        volume[last] = value


def repriced(rows: list[dict[str, Any]], factor: Any, provider: str | None) -> None:
    """Multiply prices of the API's rows."""
    exact = Decimal(str(factor))
    for row in rows:
        held = row["spec"] if "spec" in row else row["prices"]
        for name in ("pricePerUnit", "onDemand", "communityPrice"):
            if isinstance(held.get(name), Decimal) and row["provider"] == (
                provider or row["provider"]
            ):
                held[name] *= exact


@pytest.mark.slow
@given(st.integers(0, 10**9))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_each_row_is_the_plan_of_the_edited_file_and_market(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Figures of the plan on every row that has one, and Infeasible exactly on the others."""
    # Whether there is a plan is asked, not why there is none.
    making = importlib.import_module("planner.analysis.infeasible")
    monkeypatch.setattr(making, "infeasible", lambda *_, **__: Infeasible("no plan"))
    rng = random.Random(seed)
    document, rows = instances.coupled_demand(rng), instances.coupled_market(rng)
    gpus, nodes = instances.gpu_market(rng)
    grid = dict(edits(rng, document))
    if "price_factor.alpha" in grid and "alpha" not in {row["provider"] for row in rows}:
        del grid["price_factor.alpha"]
    asked = demand_from(document)
    made = sweep(asked, offers_frame(rows), grid, listings(gpus, nodes), exact=True)
    assert len(made) == 2 ** len(grid)
    for row in records(made):
        said, disks, rented = copy.deepcopy((document, rows, (gpus, nodes)))
        for key in grid:
            head, _, provider = key.partition(".")
            if head == "price_factor":
                repriced(disks, row[key], provider or None)
            elif head == "gpu_price_factor":
                repriced([*rented[0], *rented[1]], row[key], None)
            else:
                edited(said, key, row[key])
        try:
            plan = planner.plan(demand_from(said), offers_frame(disks), listings(*rented))
        except Infeasible:
            assert (row["feasible"], row["status"], row["usd_month"]) == (False, "infeasible", None)
            assert row["why"]
            continue
        expected = of_plan(plan)
        assert {key: row[key] for key in expected} == expected


# -- live disks ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_is_kept_costs_what_is_billed() -> None:
    """Twice the market's prices: the disk of a stays at 14.60, that of b doubles to 14.60."""
    named = {**A, "disks": ["disk-0001"]}
    made = sweep(
        demand(named, B),
        OFFERS,
        {"price_factor": [1, 2]},
        disks=frame(disk("disk-0001")),
        exact=True,
    )
    assert cells(made, "usd_month", "disks") == [("21.9", 2), ("29.2", 2)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "grid",
    [
        {"a.size": ["100 GB", "101 GB"]},
        {"a.replicas": [1, 2, 3]},
        {"a.exclude.providers": [None, "gamma"]},
        {"max_sites": [None, 1]},
        {"budget_usd_month": [40, 20]},
    ],
)
def test_a_row_keeps_what_the_plan_would_keep(grid: dict[str, Any]) -> None:
    """One that a change makes unfit is bought anew; one that is recorded is kept like a named."""
    live = frame(disk("disk-0001", provider="gamma"), disk("disk-0002", provider="beta"))
    recorded = {("b", 1): ("disk-0002",)}
    entries = [{**A, "disks": ["disk-0001"]}, B]
    made = sweep(demand(*entries), OFFERS, grid, disks=live, recorded=recorded, exact=True)
    ((key, values),) = grid.items()
    for row, value in zip(records(made), values, strict=True):
        said: dict[str, Any] = {"volumes": copy.deepcopy(entries), "policy": {}}
        if key == "a.size":
            said["volumes"][0] |= {"size_gb": int(value.split()[0])}
        else:
            edited(said, key, value)
        try:
            plan = planner.plan(
                demand(*said["volumes"], policy=said["policy"]),
                OFFERS,
                disks=live,
                recorded=recorded,
            )
        except Infeasible:
            assert row["feasible"] is False
            continue
        expected = of_plan(plan)
        assert {name: row[name] for name in expected} == expected


@pytest.mark.slow
def test_slack_is_the_plans() -> None:
    """Five per cent more for better stock: as `planner.plan` takes it."""
    rows = copy.deepcopy(MARKET[:2])
    rows[0]["stockStatus"], rows[1]["spec"]["pricePerUnit"] = "Low", Decimal("0.000104")
    offers, slack = offers_frame(rows), Decimal(5)
    made = sweep(demand(A), offers, {}, cost_slack=slack, exact=True)
    plan = planner.plan(demand(A), offers, cost_slack=slack)
    assert cells(made, "usd_month", "where") == [("7.592", "beta B-1 (NO)")]
    assert plan.exact_totals["usd_month"] == Decimal("7.592")


# -- whoever solves -----------------------------------------------------------------------------

GRID: dict[str, list[Any]] = {
    "price_factor.hyperstack": [1, "1.07", 1.3],
    "corpus.replicas": [1, 3],
    "corpus.regions": [["united_states", "eu_north"], None],
    "max_provider_share": [None, "60%", "20%"],
}


@pytest.fixture(scope="module")
def serial() -> pd.DataFrame:
    made = sweep(
        read_demand("shipped:research"), read_offers("shipped:disk-offers"), GRID, exact=True
    )
    assert {"optimal", "infeasible"} == set(made["status"])
    return made


@pytest.fixture(params=["threads", "processes", "ours", "backwards", "cluster"])
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    context = multiprocessing.get_context("forkserver")
    if request.param == "ours":
        monkeypatch.setattr(workers, "FEW", 2)
        monkeypatch.setattr(workers, "_cores", lambda: 2)
        yield None
        return
    if request.param == "cluster":
        distributed = pytest.importorskip("distributed")
        with (
            distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster) as client,
        ):
            assert os.getpid() not in client.run(os.getpid).values()
            yield client.get_executor()
        return
    made: Executor = ThreadPoolExecutor(3)
    if request.param == "processes":
        made = ProcessPoolExecutor(2, mp_context=context)
    with made as pool:
        yield pool


@pytest.mark.slow
def test_whoever_solves_the_frame_is_the_same(
    executor: Any, serial: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In threads, in processes, on a cluster: every cell and type, in order, and counted."""
    counts: list[Progress] = []

    @contextmanager
    def counted(what: str, total: int) -> Iterator[Progress]:
        counts.append(Progress(what, total))
        yield counts[-1]

    monkeypatch.setattr(workers, "working", counted)
    made = sweep(
        read_demand("shipped:research"),
        read_offers("shipped:disk-offers"),
        GRID,
        executor=executor,
        exact=True,
    )
    assert_frame_equal(made, serial, check_exact=True)
    (count,) = counts
    assert count.total == len(serial)
    while count.done < count.total:  # the last call may come after the last answer
        time.sleep(0.01)


@pytest.mark.slow
def test_rows_are_in_the_order_of_the_grid(serial: pd.DataFrame) -> None:
    """The last key's values in turn first, however the points were put together to be solved."""
    tried = [tuple(row.values()) for row in records(serial[[*GRID]])]
    expected = [
        (Decimal(str(factor)), replicas, regions and tuple(regions), share)
        for factor in GRID["price_factor.hyperstack"]
        for replicas in GRID["corpus.replicas"]
        for regions in GRID["corpus.regions"]
        for share in GRID["max_provider_share"]
    ]
    assert tried == expected


@pytest.mark.slow
def test_the_order_of_keys_is_the_order_of_rows() -> None:
    """The same points, the other way round."""
    one = sweep(demand(A), OFFERS, {"price_factor": [1, 2], "replicas": [1, 2]}, exact=True)
    other = sweep(demand(A), OFFERS, {"replicas": [1, 2], "price_factor": [1, 2]}, exact=True)
    assert cells(one, "usd_month") == [("7.3",), ("21.9",), ("14.6",), ("43.8",)]
    assert cells(other, "usd_month") == [("7.3",), ("14.6",), ("21.9",), ("43.8",)]


@pytest.mark.slow
def test_a_frame_can_be_pickled(serial: pd.DataFrame) -> None:
    """It goes through a cache or another executor unchanged."""
    back = pickle.loads(pickle.dumps(serial))  # noqa: S301 -- our own
    assert_frame_equal(back, serial, check_exact=True)


# -- how sure -----------------------------------------------------------------------------------


def test_an_incumbent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of time came before the proof: a plan, with its cost, that is only feasible."""

    def stopped(*given: Any, **named: Any) -> Any:
        found = optimum(*given, **named)
        assert found is not None
        cost, bound = Decimal("14.6"), Decimal("7.3")
        return replace(found, chosen={0: [1]}, usd_month=cost, bound_month=bound)

    monkeypatch.setattr(optimising, "optimum", stopped)
    made = sweep(demand(A), OFFERS, {}, time_limit_s=5, exact=True)
    assert cells(made, "feasible", "status", "usd_month", "why") == [(True, "feasible", "14.6", "")]


def test_a_point_that_is_not_decided_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a plan nor a proof that there is none: nobody knows, and that is null."""

    def tired(*_: Any, **__: Any) -> Any:
        raise Undecided

    monkeypatch.setattr(optimising, "optimum", tired)
    made = sweep(demand(A), OFFERS, {}, time_limit_s=2.5, exact=True)
    assert cells(made, "feasible", "status", "usd_month", "why") == [
        (None, "unknown", None, "no plan was found in 2.5 s")
    ]
    assert sweep(demand(A), OFFERS, {}, exact=True)["why"][0] == "no plan was found"


def test_the_limit_and_the_solver_are_those_of_every_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for goes to the solver, each time anew."""
    asked = []

    def noted(*given: Any, **named: Any) -> Any:
        asked.append(named)
        return optimum(*given, **named)

    monkeypatch.setattr(optimising, "optimum", noted)
    sweep(demand(A), OFFERS, {"replicas": [1, 2]}, time_limit_s=30, exact=True)
    assert asked == [{"time_limit_s": 30, "full": False}] * 2


def test_a_solution_that_fails_its_check_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """No row is told that was not checked."""
    monkeypatch.setattr(solved, "violations", lambda *_, **__: ("it is elsewhere",))
    with pytest.raises(Defect, match=r"own check \(replicas = 2\): it is elsewhere"):
        sweep(demand(A), OFFERS, {"replicas": [2]}, exact=True)
    with pytest.raises(Defect, match=r"own check \(the demand as it is\)"):
        sweep(demand(A), OFFERS, {}, exact=True)


# -- errors -------------------------------------------------------------------------------------


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a point was solved")


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"replcas": [1]}, "unknown setting `replcas`"),
        ({"replicas": [1, "two"]}, "`replicas` = 'two': a whole number was expected, not 'two'"),
        ({"price_factor.alpa": [1]}, "`price_factor.alpa`: no provider 'alpa' in this market"),
        (
            {"replicas": [2, 1], "a.disks": [["disk-0001", "disk-0002"]]},
            "at replicas = 1, a.disks = ['disk-0001', 'disk-0002']: 2 disks for 1 replica",
        ),
        ({"price_factor": [1, "1." + "1" * 38]}, "at price_factor = '1.1111"),
    ],
)
def test_what_is_wrong_with_a_grid_is_said_before_anything_is_solved(
    monkeypatch: pytest.MonkeyPatch, grid: dict[str, Any], message: str
) -> None:
    """Also where only the last point is wrong."""
    monkeypatch.setattr(optimising, "optimum", never)
    with pytest.raises(InputError) as caught:
        sweep(demand(A), OFFERS, grid, disks=frame(), exact=True)
    assert str(caught.value).startswith(message)


def test_what_is_missing_is_said() -> None:
    """Workloads without GPUs, named disks without an account, a solver that there is not."""
    job = {"name": "train", "gpu": "H100_80GB", "mounts": ["a"]}
    with pytest.raises(InputError, match="there are no GPU offers to run them on"):
        sweep(demand(A, workloads=[job]), OFFERS, {}, exact=True)
    for asked, grid in (
        (demand({**A, "disks": ["disk-0001"]}), {}),
        (demand(A), {"disks": [None, "disk-0001"]}),
    ):
        with pytest.raises(InputError, match="the account's disks are not given"):
            sweep(asked, OFFERS, grid, exact=True)
    with pytest.raises(FrameError, match="column usd_gb_hr is missing"):
        sweep(demand(A), OFFERS.drop(columns="usd_gb_hr"), {}, exact=True)


@pytest.mark.slow
def test_gpus_and_workloads_may_be_swept_with_disks() -> None:
    """100 h at 2.50 beside the disk at alpha, 7.30; at beta 100 h at 2.40 and 14.60."""
    job = {"name": "train", "gpu": "H100_80GB", "mounts": ["a"], "hours_per_month": 100}
    gpus = gpus_frame([gpu("alpha", "2.5"), gpu("beta", "2.4")])
    grid = {"workloads.train.hours_per_month": [50, 100], "gpu_price_factor.beta": [1, "1.05"]}
    made = sweep(demand(A, workloads=[job]), OFFERS, grid, gpus, exact=True)
    assert cells(made, "usd_month", "gpu_usd_month", "disk_usd_month") == [
        ("132.3", "125", "7.3"),
        ("132.3", "125", "7.3"),
        ("254.6", "240", "14.6"),
        ("257.3", "250", "7.3"),
    ]


# -- scripts ------------------------------------------------------------------------------------

SCRIPT = """
    import planner
    demand = planner.read_demand("shipped:minimal")
    offers = planner.read_offers("shipped:disk-offers")
"""


def script(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "script.py"
    path.write_text(dedent(SCRIPT) + dedent(body))
    return path


needs_cores = pytest.mark.skipif(
    workers._cores() < 2, reason="where there is one core, no processes are started"
)


@pytest.mark.slow
@needs_cores
def test_a_script_without_a_guard_is_told_what_to_do(tmp_path: Path) -> None:
    """Its workers import it, and come to the sweep themselves: no hang, and the way out is told."""
    path = script(
        tmp_path,
        """
        try:
            planner.sweep(demand, offers, {"budget_usd_month": range(300, 400)})
        except planner.InputError as error:
            print(error, error.hint, sep="|")
            raise
        """,
    )
    done = subprocess.run(
        [sys.executable, path], capture_output=True, check=False, text=True, timeout=120
    )
    assert done.returncode == 1
    told = done.stdout.splitlines()[-1]
    assert told.startswith("the workers ended before any had an answer|each worker process imports")
    assert 'put the call under `if __name__ == "__main__":`' in told
    assert "executor=ThreadPoolExecutor()" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@needs_cores
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="the group is told as a terminal tells it")
def test_ctrl_c_leaves_at_once_and_leaves_nobody(tmp_path: Path) -> None:
    """Minutes of work, interrupted as a terminal does it: gone in seconds, workers too."""
    path = script(
        tmp_path,
        """
        import multiprocessing
        import signal
        import threading
        import time

        def tell():
            while not multiprocessing.active_children():
                time.sleep(0.05)
            time.sleep(2)
            print("begun", flush=True)

        if __name__ == "__main__":
            signal.signal(signal.SIGINT, signal.default_int_handler)  # as on a terminal
            threading.Thread(target=tell).start()
            try:
                planner.sweep(demand, offers, {"budget_usd_month": range(300, 60_000)})
            except KeyboardInterrupt:
                workers = multiprocessing.active_children()
                for one in workers:
                    one.join(20)
                print("left", sum(one.is_alive() for one in workers))
        """,
    )
    with subprocess.Popen(
        [sys.executable, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        os.killpg(running.pid, signal.SIGINT)
        begun = time.monotonic()
        try:
            out, _ = running.communicate(timeout=60)
        finally:
            running.kill()  # or one that hangs is waited for
    assert time.monotonic() - begun < 20
    assert (out, running.returncode) == ("left 0\n", 0)


@pytest.mark.parametrize("seed", range(4))
def test_prices_take_over_what_they_leave_as_it_is(seed: int) -> None:
    """Factors one after the other are what each is on its own: with caps and budgets between."""
    held_one_by_one(seed)


def held_one_by_one(seed: int) -> None:
    """Hold a sweep of prices against one of each of its points."""
    rng = random.Random(seed)
    coupled = seed % 2
    rows = instances.coupled_market(rng) if coupled else instances.market(rng)
    document = instances.coupled_demand(rng) if coupled else instances.demand(rng)
    listed = offers_frame(rows)
    document.pop("workloads", None)
    asked = demand_from(document)
    some = listed["provider"].dropna()
    grid: dict[str, list[Any]] = {"price_factor": ["1", "0.5", "1.7", "1.0001", "3"]}
    if len(some):
        grid[f"price_factor.{some.iloc[0]}"] = ["1", "1.25"]
    frame = sweep(asked, listed, grid, exact=True)
    for n, values in enumerate(product(*grid.values())):
        alone = {key: [value] for key, value in zip(grid, values, strict=True)}
        assert_frame_equal(
            frame.iloc[[n]].reset_index(drop=True), sweep(asked, listed, alone, exact=True)
        )
