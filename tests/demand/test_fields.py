from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from planner.demand.read import demand_from

Problems = Callable[..., dict[str, str]]


def _volume(**fields: object) -> Any:
    document = {"version": 1, "volumes": [{"name": "a", "size": "4 TB", **fields}]}
    return demand_from(document).volumes[0]


@pytest.mark.parametrize(
    ("text", "size_gb"),
    [
        ("4 TB", 4000),
        ("800GB", 800),
        ("0.5 tb", 500),
        ("500G", 500),
        ("500Gi", 537),
        ("1_000 GB", 1000),
        ("2\u00a0TB", 2000),
        ("1 GiB", 2),
        ("1 TiB", 1100),
        ("1 PB", 10**6),
    ],
)
def test_a_size_is_a_number_and_a_unit(text: str, size_gb: int) -> None:
    """Decimal units are exact, binary ones are converted and rounded up to whole GB."""
    assert _volume(size=text).size_gb == size_gb


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (800, "800 has no unit; write '800 GB', or size_gb: 800"),
        ("800", "800 has no unit; write '800 GB', or size_gb: 800"),
        (Decimal("1.5"), "1.5 has no unit; write '1.5 GB'"),
        (True, "a size such as '800 GB' or '4 TB' was expected, not true"),
        ("4 XB", "'4 XB' is not a size"),
        ("-4 TB", "'-4 TB' is not a size"),
        ("0 GB", "the size is nothing"),
        ("2000000 PB", "is more than 1000000000 GB"),
        ("9" * 500, "a size such as"),
        ([], "not a list"),
    ],
)
def test_a_size_without_sense_is_refused(problems: Problems, value: object, advice: str) -> None:
    """A bare number could be GB or TB: the message says what to write."""
    assert advice in problems({"size": value})["volumes[0].size"]


@pytest.mark.parametrize("value", [0, -1, 10**9 + 1, "800", True, Decimal("800.0"), 1.5])
def test_size_gb_is_a_whole_number_in_bounds(problems: Problems, value: object) -> None:
    """Neither a bool, a quoted number nor a fraction passes for whole GB."""
    assert list(problems({"size": None, "size_gb": value})) == ["volumes[0].size_gb"]


@pytest.mark.parametrize(
    ("written", "percent"),
    [
        ("25%", 25),
        (25, 25),
        ("25", 25),
        (Decimal("12.5"), Decimal("12.5")),
        ("0.25%", Decimal("0.25")),
        (0, 0),
        (1000, 1000),
        (12.5, Decimal("12.5")),
    ],
)
def test_headroom_is_per_cent(written: object, percent: Decimal) -> None:
    """25 and '25%' are the same headroom."""
    assert _volume(headroom=written).headroom_percent == percent


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Decimal("0.25"), "ambiguous; write '25%' or '0.25%'"),
        (0.25, "ambiguous"),
        ("0.25", "ambiguous"),
        (1001, "headroom is 0% to 1000%, not 1001"),
        (-5, "headroom is 0% to 1000%, not -5"),
        (True, "a percentage such as '25%' or 25 was expected, not true"),
        ("much", "'much' is not a percentage"),
        ("9" * 500, "a percentage such as"),
        (Decimal("1E+999999"), "has more than 40 digits"),
    ],
)
def test_a_headroom_without_sense_is_refused(
    problems: Problems, value: object, advice: str
) -> None:
    """A quarter and a quarter of one per cent are not guessed apart."""
    assert advice in problems({"headroom": value})["volumes[0].headroom"]


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (0.00012, "0.00012"),
        ("0.00012", "0.00012"),
        ("1.2e-4", "0.00012"),
        (Decimal("0.00011545611010752688123"), "0.00011545611010752688123"),
        (1, "1"),
    ],
)
def test_a_price_is_exact(value: object, exact: str) -> None:
    """No digit of a price is lost to binary floats, nor added by them."""
    assert _volume(max_usd_gb_hr=value).max_usd_gb_hr == Decimal(exact)


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        Decimal("NaN"),
        Decimal("Infinity"),
        float("nan"),
        True,
        "$1",
        "1 USD",
        "",
        [1],
        Decimal("1E-41"),
        Decimal("1E+40"),
        10**4000,
        "1_0",
    ],
)
def test_a_price_without_sense_is_refused(problems: Problems, value: object) -> None:
    """A ceiling of nothing, of infinity or of a currency sign is not a price."""
    assert list(problems({"max_usd_gb_hr": value})) == ["volumes[0].max_usd_gb_hr"]


def test_budgets_are_exact_and_at_least_zero(problems: Problems) -> None:
    """A budget of nothing is a budget; a negative one is a slip."""
    demand = demand_from(
        {
            "version": 1,
            "volumes": [{"name": "a", "size": "4 TB"}],
            "policy": {"budget_usd_month": 0, "budgets": {"research": "99.90"}},
        }
    )
    assert demand.policy.budget_usd_month == 0
    assert demand.policy.budgets == {"research": Decimal("99.9")}
    wrong = problems(policy={"budget_usd_month": -1, "budgets": {"x": "lots"}})
    assert set(wrong) == {"policy.budget_usd_month", "policy.budgets.x"}


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [("replicas", 1, 100), ("count", 1, 10_000), ("max_disks", 1, 1000)],
)
def test_whole_numbers_have_bounds(problems: Problems, field: str, low: int, high: int) -> None:
    """Both bounds are accepted, and the next number beyond either is not."""
    for value in (low, high):
        _volume(**{field: value})
    wrong: tuple[object, ...] = (low - 1, high + 1, "2", True, Decimal("2.0"))
    for each in wrong:
        assert list(problems({field: each})) == [f"volumes[0].{field}"]


def test_a_month_has_672_to_744_hours(problems: Problems) -> None:
    """The shortest month has 672 hours and the longest 744."""
    base = {"version": 1, "volumes": [{"name": "a", "size": "4 TB"}]}
    assert demand_from(base).policy.hours_per_month == 730
    for hours in (672, 744):
        demand = demand_from({**base, "policy": {"hours_per_month": hours}})
        assert demand.policy.hours_per_month == hours
    for hours in (671, 745):
        assert list(problems(policy={"hours_per_month": hours})) == ["policy.hours_per_month"]


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 65, "a/b", "a\n", 5, None])
def test_a_name_is_plain(problems: Problems, name: object) -> None:
    """Names are ASCII letters, digits, dash, underscore and dot, at most 64."""
    assert "volumes[0].name" in problems({"name": name})
    if name is not None:
        assert "project" in problems(project=name)


@pytest.mark.parametrize("field", ["regions", "countries", "data_centers", "providers"])
def test_an_allow_list_allows_something(problems: Problems, field: str) -> None:
    """An empty list would allow nothing, and a text is not a list of one."""
    assert _volume(**{field: ["b", "a", "b"]}).model_dump()[field] == ("a", "b")
    assert _volume(**{field: None}).model_dump()[field] is None
    advice = problems({field: []})[f"volumes[0].{field}"]
    assert advice.startswith("an empty list allows nothing; leave it out, or null")
    advice = problems({field: "united_states"})[f"volumes[0].{field}"]
    assert "write a list: [united_states]" in advice
    assert list(problems({field: ["x", 5, ""]})) == [
        f"volumes[0].{field}[1]",
        f"volumes[0].{field}[2]",
    ]


def test_an_exclusion_may_be_empty_and_may_contradict(problems: Problems) -> None:
    """Excluding nothing is harmless; excluding all that is allowed is for the solver to tell."""
    volume = _volume(regions=["x"], exclude={"regions": ["x", "x"], "providers": []})
    assert volume.exclude.regions == ("x",)
    assert volume.exclude.providers == ()
    assert list(problems({"exclude": {"regions": "x"}})) == ["volumes[0].exclude.regions"]


def test_live_disks_are_named_by_their_ids() -> None:
    """In the order of the replicas; none, null and an empty list name none."""
    named = _volume(disks=["disk-0002", "disk-0001"], replicas=2)
    assert named.disks == ("disk-0002", "disk-0001")
    assert _volume().disks == _volume(disks=[]).disks == _volume(disks=None).disks == ()


@pytest.mark.parametrize(
    "wrong", ["short", "a" * 65, "../../x/y/z", "disk 0001", "disk-0001\n", ""]
)
def test_an_id_that_no_disk_can_have_is_refused(wrong: str, problems: Problems) -> None:
    """8 to 64 letters, digits, - and _, for it comes to stand in a URL."""
    assert list(problems({"disks": [wrong]})) == ["volumes[0].disks[0]"]


@pytest.mark.parametrize("wrong", ["disk-0001", {"disk-0001": 1}, 5, [5], [None], [["disk-0001"]]])
def test_disks_are_a_list_of_texts(wrong: object, problems: Problems) -> None:
    """Anything else is told at its place."""
    assert next(iter(problems({"disks": wrong}))).startswith("volumes[0].disks")


def test_disks_belong_to_one_volume(problems: Problems) -> None:
    """Not to the defaults, not to one that is counted, and not to two."""
    assert "one volume" in problems(defaults={"disks": ["disk-0001"]})["defaults.disks"]
    counted = problems({"disks": ["disk-0001"], "count": 1})
    assert "`count` makes several volumes" in counted["volumes[0].disks"]
    by_default = problems({"disks": ["disk-0001"]}, defaults={"count": 2})
    assert "`count` makes several volumes" in by_default["volumes[0].disks"]


def _policy(**fields: object) -> Any:
    document = {"version": 1, "volumes": [{"name": "a", "size": "4 TB"}], "policy": fields}
    return demand_from(document).policy


@pytest.mark.parametrize(
    ("written", "share"),
    [
        (Decimal("0.7"), "0.7"),
        (0.7, "0.7"),
        ("0.7", "0.7"),
        ("70%", "0.7"),
        (" 70 % ", "0.7"),
        ("33.3333333333%", "0.333333333333"),
        ("0.333333333333", "0.333333333333"),
        ("1%", "0.01"),
        (1, "1"),
        ("1", "1"),
        ("100%", "1"),
        ("70.000000000000000000000000000%", "0.7"),
    ],
)
def test_a_share_is_an_exact_part_of_the_whole(written: object, share: str) -> None:
    """0.7 and '70%' are the same share, 1 is all of it, and no digit is lost."""
    assert _policy(max_provider_share=written).max_provider_share == Decimal(share)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (70, "70 has no sign; write '70%' or 0.7"),
        ("70", "'70' has no sign; write '70%' or 0.7"),
        (Decimal("1.5"), "write '1.5%' or 0.015"),
        (100, "write '100%' or 1"),
        (101, "a share is at most 100%, not 101"),
        ("100.1%", "a share is at most 100%, not '100.1%'"),
        (0, "a share is more than 0, not 0"),
        ("0%", "a share is more than 0, not '0%'"),
        (-1, "a share is more than 0, not -1"),
        ("0.3333333333333", "has more than 12 decimals as a part of 1"),
        ("33.33333333333%", "has more than 12 decimals as a part of 1"),
        ("much%", "a share such as '70%' or 0.7 was expected, not 'much%'"),
        ("%", "was expected, not '%'"),
        ("70%%", "was expected, not '70%%'"),
        (True, "was expected, not true"),
        (Decimal("NaN"), "was expected, not NaN"),
        ([0.7], "was expected, not a list"),
        (10**4000, "has more than 40 digits"),
    ],
)
def test_a_share_without_sense_is_refused(problems: Problems, value: object, advice: str) -> None:
    """A number above one may be meant as per cent: the message says how to write either."""
    assert advice in problems(policy={"max_provider_share": value})["policy.max_provider_share"]


@pytest.mark.parametrize("field", ["max_sites", "max_providers"])
def test_a_cap_is_a_whole_number_from_one(problems: Problems, field: str) -> None:
    """Nothing can be stored at no site; null and silence cap nothing."""
    assert getattr(_policy(**{field: 1}), field) == 1
    assert getattr(_policy(**{field: None}), field) is None
    assert getattr(_policy(), field) is None
    wrong: tuple[object, ...] = (0, -1, "2", True, Decimal("2.0"), 10**400)
    for value in wrong:
        assert list(problems(policy={field: value})) == [f"policy.{field}"]


def test_sequential_is_a_switch(problems: Problems) -> None:
    """Only true lets jobs take turns."""
    assert _policy(sequential=True).sequential is True
    assert [_policy(**each).sequential for each in ({}, {"sequential": None})] == [False, False]
    assert list(problems(policy={"sequential": "yes"})) == ["policy.sequential"]


@pytest.mark.parametrize("version", [2, "1", True, None, Decimal("1.0")])
def test_only_version_1_is_read(problems: Problems, version: object) -> None:
    """A file of another version is not guessed at."""
    assert "write `version: 1`, not" in problems(version=version)["version"]


def test_text_must_be_valid_unicode(problems: Problems) -> None:
    """Half a surrogate pair can neither be printed nor hashed."""
    assert "not valid Unicode" in problems({"owner": "\ud800"})["volumes[0].owner"]
