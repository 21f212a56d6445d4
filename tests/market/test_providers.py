"""Provider facts: each has a source and a date, and says when it is old."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

import planner
from planner.errors import InputError
from planner.market.providers import PROVIDERS, ProviderFact, attach_limit, provider_facts
from planner.schema import records
from planner.shipped import shipped_path

TODAY = date(2026, 11, 27)


def test_every_fact_can_be_cited() -> None:
    """One fact of a kind for a provider, read on a day that has been, in the file's own order."""
    facts = provider_facts()
    keys = [(one.provider, one.fact) for one in facts]
    assert keys == sorted(set(keys))
    assert all(one.read_on <= datetime.now(UTC).date() for one in facts)
    text = shipped_path("providers").read_text(encoding="utf-8")
    assert text.count("- provider:") == len(facts)


@pytest.mark.parametrize("fact", provider_facts(), ids=lambda one: f"{one.provider} {one.fact}")
def test_a_value_is_of_its_kind(fact: ProviderFact) -> None:
    """A limit is a number of disks, growth is yes or no, and when is one of two moments."""
    kinds = {
        "attach_limit": type(fact.value) is int and fact.value >= 1,
        "attach_when": fact.value in {"any time", "pod creation"},
        "can_grow": type(fact.value) is bool,
    }
    assert kinds[fact.fact]


def test_the_documented_attach_limits() -> None:
    """Runpod mounts one network volume; Crusoe 16 disks, the OS disk among them."""
    assert attach_limit("runpod", {}, TODAY) == (1, "")
    assert attach_limit("crusoecloud", {}, TODAY) == (15, "")
    assert attach_limit("hyperstack", {}, TODAY) == (None, "")


def test_the_demand_knows_better() -> None:
    """What is stated overrides a fact, its age included, and says what is unknown."""
    stated = {"runpod": 4, "hyperstack": 2}
    late = date(2030, 1, 1)
    assert attach_limit("runpod", stated, late) == (4, "")
    assert attach_limit("hyperstack", stated, late) == (2, "")
    limit, old = attach_limit("crusoecloud", stated, late)
    assert limit == 15
    assert "over a year ago" in old
    assert "https://docs.crusoecloud.com/" in old


def test_the_frame_has_every_fact_and_its_age() -> None:
    """A year is counted from the time that is given."""
    frame = planner.providers(now=datetime(2026, 12, 1, tzinfo=UTC))
    assert list(frame.columns) == [column.name for column in PROVIDERS]
    assert len(frame) == len(provider_facts())
    assert not frame["is_old"].any()
    late = records(planner.providers("runpod", now=datetime(2027, 8, 2, tzinfo=UTC)))
    assert {row["provider"] for row in late} == {"runpod"}
    assert {row["fact"]: row["is_old"] for row in late} == {
        "attach_limit": True,
        "attach_when": True,
        "can_grow": False,
    }


@pytest.mark.parametrize(
    ("name", "hint"), [("runpd", "did you mean runpod?"), ("x\x1b", "known: crusoecloud, ")]
)
def test_a_provider_without_facts_is_an_error_with_the_nearest(name: str, hint: str) -> None:
    """It is not the same as a provider without limits."""
    with pytest.raises(InputError, match="no facts are known about provider") as caught:
        planner.providers(name)
    assert (caught.value.hint or "").startswith(hint)
    assert "\x1b" not in str(caught.value)
