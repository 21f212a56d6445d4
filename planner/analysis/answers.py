"""Answers to questions about a plan: what another plan costs, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from decimal import Decimal

    from planner.solve.problem import Chosen

NEAR_OPTIMAL = "a large program: the cost is proven to a millionth of it, not to the last cent"
NOT_EVALUATED = "not worked out here: ask for it by name"
BETWEEN = "between the two amounts: ask for it by name to have it solved"
AT_LEAST = "no plan known: it costs that at least; ask for it by name to have it solved"
RANGES = (BETWEEN, AT_LEAST)
"""What an answer says of which a program would tell more, and was not solved."""
NO_PLACE = "not every replica has a place then"


@dataclass(frozen=True)
class Answer:
    """The best plan under a change.

    Attributes
    ----------
    usd_month : Decimal | None
        Its exact cost; None where there is no plan, or it was not computed. The cost of the best
        plan that is known where ``why`` is `NEAR_OPTIMAL` or `BETWEEN`.
    chosen : dict of list of int
        The offers of the volumes that the change may move, as in `Optimum`; empty where there is no
        plan.
    rented : dict of int
        Its GPU offers.
    why : str
        Why there is no plan, or how sure its cost is; empty where it is exact.
    least_month : Decimal | None
        What no plan costs less than, where the cost is not exact.
    """

    usd_month: Decimal | None
    chosen: Chosen
    rented: dict[int, int]
    why: str = ""
    least_month: Decimal | None = None


class ExtraCosts(NamedTuple):
    """How much more plans cost than the plan, as columns of a frame; None where it is unknown."""

    extra_usd_hr: list[Decimal | None] | list[Decimal]
    extra_usd_month: list[Decimal | None] | list[Decimal]
    least_extra_usd_month: list[Decimal | None] | list[Decimal]
    why: list[str]
