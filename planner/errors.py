"""Every failure planner reports, as types with data.

::

    PlannerError                     hint, exit_code
      InputError (2)                 DemandError(path, line, field), FrameError(failures)
      Infeasible (3)                 conflicts, relaxations
      MarketError (4)                method, url: never headers, never keys
        RequestNotSent               nothing was sent, safe to retry
        RequestRefused               Unauthorized, PaymentRequired, NotFound, Invalid, RateLimited
        Unavailable                  a time-out, a broken connection, a 5xx: a read may be repeated
        OutcomeUnknown (6)           a write whose answer was lost: never blindly repeated
        ContractBroken               an answer that is not what the API documents
        IncompleteListing            a listing that cannot be read whole
      PlanError (5)                  PlanCorrupt, PlanVersionUnknown, PlanInvalid(violations),
                                     PlanStale(drift), OutOfStock
      ApplyError                     PendingActions (6), Conflict (7), StateUnusable (8),
                                     JournalLocked (9), Interrupted (130)
      BudgetGate (10)                over: every budget above its threshold
      CostIncrease (10)              increase: what it costs before and after
      NotProven (11)                 plan: the incumbent
      SolverFailed (1)               the solver gave up without an answer
      Defect (1)                     planner is wrong: please report it

A message says what is wrong; ``hint`` says what to change. ``data`` is what a JSON failure adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.present.writers import list_html, paragraph_html

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class PlannerError(Exception):
    """Root of all errors that planner raises on purpose.

    Attributes
    ----------
    hint : str | None
        What the user can change.
    exit_code : int
        What the command line exits with.
    """

    exit_code = 1
    shows: tuple[str, ...] = ()
    """The attributes that are the error's data."""

    def __init_subclass__(cls, exit_code: int | None = None, shows: tuple[str, ...] = ()) -> None:
        super().__init_subclass__()
        cls.exit_code = cls.exit_code if exit_code is None else exit_code
        cls.shows += shows

    def __init__(self, message: str, *, hint: str | None = None, **data: Any) -> None:  # noqa: ANN401 -- its kind's
        super().__init__(message)
        self.hint = hint
        for name, value in data.items():
            if name not in self.shows:
                raise TypeError(f"{type(self).__name__} has no {name}")
            setattr(self, name, tuple(value) if isinstance(value, list) else value)

    @property
    def data(self) -> dict[str, Any]:
        """Return what a JSON failure carries beside error, hint and exit_code."""
        return {name: _plain(getattr(self, name)) for name in self.shows}

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values: what a failed command prints."""
        failure = {"error": str(self), "hint": self.hint, "exit_code": self.exit_code}
        return {**failure, **self.data}


def _plain(value: Any) -> Any:  # noqa: ANN401 -- whatever an error carries
    """Return a value as JSON has it: tuples as lists, what has a document as that."""
    if hasattr(value, "to_document"):
        return value.to_document()
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


class Defect(PlannerError, exit_code=1):
    """planner contradicts itself: a fresh solution fails its own check."""


class InputError(PlannerError, exit_code=2):
    """Wrong input or usage."""


class DemandError(InputError):
    """A demand file that cannot be understood.

    Attributes
    ----------
    problems : tuple of (line, column, field, message)
        Every problem; line and column are 1-based, or None where the format has none.
    """

    def __init__(
        self,
        path: str,
        problems: Sequence[tuple[int | None, int | None, str, str]],
        *,
        hint: str | None = None,
    ) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(self._lines()), hint=hint)

    def _lines(self) -> list[str]:
        lines = []
        for line, column, field, message in self.problems:
            place = ":".join(str(part) for part in (self.path, line, column) if part is not None)
            lines.append(f"{place}: {field}: {message}" if field else f"{place}: {message}")
        return lines

    @property
    def line(self) -> int | None:
        """Return the line of the first problem."""
        return self.problems[0][0]

    @property
    def field(self) -> str:
        """Return the field of the first problem."""
        return self.problems[0][2]

    @property
    def data(self) -> dict[str, Any]:
        """Return path and every problem."""
        keys = ("line", "column", "field", "message")
        return {
            "path": self.path,
            "problems": [dict(zip(keys, row, strict=True)) for row in self.problems],
        }


class FrameError(InputError, shows=("failures",)):
    """A frame that is not as declared: ``failures`` has a sentence for each column."""

    def __init__(self, what: str, failures: Sequence[str]) -> None:
        self.failures = tuple(failures)
        super().__init__(f"{what}: " + "; ".join(self.failures))


class Infeasible(PlannerError, exit_code=3, shows=("conflicts", "relaxations", "warnings")):
    """No plan satisfies the demand on this market.

    Attributes
    ----------
    conflicts : tuple of dict
        What cannot hold: ``reason``, ``message``, what it concerns, and ``rules`` (rule → offers
        that break it); entries with the same ``conflict`` number cannot hold together.
    relaxations : Relaxations
        A tuple of the smallest sets of changes that give a plan, cheapest first: ``changes``,
        ``text``, ``usd_month`` and the changed ``demand``.
    warnings : tuple of str
        What is unusual about the demand or the market, and may be the cause.
    """

    conflicts: tuple[dict[str, Any], ...] = ()
    relaxations: tuple[Any, ...] = ()
    warnings: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        advice = list_html(filter(None, (self.hint, *self.warnings)))
        drawn = getattr(self.relaxations, "_repr_html_", None)
        if drawn is None:
            return paragraph_html(str(self)) + advice
        message = str(self).removesuffix(str(self.relaxations)).rstrip()
        return paragraph_html(message) + str(drawn()) + advice


_ASK_AGAIN = "check the base URL and run it again, or plan on a snapshot with --offers FILE"


class MarketError(PlannerError, exit_code=4, shows=("method", "url")):
    """The marketplace is unreachable, refused, or its answer cannot be read.

    Attributes
    ----------
    method, url : str
        The request, without headers and without keys.
    retry_after : float | None
        Seconds the marketplace asked to wait, None where it did not.
    """

    def __init__(
        self,
        message: str,
        *,
        method: str = "GET",
        url: str = "",
        hint: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint or _ASK_AGAIN)
        self.method = method
        self.url = url
        self.retry_after = retry_after


class RequestNotSent(MarketError):
    """Nothing was sent; the request may be sent again."""


class RequestRefused(MarketError, shows=("status",)):
    """The marketplace refused the request: ``status`` is the HTTP status."""

    def __init__(self, message: str, *, status: int, **request: Any) -> None:  # noqa: ANN401 -- as MarketError
        super().__init__(message, **request)
        self.status = status


class Unauthorized(RequestRefused):
    """401 or 403: the key is wrong or lacks the scope."""


class PaymentRequired(RequestRefused):
    """402: the wallet is empty."""


class NotFound(RequestRefused):
    """404: no such thing at this URL."""


class Invalid(RequestRefused, shows=("fields",)):
    """400 or 422: the request itself is wrong; ``fields`` are those the marketplace names."""

    fields: tuple[str, ...] = ()


class RateLimited(RequestRefused):
    """429: too many requests."""


class Unavailable(MarketError):
    """A read that failed for now: a time-out, a broken connection, a 5xx."""


class OutcomeUnknown(MarketError, exit_code=6):
    """A write whose answer was lost or not understood: it may have been done or not."""


class ContractBroken(MarketError):
    """An answer that is not what the API documents."""


class IncompleteListing(MarketError):
    """A listing that could not be read whole; a part of the market is not the market."""


class PlanError(PlannerError, exit_code=5):
    """A plan file that cannot be used."""


class PlanCorrupt(PlanError):
    """The file is not a plan, or a byte of it changed since planner wrote it."""


class PlanVersionUnknown(PlanError):
    """The plan was written in a format that this version cannot read."""


class PlanInvalid(PlanError, shows=("violations",)):
    """The plan contradicts itself: ``violations`` has every constraint that does not hold."""

    violations: tuple[str, ...] = ()


class PlanStale(PlanError, shows=("drift",)):
    """The plan no longer fits the marketplace, the account or the limits; nothing more was sent.

    ``drift`` has one sentence for each thing that has changed.
    """

    def __init__(self, message: str, *, drift: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint or "make the plan again on today's market")
        self.drift = tuple(drift)


class OutOfStock(PlanStale):
    """An offer of the plan cannot be bought any more."""


class ApplyError(PlannerError):
    """A failure of apply and the other commands that work on the account."""


class PendingActions(ApplyError, exit_code=6):
    """An outcome is unknown, or work remains: run again."""


class Conflict(ApplyError, exit_code=7):
    """The account has something that planner must not decide about: a person must look."""


class StateUnusable(ApplyError, exit_code=8):
    """The state directory cannot be written, or its journal is damaged."""


class JournalLocked(ApplyError, exit_code=9):
    """Another run is using the state directory."""


class Interrupted(ApplyError, exit_code=130):
    """Stopped by the user."""


class BudgetGate(PlannerError, exit_code=10, shows=("over",)):
    """A budget is spent beyond the threshold that was asked for, or may be.

    Attributes
    ----------
    over : tuple of dict
        One for each budget: ``project``, ``owner``, ``limit_usd_month``, ``projected_usd_month``,
        ``above_usd_month`` (the excess), ``percent``, ``unpriced`` and ``largest``
        (the largest costs: names with USD per month).
    """

    over: tuple[dict[str, Any], ...] = ()


class CostIncrease(PlannerError, exit_code=10, shows=("increase",)):
    """The cost rises by more than was allowed, or may.

    Attributes
    ----------
    increase : dict
        ``old_usd_month``, ``new_usd_month``, ``difference_usd_month``, ``percent`` and
        ``allowed_percent``, as exact text; ``percent`` is null where the cost before was zero.
    """

    increase: Mapping[str, Any] | None = None


class SolverFailed(PlannerError, exit_code=1):
    """The solver gave up without an answer: neither a plan nor a proof that there is none."""


class NotProven(PlannerError, exit_code=11, shows=("plan",)):
    """The time limit, or the limit of work, came before the proof.

    Attributes
    ----------
    plan : planner.Plan | None
        The best plan so far, labelled with its gap; None where there is none.
    """

    plan: Any = None
