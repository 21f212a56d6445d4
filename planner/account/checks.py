"""A check: what was looked at, how it stands, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from planner.errors import PlannerError

Standing = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        What, in lower case with underscores; stable.
    state : {"ok", "warning", "failed", "skipped"}
        How it stands.
    says : str
        In a sentence.
    do : str | None
        What a person can do about it.
    exit_code : int
        What it exits with where it failed.
    facts : dict
        Figures behind the sentence, as JSON values; amounts as text.
    """

    name: str
    state: Standing
    says: str
    do: str | None = None
    exit_code: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        names = ("name", "state", "says", "do", "facts")
        return {name: getattr(self, name) for name in names}


def ok(name: str, says: str, **facts: Any) -> Check:  # noqa: ANN401 -- JSON values
    """Return a check that found nothing wrong."""
    return Check(name, "ok", says, facts=facts)


def warning(name: str, says: str, do: str, **facts: Any) -> Check:  # noqa: ANN401 -- JSON values
    """Return a check that found what a person should know."""
    return Check(name, "warning", says, do, facts=facts)


def skipped(name: str, says: str, do: str | None = None) -> Check:
    """Return a check that could not be made."""
    return Check(name, "skipped", says, do)


def failed(name: str, error: PlannerError) -> Check:
    """Return a check that ended with an error."""
    return Check(name, "failed", str(error), error.hint, error.exit_code)


@dataclass(frozen=True)
class Report:
    """All checks, in the order in which they were made."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """Return 0 where nothing failed, else the code of the gravest failure: the highest."""
        return max((one.exit_code for one in self.checks if one.state == "failed"), default=0)

    def to_document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "exit_code": self.exit_code,
            "checks": [one.to_document() for one in self.checks],
        }
