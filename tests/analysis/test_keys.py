"""Keys of a grid: each is about one thing; one that is about nothing is told what is nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from planner.analysis.grid import FACTORS, Known, Subject, counted_again, subject
from planner.demand.read import demand_from
from planner.demand.schema import DefaultsInput, PolicyInput, WorkloadInput
from planner.errors import InputError

if TYPE_CHECKING:
    from planner.analysis.grid import Section
    from planner.demand.model import Demand

BOTH: dict[Section, set[str]] = {
    "price_factor": {"runpod", "dc_roan"},
    "gpu_price_factor": {"runpod"},
}
ALL = ("corpus", "a.b", "scratch-1", "scratch-2", "size")


def demand(*names: str, jobs: bool = True, **more: Any) -> Demand:
    volumes = [{"name": name, "size_gb": 100, "owner": "ada"} for name in names]
    job = {"name": "train", "gpu": "H100_80GB", "mounts": [names[0]]}
    return demand_from(
        {"version": 1, "volumes": volumes, "workloads": [job] if jobs else [], **more}
    )


def known(
    *names: str, jobs: bool = True, providers: dict[Section, set[str]] | None = None, **more: Any
) -> Known:
    of = BOTH if providers is None else providers
    return Known(demand(*(names or ALL), jobs=jobs, **more), of, ["bob"])


@pytest.mark.parametrize(
    ("key", "part", "names", "word"),
    [
        ("max_sites", "policy", (), "max_sites"),
        ("policy.max_sites", "policy", (), "max_sites"),
        ("hours_per_month", "policy", (), "hours_per_month"),
        ("budgets", "policy", (), "budgets"),
        ("budgets.ada", "policy", (), "budgets.ada"),
        ("policy.budgets.bob", "policy", (), "budgets.bob"),
        ("replicas", "volumes", ALL, "replicas"),
        ("volumes.replicas", "volumes", ALL, "replicas"),
        ("regions", "volumes", ALL, "regions"),
        ("exclude.regions", "volumes", ALL, "exclude.regions"),
        ("corpus.replicas", "volumes", ("corpus",), "replicas"),
        ("volumes.corpus.exclude.countries", "volumes", ("corpus",), "exclude.countries"),
        ("a.b.size", "volumes", ("a.b",), "size"),
        ("scratch.size", "volumes", ("scratch-1", "scratch-2"), "size"),
        ("scratch-2.size", "volumes", ("scratch-2",), "size"),
        ("size", "volumes", ALL, "size"),
        ("size.size", "volumes", ("size",), "size"),
        ("gpus", "workloads", ("train",), "gpus"),
        ("workloads.regions", "workloads", ("train",), "regions"),
        ("workloads.train.hours_per_month", "workloads", ("train",), "hours_per_month"),
        ("price_factor", "price_factor", (), ""),
        ("price_factor.dc_roan", "price_factor", ("dc_roan",), ""),
        ("gpu_price_factor", "gpu_price_factor", (), ""),
        ("gpu_price_factor.runpod", "gpu_price_factor", ("runpod",), ""),
    ],
)
def test_a_key_is_about(key: str, part: Section, names: tuple[str, ...], word: str) -> None:
    """A bare word is the policy's or every volume's; a longer spelling reaches the others."""
    assert subject(key, known()) == Subject(part, names, word)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("policy", "volumes.policy.size"),
        ("policy", "policy.size"),
        ("volumes", "volumes.volumes.size"),
        ("workloads", "workloads.size"),
        ("exclude", "volumes.exclude.regions"),
        ("budgets", "volumes.budgets.size"),
        ("price_factor", "volumes.price_factor.size"),
        ("volumes.x", "volumes.x.size"),
    ],
)
def test_a_volume_that_is_called_like_a_word_can_be_reached(name: str, key: str) -> None:
    """Whatever a volume is called, there is a key for its fields."""
    found = subject(key, known(name, "other"))
    assert (found.part, found.names) == ("volumes", (name,))


@pytest.mark.parametrize(
    ("key", "message", "hint"),
    [
        ("replcas", "unknown setting `replcas`", "`replicas`"),
        ("max_site", "unknown setting `max_site`", "`max_sites`"),
        ("price_fator", "unknown setting `price_fator`", "`price_factor`"),
        ("xyzzy", "unknown setting `xyzzy`", "write a field of the demand file"),
        ("policy.max_site", "the policy has no field `max_site`", "`policy.max_sites`"),
        ("corpus.replcas", "volume corpus has no field `replcas`", "`corpus.replicas`"),
        ("a.b.exclude.region", "volume a.b has no field `exclude.region`", "`a.b.exclude.regions`"),
        ("corpsu.replicas", "no volume is called 'corpsu'", "`corpus.replicas`"),
        ("scrath.size", "no volume is called 'scrath'", "`scratch.size`"),
        ("volumes.corpsu.size", "no volume is called 'corpsu'", "`volumes.corpus.size`"),
        ("workloads.trian.gpus", "no workload is called 'trian'", "`workloads.train.gpus`"),
        (
            "workloads.train.socke",
            "workload train has no field `socke`",
            "`workloads.train.socket`",
        ),
        ("workloads.xyzzy.gpus", "no workload is called 'xyzzy'", "there is train"),
        ("train.gpus", "`train.gpus` is about a workload", "`workloads.train.gpus`"),
        ("budgets.xyzzy", "`budgets.xyzzy`: no volume is owned by 'xyzzy'", "there is ada, bob"),
        ("budgets.aba", "`budgets.aba`: no volume is owned by 'aba'", "`budgets.ada`"),
        (
            "price_factor.runpd",
            "`price_factor.runpd`: no provider 'runpd' in this market",
            "`price_factor.runpod`",
        ),
        ("count", "`count` cannot be varied", "has been expanded"),
        ("corpus.tags", "`corpus.tags` cannot be varied", "tags change no plan"),
        ("corpus.name", "`corpus.name` cannot be varied", "a name changes no plan"),
        ("groups", "`groups` cannot be varied", "change the demand"),
        ("", "unknown setting ``", "write a field"),
        ("evil\x1b[2J", "unknown setting `evil\\x1b[2J`", "write a field"),
    ],
)
def test_a_key_about_nothing_is_an_error(key: str, message: str, hint: str) -> None:
    """The message repeats what was written, the hint has the nearest that there is."""
    with pytest.raises(InputError) as caught:
        subject(key, known())
    assert str(caught.value) == message
    assert hint in str(caught.value.hint)


def test_a_key_that_fits_two_volumes_is_an_error() -> None:
    """A volume's exclusion and a field of the volume that is called so are told apart by nobody."""
    with pytest.raises(
        InputError, match=r"could mean `exclude\.regions` of one volume and `regions`"
    ):
        subject("a.exclude.regions", known("a", "a.exclude"))


def test_what_is_not_there_cannot_be_changed() -> None:
    """GPU prices without GPUs, jobs without workloads."""
    with pytest.raises(InputError, match="there are no GPU offers to change the price of"):
        subject("gpu_price_factor", known(providers={"price_factor": {"runpod"}}))
    for key in ("gpus", "workloads.regions"):
        with pytest.raises(InputError, match="the demand has no workloads"):
            subject(key, known(jobs=False))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a"], {"a": ("a",)}),
        (["s-1", "s-2", "s-3"], {"s": ("s-1", "s-2", "s-3")}),
        (["s-1"], {"s": ("s-1",)}),
        (["s-2", "s-1"], {"s-2": ("s-2",), "s": ("s-1",)}),
        (["s-1", "x", "s-2"], {"s": ("s-1",), "x": ("x",), "s-2": ("s-2",)}),
        (["s-1", "s-3"], {"s": ("s-1",), "s-3": ("s-3",)}),
        (["s", "s-1", "s-2"], {"s": ("s",), "s-1": ("s-1",), "s-2": ("s-2",)}),
        (["s-01", "-1"], {"s-01": ("s-01",), "-1": ("-1",)}),
        (["s-1-1", "s-1-2"], {"s-1": ("s-1-1", "s-1-2")}),
    ],
)
def test_names_are_counted_again(names: list[str], found: dict[str, tuple[str, ...]]) -> None:
    """Runs from -1 up, one after the other, go by their stem, unless a volume is called so."""
    assert dict(counted_again(names)) == found


def test_a_count_of_the_demand_file_is_counted_again() -> None:
    """What the file's count expands to, its name stands for."""
    made = demand_from(
        {
            "version": 1,
            "volumes": [
                {"name": "x", "size_gb": 1},
                {"name": "s", "size_gb": 1, "count": 12},
                {"name": "y", "size_gb": 1},
            ],
        }
    )
    entries = dict(counted_again([volume.name for volume in made.volumes]))
    assert entries["s"] == tuple(f"s-{n}" for n in range(1, 13))
    assert entries.keys() == {"x", "s", "y"}


def test_every_field_of_the_file_has_a_key_or_a_reason() -> None:
    """A field that the file learns later is not forgotten here."""
    for word in DefaultsInput.model_fields:
        if word in {"count", "tags"}:
            continue
        assert subject(word, known()).part == "volumes"
    for word in PolicyInput.model_fields:
        assert subject(word, known()).part == "policy"
    for word in WorkloadInput.model_fields.keys() - {"name"}:
        assert subject(f"workloads.{word}", known()).part == "workloads"
    for word in FACTORS:
        assert subject(word, known()).part == word
