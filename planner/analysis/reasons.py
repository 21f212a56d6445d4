"""Why offers do not qualify, rule by rule, in the words of the demand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from planner.analysis.changes import as_json
from planner.market.places import PLACES
from planner.solve.candidates import LEVELS, rules_of
from planner.solve.rentals import gpu_rules_of
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from planner.demand.model import Volume, Workload

_FACTS = {
    "malformed": "the row is malformed",
    "unpriced": "no usable price",
    "unavailable": "out of stock",
    "unsellable": "sells no size of at least 1 GB",
    "multinode": "not multi-node, or unknown",
    "group": "its place is unknown, and a group looks at it",
    "kept": "an existing disk already is this volume, or belongs to another",
    "gpu_type": "different GPU model",
    "spot": "spot offer, can be interrupted",
}
_FEW = 3
"""Places of an allow-list that are named; more are called the allow-list."""


def volume_reasons(volume: Volume, broken: Iterable[int]) -> tuple[dict[str, int], str]:
    """Return how many offers break each rule, most first, and the same as lines of text.

    Parameters
    ----------
    broken : iterable of int
        Rules broken at each offer, as bits.
    """
    return _counted((rules_of(bits) for bits in broken), lambda rule: _volume_rule(volume, rule))


def workload_reasons(workload: Workload, broken: Iterable[int]) -> tuple[dict[str, int], str]:
    """Return how many GPU offers break each rule, and the same as lines of text."""
    return _counted(
        (gpu_rules_of(bits) for bits in broken), lambda rule: _workload_rule(workload, rule)
    )


def _counted(
    rules: Iterable[Sequence[str]], meaning: Callable[[str], str]
) -> tuple[dict[str, int], str]:
    counts = Counter(rule for each in rules for rule in each)
    width = len(str(max(counts.values(), default=0)))
    lines = [f"\n  {count:>{width}}  {meaning(rule)}" for rule, count in counts.most_common()]
    return dict(counts), "".join(lines)


def _volume_rule(volume: Volume, rule: str) -> str:
    if rule in _FACTS:
        return _FACTS[rule]
    if rule in PLACES:
        return f"{LEVELS[rule]} is not {_listed(getattr(volume, PLACES[rule]))}, or unknown"
    if rule.startswith("excluded_"):
        return f"{LEVELS[rule.removeprefix('excluded_')]} is excluded"
    texts = {
        "stock": f"stock is below {volume.stock}, or unknown",
        "security": f"security is not {volume.security}, or unknown",
        "max_disks": f"needs more than {_disks(volume.max_disks)} (max_disks: {volume.max_disks})",
        "spread": f"{volume.spread} is unknown, and replicas must differ by it",
    }
    if volume.max_usd_gb_hr is not None:
        texts["max_usd_gb_hr"] = f"costs more than ${plain(volume.max_usd_gb_hr)} per GB and hour"
    return texts.get(rule, rule)


def _workload_rule(workload: Workload, rule: str) -> str:
    if rule in _FACTS:
        return _FACTS[rule]
    if rule in PLACES:
        return f"{LEVELS[rule]} is not {_listed(getattr(workload, PLACES[rule]))}, or unknown"
    texts = {
        "gpu_count": f"does not have {workload.gpus} GPU{'s' * (workload.gpus != 1)}",
        "socket": f"socket is not {visible(str(workload.socket))}, or unknown",
        "security": f"security is not {workload.security}, or unknown",
    }
    return texts.get(rule, rule)


def _listed(names: tuple[str, ...] | None) -> str:
    if names is None or len(names) > _FEW:
        return "in the allow-list"
    *rest, last = map(visible, as_json(names))
    return f"{', '.join(rest)} or {last}" if rest else last


def _disks(count: int) -> str:
    return "one disk" if count == 1 else f"{count} disks"
