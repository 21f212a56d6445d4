"""What each requirement costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.analysis.explain import REQUIREMENTS
from planner.present.charts.bars import MOST_ROWS, ChartRow, bars, nothing, titled, usd_axis
from planner.present.charts.base import altair, counted, labels, usd
from planner.schema import conform, records
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt
    import pandas as pd


_TITLE = "What each requirement costs a month"
_TOOLTIP = {"row": "requirement", "without": "without it", "amount": "saves a month", "why": "note"}


def requirement_chart(requirements: pd.DataFrame) -> alt.LayerChart:
    """Return what each requirement costs: how much cheaper the best plan is without it.

    Those that cost nothing by themselves, and those without an amount, are counted below the
    title; so are those beyond the dearest. Savings do not add up, so they are not summed.

    Parameters
    ----------
    requirements : DataFrame
        Columns ``REQUIREMENTS``; without rows, or where none costs anything, the chart says so.

    Raises
    ------
    FrameError
        When the frame is not one of requirements.
    InputError
        When the extra ``charts`` is not installed.
    """
    altair()
    rows = records(conform(requirements, REQUIREMENTS, what="requirements"))
    known = [row for row in rows if row["saves_usd_month"] is not None]
    dear = [row for row in known if row["saves_usd_month"] > 0]
    dear.sort(key=lambda row: -row["saves_usd_month"])
    drawn, beyond = dear[:MOST_ROWS], dear[MOST_ROWS:]
    free, unknown = len(known) - len(dear), len(rows) - len(known)
    facts = [
        f"{len(beyond)} more save up to {usd(beyond[0]['saves_usd_month'])} each" if beyond else "",
        f"{counted(free, 'requirement costs', 'requirements cost')} nothing" if free else "",
        f"{counted(unknown, 'has', 'have')} no amount and no bar" if unknown else "",
    ]
    if not drawn:
        return nothing(_TITLE, facts if rows else ["There are no requirements"])
    said = ["How much less the best plan without it costs; savings do not add up", *facts]
    return titled(_drawn(drawn), _TITLE, said)


def _drawn(requirements: Sequence[dict[str, Any]]) -> alt.LayerChart:
    about = [f"{row['about']}: " if row["about"] else "" for row in requirements]
    names = labels({at: about[at] + row["requirement"] for at, row in enumerate(requirements)})
    rows, pieces = [], []
    for name, row in zip(names.values(), requirements, strict=True):
        rows.append(ChartRow(name, usd(row["saves_usd_month"])))
        pieces.append(
            {
                "row": name,
                "start": 0,
                "end": float(row["saves_usd_month"]),
                "pale": False,
                "without": visible(row["without"] or ""),
                "amount": rows[-1].amount,
                "why": visible(row["why"] or ""),
            }
        )
    return bars(rows, pieces, x=usd_axis(), tooltip=_TOOLTIP)
