"""Whoever explores in pandas: usual operations on every frame that is handed out."""

from __future__ import annotations

import pickle
import subprocess
import sys
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import planner
from planner.errors import InputError
from planner.schema import Table
from tests.reports.world import POLICY, VOLUMES, bill, held, live, planned, report

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow
DISKS, GPUS = "shipped:disk-offers", "shipped:gpu-offers"


@cache
def frames() -> dict[str, tuple[pd.DataFrame, pd.DataFrame | None]]:
    """Return every frame by name, in floats, and in decimals where that is another call."""
    offers, gpus = planner.read_offers(DISKS), planner.read_gpus(GPUS)
    plan = planner.plan(planner.read_demand("shipped:finetune"), offers, gpus)
    account = held(live("disk-0001"), balance="100", bills=[bill("disk-0001", "1.5")])
    before = planned()
    made = report(before, account, budgets={"ann": 20})
    month = planner.report(None, account, month="2026-02", now=account.read_at)
    larger = [{**VOLUMES[0], "size_gb": 200}, VOLUMES[1]]
    later = planned(volumes=larger, policy={})
    other = planner.diff(before, later)
    answer = planner.where("4TB", offers, gpus, gpu="A100_80GB")
    why, exactly = planner.explain(plan), planner.explain(plan, exact=True)
    ways, exact_ways = planner.alternatives(plan, 2), planner.alternatives(plan, 2, exact=True)
    grid: dict[str, Any] = {"price_factor": [0.9, 1.1], "backup.regions": [["canada"], None]}
    size = planner.Filter(size_gb=1000)
    found: dict[str, Callable[..., pd.DataFrame]] = {
        "offers": lambda **e: planner.read_offers(DISKS, **e),
        "gpu offers": lambda **e: planner.read_gpus(GPUS, **e),
        "addressable": lambda **e: planner.addressable(offers, **e),
        "offers of a size": lambda **e: planner.offers(offers, size, **e),
        "offers by region": lambda **e: planner.offers(offers, group_by="region", **e),
        "offers with GPUs": lambda **e: planner.mark_gpus(offers, gpus, "A100_80GB", **e),
        "gpus": lambda **e: planner.gpus(gpus, offers, **e),
        "gpus by model": lambda **e: planner.gpus(gpus, offers, group_by="model", **e),
        "providers": lambda **_: planner.providers(),
        "history": lambda **e: planner.history(state="/nowhere", **e),
        "placements": plan.to_frame,
        "plan's GPUs": plan.gpus_to_frame,
        "schedule": plan.schedule_to_frame,
        "candidates": plan.pairs.candidates,
        "rejections": lambda **_: plan.pairs.rejections(),
        "baselines": plan.baselines().to_frame,
        "what if": lambda **e: plan.what_if(grid, **e),
        "sweep": lambda **e: planner.sweep(plan.demand, offers, {"max_sites": [1, 2]}, gpus, **e),
        "report": made.to_frame,
        "groups": made.groups_frame,
        "budgets": made.budgets_frame,
        "comparisons": made.comparisons_frame,
        "rentals": report(plan).gpus_frame,
        "month": month.to_frame,
        "month's groups": month.groups_frame,
        "diff": other.to_frame,
        "relaxations": _relaxations().to_frame,
    }
    both = {name: (read(), read(exact=True)) for name, read in found.items()}
    answers = {name: (getattr(why, name), getattr(exactly, name)) for name in _ANSWERS}
    return {
        **both,
        **answers,
        "sites": (answer.sites, answer.exact_sites),
        "account": (account.disks, account.listed),
        "alternatives": (ways.frame, exact_ways.frame),
        "alternative placements": (ways.placements, exact_ways.placements),
    }


_ANSWERS = ("choices", "offers", "gpus", "requirements", "prices")
NAMES = (
    *("offers", "gpu offers", "addressable", "offers of a size", "offers by region"),
    *("offers with GPUs", "gpus", "gpus by model", "providers", "history", "placements"),
    *("plan's GPUs", "schedule", "candidates", "rejections", "baselines", "what if", "sweep"),
    *("report", "groups", "budgets", "comparisons", "rentals", "month", "month's groups"),
    *("diff", "relaxations", "choices", "requirements", "prices", "sites", "account"),
    *("alternatives", "alternative placements"),
)


def _relaxations() -> Any:
    volume = {"name": "corpus", "size": "4 TB", "replicas": 5, "spread": "provider"}
    with pytest.raises(planner.Infeasible) as caught:
        planner.plan({"version": 1, "volumes": [volume]}, planner.read_offers(DISKS))
    return caught.value.relaxations


def amounts(frame: pd.DataFrame) -> list[str]:
    """Return the columns of a frame that are numbers with a fraction."""
    return [str(name) for name in frame.columns if frame[name].dtype == "float64"]


def words(frame: pd.DataFrame) -> list[str]:
    """Return the columns of texts that a person would group by."""
    return [str(name) for name in frame.columns if str(frame[name].dtype) == "string"]


def _merged(frame: pd.DataFrame) -> pd.DataFrame:
    left = frame.reset_index(names="key")
    return left.merge(left[["key"]], on="key", how="left", validate="one_to_one")


OPERATIONS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "head": lambda f: f.head(3),
    "sample": lambda f: f.sample(frac=1, random_state=1),
    "iloc": lambda f: f.iloc[::-1],
    "columns": lambda f: f[list(f.columns[:3])],
    "info": lambda f: f.dtypes.value_counts(),
    "describe": lambda f: f.describe(include="all") if len(f) else None,
    "sum": lambda f: f.sum(numeric_only=True),
    "mean": lambda f: f.mean(numeric_only=True),
    "median": lambda f: f.median(numeric_only=True),
    "std": lambda f: f.std(numeric_only=True),
    "min and max": lambda f: f[amounts(f)].agg(["min", "max"]) if amounts(f) else None,
    "quantile": lambda f: f[amounts(f)].quantile([0.1, 0.9]),
    "round": lambda f: f.round(2),
    "abs": lambda f: f[amounts(f)].abs(),
    "ten per cent dearer": lambda f: f[amounts(f)] * 1.1,
    "difference": lambda f: f[amounts(f)].sub(f[amounts(f)].mean()),
    "cumsum": lambda f: f[amounts(f)].cumsum(),
    "pct_change": lambda f: f[amounts(f)].pct_change(),
    "rank": lambda f: f[amounts(f)].rank(),
    "corr": lambda f: f.corr(numeric_only=True),
    "clip": lambda f: f[amounts(f)].clip(0, 100),
    "fillna": lambda f: f[amounts(f)].fillna(0),
    "dropna": lambda f: f.dropna(how="all"),
    "isna": lambda f: f.isna().sum(),
    "nlargest": lambda f: [f.nlargest(2, name) for name in amounts(f)],
    "nsmallest": lambda f: [f.nsmallest(2, name) for name in amounts(f)],
    "sort_values": lambda f: [f.sort_values(name) for name in (*amounts(f), *words(f))],
    "idxmin": lambda f: [f[n].idxmin() for n in amounts(f) if f[n].notna().any()],
    "query": lambda f: [f.query(f"`{name}` > 0") for name in amounts(f)],
    "groupby": lambda f: [f.groupby(w, dropna=False).mean(numeric_only=True) for w in words(f)],
    "agg": lambda f: [
        f.groupby(words(f)[0], dropna=False)[name].agg(["sum", "mean", "max"])
        for name in amounts(f)
        if words(f)
    ],
    "pivot_table": lambda f: [
        f.pivot_table(index=words(f)[0], values=name, aggfunc="sum")
        for name in amounts(f)
        if words(f)
    ],
    "crosstab": lambda f: [pd.crosstab(f[w], f[w]) for w in words(f)[:2]],
    "cut": lambda f: [pd.cut(f[n], [0, 1, 100, 1e6]).value_counts() for n in amounts(f)],
    "value_counts": lambda f: [f[name].value_counts(dropna=False) for name in f.columns],
    "nunique": lambda f: f.nunique(),
    "unique": lambda f: [f[name].unique() for name in f.columns],
    "drop_duplicates": lambda f: f.drop_duplicates(),
    "set_index": lambda f: [f.set_index(word) for word in words(f)],
    "merge": _merged,
    "concat": lambda f: pd.concat([f, f], ignore_index=True),
    "melt": lambda f: f.melt(value_vars=amounts(f), value_name="amount") if amounts(f) else None,
    "assign": lambda f: f.assign(twice=f[amounts(f)].sum(axis=1) * 2),
    "apply": lambda f: f.apply(len, axis=1),
    "map": lambda f: f[amounts(f)].map(lambda usd: f"${usd:,.2f}"),
    "astype": lambda f: f[amounts(f)].astype("float32"),
    "to_numpy": lambda f: f[amounts(f)].to_numpy(),
    "to_dict": lambda f: f.to_dict("records"),
    "to_csv": lambda f: f.to_csv(index=False),
    "to_json": lambda f: f.to_json(orient="records"),
    "to_html": lambda f: f.to_html(),
    "to_string": lambda f: f.to_string(),
    "pickle": lambda f: pickle.loads(pickle.dumps(f)),  # noqa: S301 -- made here
    "notebook": Table._repr_html_,  # type: ignore[dict-item]
}


def test_every_frame_is_here() -> None:
    """A frame without a test below would be a frame that nobody tried."""
    assert {*frames()} == {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_usual_operations_work(name: str) -> None:
    """None of them raises or warns, and each column of amounts is made of floats."""
    frame, _ = frames()[name]
    failures = []
    for operation, act in OPERATIONS.items():
        try:
            act(frame)
        except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
            failures.append(f"{operation}: {error!r}")
    assert failures == []
    assert not [
        column
        for column in frame.columns
        if any(isinstance(value, Decimal) for value in frame[column])
    ]


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_right(name: str) -> None:
    """Sums of floats are those of the exact frame, to more digits than a bill has."""
    frame, exact = frames()[name]
    assert exact is not None
    for column in amounts(frame):
        if column in exact:
            known = [Decimal(usd) for usd in exact[column] if not pd.isna(usd)]
            assert frame[column].sum() == pytest.approx(float(sum(known, Decimal(0))), rel=1e-12)
    if "usd_hr" in frame:
        assert frame["usd_month"].dtype == "float64"


def test_what_a_chart_needs(tmp_path: Any) -> None:
    """Series of amounts are floats to whatever draws them, and Parquet can keep them."""
    frame, _ = frames()["placements"]
    assert frame.groupby("volume")["usd_month"].sum().to_numpy().dtype == float
    pytest.importorskip("pyarrow")
    frame.drop(columns=["tags"]).to_parquet(tmp_path / "plan.parquet")
    again = pd.read_parquet(tmp_path / "plan.parquet")
    assert again["usd_hr"].tolist() == frame["usd_hr"].tolist()


def test_a_plan_draws_itself() -> None:
    """A bar for each volume; without Altair the answer names the extra."""
    plan = planner.plan("shipped:minimal", planner.read_offers(DISKS))
    title = plan.plot().to_dict()["title"]
    assert title["text"] == "Cost a month by volume and site"
    assert "$294.92" in str(title)
    script = "import sys; sys.modules['altair'] = None; import planner; "
    script += f"planner.plan('shipped:minimal', planner.read_offers('{DISKS}')).plot()"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)  # noqa: PLW1510
    assert ended.returncode == 1
    assert "charts" in ended.stderr.splitlines()[-1]


def test_a_demand_is_a_dict_a_file_or_itself() -> None:
    """All of them are the same demand, wherever one is taken."""
    document = {"version": 1, "volumes": VOLUMES, "policy": POLICY, "project": "lab"}
    demand = planner.read_demand(document)
    assert planner.read_demand(demand) is demand
    offers = planner.read_offers(DISKS)
    whole = {**document, "policy": {}}
    same = planner.plan(whole, offers), planner.plan(planner.read_demand(whole), offers)
    assert same[0].plan_id == same[1].plan_id
    grid = {"max_sites": [1]}
    assert len(planner.sweep(whole, offers, grid)) == 1
    named = planner.plan("shipped:minimal", offers)
    assert named.inputs["demand"]["source"] == "shipped:minimal"
    assert named.plan_id == planner.plan(planner.read_demand("shipped:minimal"), offers).plan_id
    with pytest.raises(planner.DemandError, match="size"):
        planner.plan({"version": 1, "volumes": [{"name": "a"}]}, offers)


def test_floats_are_taken_wherever_amounts_are() -> None:
    """A limit or a percentage of a tenth is a tenth, not the binary number beside it."""
    offers = planner.read_offers(DISKS)
    plan = planner.plan("shipped:research", offers, cost_slack=0.1, accept_gap=0.5)
    assert plan.solver.cost_slack_percent == Decimal("0.1")
    price = offers["usd_gb_hr"].max()
    assert len(planner.offers(offers, planner.Filter(max_usd_gb_hr=price))) == len(offers)
    asked: dict[str | None, float] = {"research": 1200.5}
    made = planner.report(plan, budgets=asked, warn_above=80.5)
    assert made.limits[-1].usd_month == Decimal("1200.5")
    assert made.warn_above == Decimal("80.5")
    planner.diff(plan, plan).check(0.1)
    halves = offers.assign(usd_gb_hr=offers["usd_gb_hr"].astype("float32"))
    assert planner.plan("shipped:minimal", halves).placements[0].usd_gb_hr == Decimal("0.00007")
    with pytest.raises(planner.InputError, match="a demand is needed, not list"):
        planner.read_demand([1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "ask",
    [
        planner.explain,
        planner.report,
        planner.apply,
        lambda name: planner.alternatives(name, 1),
        lambda name: planner.diff(name, name),
    ],
)
def test_a_file_name_in_place_of_a_plan_says_how_to_read_one(ask: Callable[[Any], object]) -> None:
    """A demand may be a file's name, so people try it with a plan."""
    with pytest.raises(InputError, match="a plan is needed, not str") as caught:
        ask("plan.json")
    assert "planner.Plan.load" in str(caught.value.hint)


def test_a_size_without_a_unit_is_a_sentence() -> None:
    """A bare number has no unit, as in a file."""
    size: Any = 4
    with pytest.raises(InputError, match="'4' is not a size; write a number and a unit"):
        planner.where(size, planner.read_offers(DISKS))
