"""Provider facts: limits of the providers behind the marketplace that its listings do not carry.

Whether the marketplace lifts them is unknown, so they hold unless the demand says otherwise
(``policy.attach_limits``). A fact that is not in ``data/providers.yaml`` is unknown.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from planner.errors import InputError
from planner.schema import TEXT, YES_NO, Column, build
from planner.shipped import shipped_path
from planner.text import suggestion, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

FactName = Literal["attach_limit", "attach_when", "can_grow"]


class ProviderFact(BaseModel):
    """One documented limit of a provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str = Field(min_length=1, description="provider type, as in the listings")
    fact: FactName = Field(
        description="attach_limit: network disks that one pod can mount; attach_when: when a disk "
        "can be attached; can_grow: whether the provider can enlarge a disk"
    )
    value: int | bool | str = Field(description="a number, yes or no, or when")
    says: str = Field(min_length=1, description="what the source says")
    source: str = Field(pattern="^https://", description="where it says so")
    read_on: date = Field(description="day the source was read, UTC")

    @property
    def text(self) -> str:
        """Return its value as people read it."""
        return ("yes" if self.value else "no") if isinstance(self.value, bool) else str(self.value)

    def is_old(self, day: date) -> bool:
        """Return whether the source was read more than a year before a day.

        >>> fact = ProviderFact(provider="p", fact="can_grow", value=True, says="yes",
        ...     source="https://example.org", read_on="2025-03-01")
        >>> fact.is_old(date(2026, 3, 1)), fact.is_old(date(2026, 3, 2))
        (False, True)
        """
        month_and_day = (day.month, day.day) > (self.read_on.month, self.read_on.day)
        return day.year - self.read_on.year - (not month_and_day) >= 1


PROVIDERS = (
    *(
        Column(name, TEXT, field.description or "")
        for name, field in ProviderFact.model_fields.items()
    ),
    Column("is_old", YES_NO, "read more than a year ago"),
)
"""Columns of the facts as a frame: the fields of `ProviderFact`, and their age."""


@cache
def provider_facts() -> tuple[ProviderFact, ...]:
    """Return every fact, by provider and name."""
    from ruamel.yaml import YAML  # noqa: PLC0415 -- only who asks for facts pays for it

    rows = YAML(typ="safe", pure=True).load(shipped_path("providers"))
    facts = (ProviderFact.model_validate(row) for row in rows)
    return tuple(sorted(facts, key=lambda one: (one.provider, one.fact)))


def providers(name: str | None = None, *, now: datetime | None = None) -> pd.DataFrame:
    """Return what is known of providers beyond the marketplace's listings, with its sources.

    Parameters
    ----------
    name : str | None
        One provider; None for all.
    now : datetime | None
        When a fact's age is counted from; None is the present.

    Returns
    -------
    DataFrame
        Columns ``PROVIDERS``, one row for each fact, by provider and name.

    Raises
    ------
    InputError
        When no fact is known of that provider; the hint names the nearest.

    Examples
    --------
    >>> import planner
    >>> planner.providers("runpod").set_index("fact").loc["attach_limit", "value"]
    '1'
    """
    facts = provider_facts()
    known = list(dict.fromkeys(fact.provider for fact in facts))
    if name is not None and name not in known:
        raise InputError(
            f"no facts are known about provider '{visible(name[:60])}'",
            hint=suggestion(name, known, f"known: {', '.join(known)}"),
        )
    day = (now or datetime.now(UTC)).astimezone(UTC).date()
    rows = [
        {
            **fact.model_dump(),
            "value": fact.text,
            "read_on": fact.read_on.isoformat(),
            "is_old": fact.is_old(day),
        }
        for fact in facts
        if name in {None, fact.provider}
    ]
    return build(rows, PROVIDERS)


def documented_limits() -> dict[str, int]:
    """Return how many network disks one pod can mount, by provider, where that is documented."""
    facts = provider_facts()
    return {one.provider: int(one.value) for one in facts if one.fact == "attach_limit"}


def attach_limit(provider: str, stated: Mapping[str, int], day: date) -> tuple[int | None, str]:
    """Return how many network disks one pod of a provider can mount, and since when that is known.

    Parameters
    ----------
    stated : mapping
        ``policy.attach_limits``: what the demand knows better.
    day : date
        When a fact's age is counted from.

    Returns
    -------
    int | None, str
        None is unknown. The text says that a fact is old; empty otherwise.
    """
    if provider in stated:
        return stated[provider], ""
    for fact in provider_facts():
        if (fact.provider, fact.fact) == (provider, "attach_limit"):
            old = f"read on {fact.read_on}, over a year ago: check {fact.source}"
            return int(fact.value), old if fact.is_old(day) else ""
    return None, ""
