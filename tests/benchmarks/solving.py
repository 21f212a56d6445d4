"""Time the optimum against the same program written by hand, in one run and in one table.

Run it with ``python -m tests.benchmarks.solving``, with ``--case NAME`` for some cases only;
``--quick`` checks small sizes in seconds, in one process; its times say nothing.

ours     `Instance.of` and `optimum`, from demand and market in hand to the settled, exact choice;
         timed right before and right after each of the others, and averaged.
pairs    The program written pair by pair in PuLP, solved by HiGHS; told which pairs can be.
HiGHS    The columns that presolve leaves, from numpy to HiGHS directly; told what they are.

command  At last the whole command `planner plan`, files read and plan written, beside pairs.

All may stop at a relative gap of 1e-6 and have one thread and a process each, whose peak is MB,
libraries included. The ratio (and that of CPU seconds) of one that reaches its limit is a lower
limit. Markets and fleets are random but seeded. A share is slack two points above the largest of a
provider in the plan without it, and binding at 0.9 of it. Exit code 1: costs differ by over 2e-6.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import highspy
import numpy as np
import pulp

from planner.demand.read import demand_from
from planner.market.gpus import gpus_frame
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.solve.optimise import prove
from planner.solve.optimum import optimum
from planner.solve.presolve import presolve
from planner.solve.problem import Instance
from planner.solve.solver import _silent_stdout
from tests.benchmarks.commands import market, seconds

GAP, AGREE, MOST_MB = 1e-6, 2e-6, 1000
GPUS, TEAM = ["A100_80GB", "H100_80GB"], 5  # volumes in a row that can go together
ROOT = Path(__file__).parent.parent.parent
WIDTHS = (-12, 7, 6, 9, 5, 6, -13, 9, 10, 10, 5, -30)
HEADS = "case,volumes,offers,seconds,MB,gap,against,seconds,ratio,(CPU),MB,aims"


@dataclass(frozen=True)
class Size:
    """What is placed where; ``share`` is ``slack``, ``binding``, a number, or None for no limit."""

    volumes: int
    offers: int
    share: str | None = None
    groups: int = 0
    jobs: int = 0
    gpus: int = 0


@dataclass(frozen=True)
class Case:
    """What is timed against what, or against ours at another size; ``aim``: least (-most) ratio."""

    name: str
    size: Size
    against: str
    aim: float = 0.0
    other: Size | None = None


@dataclass(frozen=True)
class Measured:
    """Monthly cost (None: none found) and bound, wall and CPU seconds, largest share, peak MB."""

    usd: float | None
    bound: float
    seconds: float
    cpu: float
    share: float = 0.0
    mb: float = 0.0
    stopped: bool = False


def cases(*, quick: bool) -> list[Case]:
    """Return the rows of the table."""
    n, few, some, many = (30, 30, 50, 320) if quick else (2000, 500, 1000, 10_000)
    slack, large = Size(n, few, "slack"), Size(many, some, "binding")
    groups = Size(100, few, groups=20) if quick else Size(5000, few, groups=1000)
    jobs = Size(20, 40, jobs=5, gpus=80) if quick else Size(100, 200, jobs=50, gpus=400)
    return [
        Case("slack", slack, "pairs", 50),
        Case("slack+groups", replace(slack, groups=2), "pairs", 50),
        Case("share", replace(slack, share="binding"), "pairs", 10),
        Case("share", replace(slack, share="binding"), "HiGHS"),
        Case("large", large, "HiGHS", 1),
        *([Case("groups", groups, "pairs")] if quick else []),
        Case("groups", groups, "large", 1, large),
        Case("growth", large, f"{n} volumes", -7, replace(large, volumes=n)),
        Case("jobs", jobs, "pairs"),
    ]


def fleet(size: Size) -> dict[str, Any]:
    """Return volumes of 100 to 8000 GB, some with wishes that meet at their team's home."""
    rng, volumes = random.Random(3), list[dict[str, Any]]()
    homes = market(size.offers)[: size.offers // 3]  # the first of each site, see `frames`
    for n in range(size.volumes):
        if n % TEAM == 0:
            home = rng.choice(homes)
        wishes = {
            "regions": sorted({home["region"], rng.choice(homes)["region"]}),
            "providers": sorted({one["provider"] for one in [home, *rng.choices(homes, k=5)]}),
            "stock": home["stockStatus"],
        }
        chosen = {wish: value for wish, value in wishes.items() if rng.random() < 0.3}
        volumes.append({"name": f"v-{n}", "size_gb": rng.randint(100, 8000), **chosen})
    teams = [[one["name"] for one in volumes[n : n + TEAM]] for n in range(0, len(volumes), TEAM)]
    jobs = []
    for n in range(size.jobs):
        job = {"name": f"job-{n}", "gpu": rng.choice(GPUS), "hours_per_month": rng.randint(20, 700)}
        jobs.append({**job, "mounts": rng.sample(teams[n % len(teams)], rng.choice([1, 1, 2]))})
    groups = [{"volumes": team, "same": "site"} for team in teams[: size.groups]]
    policy = {} if size.share is None else {"max_provider_share": size.share}
    parts = {"volumes": volumes, "groups": groups, "workloads": jobs, "policy": policy}
    return {"version": 1, **{name: part for name, part in parts.items() if part}}


def listing(size: Size) -> list[dict[str, Any]]:
    """Return disk offers as the API lists them, three at a site."""
    sites, disks = dict[str, Any](), list[dict[str, Any]]()
    for n, row in enumerate(market(size.offers)):
        first = sites.setdefault(row["dataCenter"], row)
        site = {key: first[key] for key in ("provider", "dataCenter", "country", "region")}
        disks.append({**row, **site, "cloudId": f"c{n}"})
    return disks


def frames(size: Size) -> tuple[Any, Any]:
    """Return disk offers and GPU offers at their sites."""
    rng, disks, gpus = random.Random(4), listing(size), list[dict[str, Any]]()
    for row in disks:
        spec = row["spec"]
        row["spec"] = {**spec, "pricePerUnit": Decimal(str(spec["pricePerUnit"]))}
    for disk in rng.choices(disks, k=size.gpus):
        price = {"onDemand": Decimal(rng.randint(80, 400)) / 100, "currency": "USD"}
        gpus.append({**disk, "gpuType": rng.choice(GPUS), "gpuCount": 1, "prices": price})
    return addressable(offers_frame(disks), exact=True), gpus_frame(gpus) if gpus else None


def measure(who: str, size: Size, limit_s: float) -> Measured:
    """Time one of ours, pairs and HiGHS."""
    demand, (offers, gpus) = demand_from(fleet(size)), frames(size)
    with _silent_stdout():
        _solver(limit_s).run()  # what a process pays once, with its pool of one thread
    start = _now()
    instance = Instance.of(demand, offers, gpus)
    if who != "ours":
        done = (pair_by_pair if who == "pairs" else pruned)(instance, limit_s)
    else:
        found = optimum(instance)
        seconds, cpu = _now() - start
        assert found is not None
        assert instance.holds(instance.whole, found.chosen)
        usd, chosen = float(found.usd_month), [o for (o,) in found.chosen.values()]
        gb = instance.pairs.provision_gb[np.arange(len(chosen)), chosen]
        _, at = np.unique(offers["provider"].iloc[chosen].tolist(), return_inverse=True)
        share = float(np.bincount(at, gb).max() / gb.sum())
        done = Measured(usd, usd * (1 - prove(instance, found).solver.gap), seconds, cpu, share)
    return replace(done, mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def pair_by_pair(instance: Instance, limit_s: float) -> Measured:  # noqa: C901 -- it is one program
    """Write and solve the program with a binary variable for each admissible pair."""
    start, hours, policy = _now(), instance.demand.policy.hours_per_month, instance.demand.policy
    pairs, rentals, total = instance.pairs, instance.rentals, pulp.LpAffineExpression
    problem, cost, gb = pulp.LpProblem("pairs"), list[Any](), defaultdict[str, list[Any]](list)
    providers, x = pairs.offers["provider"].tolist(), list[dict[int, Any]]()
    for v, broken in enumerate(pairs.broken):
        x.append({})
        for o in np.flatnonzero(broken == 0).tolist():
            x[v][o] = problem.add_variable(f"x_{v}_{o}", cat=pulp.LpBinary)
            cost.append((x[v][o], float(pairs.usd_hr(v, o) * hours)))
            gb[providers[o]].append((x[v][o], float(pairs.provision_gb[v, o])))
        problem += total([(one, 1) for one in x[v].values()]) == 1
    for tie in instance.ties:  # every group here is "same: site"
        for u, v in pairwise(tie.members):
            for site in set(instance.sites):
                here = [o for o, one in enumerate(instance.sites) if one == site]
                left, right = (pulp.lpSum(x[one][o] for o in here if o in x[one]) for one in (u, v))
                problem += left == right
    for w in range(len(instance.demand.workloads)):
        assert rentals is not None
        runs = []
        for g in np.flatnonzero(rentals.broken[w] == 0).tolist():
            runs.append(problem.add_variable(f"z_{w}_{g}", cat=pulp.LpBinary))
            cost.append((runs[-1], float(rentals.usd_month(w, g))))
            for v in rentals.mounts[w]:
                near = rentals.mountable(w, v, g)
                problem += total([(runs[-1], 1), *((x[v][o], -1) for o in x[v] if near[o])]) <= 0
        problem += total([(one, 1) for one in runs]) == 1
    if policy.max_provider_share is not None:
        everything = problem.add_variable("everything", 0)
        problem += total([*(term for each in gb.values() for term in each), (everything, -1)]) == 0
        for each in gb.values():
            problem += total([*each, (everything, -float(policy.max_provider_share))]) <= 0
    problem.setObjective(total(cost))
    left = max(1.0, limit_s - float((_now() - start)[0]))
    problem.solve(pulp.HiGHS(msg=False, gapRel=GAP, gapAbs=0, threads=1, timeLimit=left))
    return _said(problem.solverModel, start)


def pruned(instance: Instance, limit_s: float) -> Measured:
    """Give HiGHS the columns that presolve leaves, with the replicas and the share as its rows."""
    columns, policy = presolve(instance, instance.whole), instance.demand.policy
    start, share = _now(), float(policy.max_provider_share or 1)
    offers, unit, n, k = instance.pairs.offers, columns.unit, len(columns), len(columns.units)
    gb = instance.pairs.provision_gb[columns.volume, columns.offer].astype(float)
    price = np.array([float(usd or 0) * policy.hours_per_month for usd in offers["usd_gb_hr"]])
    named, provider = np.unique(offers["provider"].tolist(), return_inverse=True)
    count = np.array([(one.count, one.most) for one in columns.units], float)
    lp, p = highspy.HighsLp(), len(named)
    # The fastest of what was tried: with a column for all GB, or presolve, HiGHS 1.16 may stall.
    held = gb[:, None] * (np.equal.outer(provider[columns.offer], np.arange(p)) - share)
    rows = np.hstack([unit[:, None], np.tile(k + np.arange(p), (n, 1))])
    lp.num_col_, lp.num_row_ = n, k + p
    lp.col_cost_, lp.col_lower_ = gb * price[columns.offer], np.zeros(n)
    lp.col_upper_, lp.integrality_ = count[unit, 1], [highspy.HighsVarType.kInteger] * n
    lp.row_lower_, lp.row_upper_ = (np.r_[count[:, 0], np.full(p, e)] for e in (-np.inf, 0.0))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = np.arange(n + 1) * (p + 1), rows.ravel()
    lp.a_matrix_.value_ = np.hstack([np.ones((n, 1)), held]).ravel()
    solver = _solver(limit_s)
    solver.passModel(lp)
    solver.run()
    return _said(solver, start)


def _now() -> Any:
    return np.array([time.perf_counter(), time.process_time()])


def _solver(limit_s: float) -> Any:
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    options = {"output_flag": False, "presolve": "off", "threads": 1, "mip_rel_gap": GAP}
    for name, value in {**options, "mip_abs_gap": 0.0, "time_limit": limit_s}.items():
        solver.setOptionValue(name, value)
    return solver


def _said(solver: Any, start: Any) -> Measured:
    (seconds, cpu), info = _now() - start, solver.getInfo()
    usd = float(info.objective_function_value) if info.primal_solution_status == 2 else None
    stopped = solver.getModelStatus() != highspy.HighsModelStatus.kOptimal
    return Measured(usd, float(info.mip_dual_bound), float(seconds), float(cpu), stopped=stopped)


def apart(who: str, size: Size, limit_s: float) -> Measured:
    """Measure in a process of its own."""
    what = json.dumps([who, asdict(size), limit_s])
    words = [sys.executable, "-m", "tests.benchmarks.solving", "--measure", what]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:  # HiGHS does not always look at the clock
        said = subprocess.check_output(words, env=one_thread, timeout=1.5 * limit_s or None)
    except subprocess.TimeoutExpired:
        return Measured(None, 0.0, limit_s, limit_s, stopped=True)
    return Measured(**json.loads(said.splitlines()[-1]))


def row(case: Case, limits: dict[str, float], *, quick: bool) -> tuple[str, bool]:
    """Return a line of the table, and whether the costs agree."""
    run = measure if quick else apart
    size, other = _with_share(case.size, run), case.other and _with_share(case.other, run)
    ours = [run("ours", size, 0)]
    theirs = run("ours", other, 0) if other else run(case.against, size, limits[case.against])
    ours.append(run("ours", size, 0))
    seconds, cpu = np.mean([(one.seconds, one.cpu) for one in ours], axis=0)
    usd, mb, up = ours[0].usd or 0.0, max(one.mb for one in ours), -1 if case.aim < 0 else 1
    gap, ratio = max(1 - one.bound / usd for one in ours), (theirs.seconds / seconds) ** up
    high, low = theirs.usd or float("inf"), (theirs.bound if theirs.stopped else theirs.usd or 0)
    agree = other is not None or low * (1 - AGREE) <= usd <= high * (1 + AGREE)
    aims = {f"{'<=' if up < 0 else '>='} {abs(case.aim):g}": ratio * up >= case.aim}
    aims = (aims if case.aim else {}) | {f"gap {GAP:g}": gap <= GAP, f"{MOST_MB} MB": mb < MOST_MB}
    said = ", ".join(f"{aim} {'ok' if met else 'MISSED'}" for aim, met in aims.items())
    figures = [f"{seconds:.3f}", f"{mb:.0f}", f"{gap:.0e}", case.against, f"{theirs.seconds:.3f}"]
    figures += [f"{'>= ' * theirs.stopped}{ratio:.2f}", f"({(theirs.cpu / cpu) ** up:.2f})"]
    figures += [f"{theirs.mb:.0f}", "" if quick else said]
    line = _line([case.name, size.volumes, size.offers, *figures])
    return line if agree else f"{line}\nCOSTS DIFFER: ours {usd}, {case.against} {theirs}", agree


def whole_command(size: Size = Size(2000, 500)) -> str:
    """Return the processor time of the whole command beside that of the pairs, imports and all."""
    pairs = [sys.executable, "-m", "tests.benchmarks.solving", "--measure"]
    pairs.append(json.dumps(["pairs", asdict(size), 600]))
    with tempfile.TemporaryDirectory() as place:
        cwd = Path(place)
        (cwd / "market.json").write_text(json.dumps(listing(size)))
        (cwd / "fleet.json").write_text(json.dumps(fleet(size)))
        words = ["plan", "fleet.json", "--offers", "market.json", "-o", "json"]
        command = [sys.executable, "-m", "planner", *words]
        before, theirs, after = (
            seconds(one, at) for one, at in ((command, cwd), (pairs, ROOT), (command, cwd))
        )
    ours = (before + after) / 2
    return (
        f"planner plan, {size.volumes} x {size.offers}, whole: {ours:.2f} s of processor time, "
        f"pairs {theirs:.2f} s, ratio {theirs / ours:.2f} (aim >= 8)"
    )


def _with_share(size: Size, run: Any) -> Size:
    if size.share is None:
        return size
    most = run("ours", replace(size, share=None), 0).share
    share = min(1, most + 0.02) if size.share == "slack" else 0.9 * most
    return replace(size, share=f"{share:.4f}")


def _line(cells: list[Any]) -> str:
    padded = (f"{c!s:{'<' if w < 0 else '>'}{abs(w)}}" for c, w in zip(cells, WIDTHS, strict=True))
    return " ".join(padded).rstrip()


def main(words: list[str] | None = None) -> int:
    """Print the table; return 1 where costs differ."""
    parser = argparse.ArgumentParser(description="Time the optimum; see the module.")
    parser.add_argument("--quick", action="store_true", help="small sizes, in seconds")
    parser.add_argument("--case", action="append", help="only this one")
    parser.add_argument("--pairs-limit", type=float, default=600, help="seconds")
    parser.add_argument("--highs-limit", type=float, default=300, help="seconds")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.measure:
        who, size, limit_s = json.loads(asked.measure)
        print(json.dumps(asdict(measure(who, Size(**size), limit_s))))
        return 0
    libraries = (f"{name} {version(name)}" for name in ("highspy", "pulp", "numpy", "pandas"))
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("Python", platform.python_version(), *libraries)
    print(_line(HEADS.split(",")), flush=True)
    agreed, limits = True, {"pairs": asked.pairs_limit, "HiGHS": asked.highs_limit}
    for case in cases(quick=asked.quick):
        if case.name in (asked.case or [case.name]):
            line, agree = row(case, limits, quick=asked.quick)
            agreed &= agree
            print(line, flush=True)
    if not asked.quick and "command" in (asked.case or ["command"]):
        print(whole_command(), flush=True)
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
