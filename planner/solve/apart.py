"""Replicas of one volume that stay in different domains in every month: the cheapest, and a bound.

Let μ_t be the price of one more copy in month t. At any such prices, with p(i) = Σ_{t ≥ i} μ_t,

    R p(0) - Σ_d max Σ (p(i) - p(j) - cost of the stay)   over stays in d that do not overlap

is what R copies cost at least: the Lagrangian relaxation of "R copies in every month". The cheapest
domains, each on its own path, cost something that can be done. Where the two meet, that is the
optimum. Elsewhere a stay that costs more than their distance beyond the bound is in no optimum,
and few are left for a program. Prices are whole numbers, so that the bound is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 16
_STEP = 1.2
"""Of the distance from bound to cost, what a step of the prices aims at (Polyak)."""


class Arcs(Protocol):
    """How stays are measured."""

    never: int
    """More than any schedule costs."""

    def arcs(self, least: NDArray[Any], once: NDArray[Any], start: int) -> NDArray[Any]:
        """Return what stays from a month on cost, until each month after it."""


class PriceBound(NamedTuple):
    """Prices of volumes, and what they prove.

    Attributes
    ----------
    price : ndarray, shape (V, H + 1)
        Of a copy from each month to the end.
    earned : ndarray, shape (V, D, H + 1)
        The most that stays in a domain earn until each month.
    least : ndarray, shape (V,)
        What the copies cost at least.
    """

    price: NDArray[Any]
    earned: NDArray[Any]
    least: NDArray[Any]

    def better(self, other: PriceBound) -> PriceBound:
        """Return for each volume the prices that prove more."""
        more = other.least > self.least
        parts = (
            np.where(more.reshape(-1, *[1] * (left.ndim - 1)), right, left)
            for left, right in zip(self, other, strict=True)
        )
        return PriceBound(*parts)


class SpreadReplicas:
    """The copies of volumes that are apart.

    Parameters
    ----------
    paths : Arcs
        How stays are measured.
    least, once : ndarray
        Least weight of each domain, (V, D, H), and what a stay costs once, (V, 1, H).
    copies : ndarray of int64, shape (V,)
        Of each volume.
    usd : ndarray, shape (V,)
        What is known to be possible.
    """

    def __init__(
        self,
        paths: Arcs,
        least: NDArray[Any],
        once: NDArray[Any],
        copies: NDArray[np.int64],
        usd: NDArray[Any],
    ) -> None:
        self.paths, self.least, self.once, self.copies, self.usd = paths, least, once, copies, usd
        self.horizon = least.shape[-1]

    def bound(self, price: NDArray[Any]) -> tuple[PriceBound, NDArray[np.int64]]:
        """Return what prices prove, and in how many domains it pays to be in each month, (V, H)."""
        shape = self.least.shape[:-1]
        earned = np.zeros((*shape, self.horizon + 1), self.least.dtype)
        begun = np.full((*shape, self.horizon + 1), -1)
        for start in range(self.horizon):
            here = earned[..., start]
            idle = earned[..., start + 1] <= here
            begun[..., start + 1] = np.where(idle, -1, begun[..., start + 1])
            earned[..., start + 1] = np.where(idle, here, earned[..., start + 1])
            gain = here[..., None] + self.gains(price, start)
            more = gain > earned[..., start + 1 :]
            begun[..., start + 1 :] = np.where(more, start, begun[..., start + 1 :])
            earned[..., start + 1 :] = np.where(more, gain, earned[..., start + 1 :])
        least = price[:, 0] * self.copies - earned[..., -1].sum(axis=1)
        return PriceBound(price, earned, least), self._busy(begun)

    def gains(self, price: NDArray[Any], start: int) -> NDArray[Any]:
        """Return what a stay from a month on earns, until each month after it."""
        margin = price[:, None, start, None] - price[:, None, start + 1 :]
        earned: NDArray[Any] = margin - self.paths.arcs(self.least, self.once, start)
        return earned

    def _busy(self, begun: NDArray[np.int64]) -> NDArray[np.int64]:
        busy = np.zeros((*begun.shape[:-1], self.horizon), np.int64)
        end = np.full(begun.shape[:-1], self.horizon)
        months = np.arange(self.horizon)
        while (end > 0).any():
            start = np.take_along_axis(begun, end[..., None], -1)[..., 0]
            inside = (
                (months >= start[..., None]) & (months < end[..., None]) & (start >= 0)[..., None]
            )
            busy += inside
            end = np.where(end > 0, np.where(start >= 0, start, end - 1), 0)
        together: NDArray[np.int64] = busy.sum(axis=1)
        return together

    def best_bound(self, price: NDArray[Any]) -> PriceBound:
        """Return the prices that prove most, beginning with some."""
        best, busy = self.bound(price)
        is_open = best.least < self.usd
        if not is_open.all():
            if is_open.any():
                mine = (self.least[is_open], self.once[is_open], self.copies[is_open])
                some = SpreadReplicas(self.paths, *mine, self.usd[is_open])
                for whole, part in zip(best, some.best_bound(price[is_open]), strict=True):
                    whole[is_open] = part
            return best
        at = best.price.astype(float)
        for _ in range(_ROUNDS):
            missing = (self.copies[:, None] - busy).astype(float)
            norm = (missing**2).sum(axis=1)
            gap = (self.usd - best.least).astype(float)
            if not ((gap > 0) & (norm > 0)).any():
                break
            step = np.where(gap > 0, _STEP * gap / np.maximum(norm, 1), 0.0)
            change = np.cumsum((missing * step[:, None])[:, ::-1], axis=1)[:, ::-1]
            at = at + np.pad(change, ((0, 0), (0, 1)))
            whole = np.rint(at).astype(np.int64).astype(self.least.dtype)
            candidate, busy = self.bound(whole)
            best = best.better(candidate)
        return best

    def in_turn(self, v: int) -> tuple[int, list[tuple[int, int, int]]]:
        """Return copies (cost; domain, start, end), each of which takes what the last ones left."""
        least, once = self.least[v], self.once[v]
        arcs = np.full((len(least), self.horizon, self.horizon), self.paths.never, least.dtype)
        for start in range(self.horizon):
            arcs[:, start, start:] = self.paths.arcs(least, once, start)
        taken: list[tuple[int, int, int]] = []
        cost = 0
        for _ in range(int(self.copies[v])):
            where, cheapest = arcs.argmin(axis=0), arcs.min(axis=0)
            left, following = [0] * (self.horizon + 1), [0] * self.horizon
            for start in reversed(range(self.horizon)):
                ends = [int(cheapest[start, e]) + left[e + 1] for e in range(start, self.horizon)]
                left[start] = min(ends)
                following[start] = start + ends.index(left[start])
            cost, start = cost + left[0], 0
            while start < self.horizon:
                end = following[start]
                d = int(where[start, end])
                taken.append((d, start, end + 1))
                arcs[d, : end + 1, start:] = self.paths.never  # what begins before, and ends after
                start = end + 1
        return min(cost, self.paths.never), taken

    def needed(self, bound: PriceBound, v: int) -> list[tuple[int, int, int]]:
        """Return the stays (domain, start, end) of a volume that may be in an optimum."""
        later = np.zeros(bound.earned[v].shape, self.least.dtype)
        price = bound.price[v : v + 1]
        gains = []
        for start in reversed(range(self.horizon)):
            margin = price[:, None, start, None] - price[:, None, start + 1 :]
            cost = self.paths.arcs(self.least[v : v + 1], self.once[v : v + 1], start)
            gain = (margin - cost)[0]
            gains.append((start, gain))
            most = (gain + later[:, start + 1 :]).max(axis=1)
            later[:, start] = np.maximum(later[:, start + 1], most)
        spare, total = self.usd[v] - bound.least[v], bound.earned[v][:, -1]
        kept = []
        for start, gain in gains:
            through = bound.earned[v][:, start, None] + gain + later[:, start + 1 :]
            for d, length in np.argwhere(total[:, None] - through <= spare).tolist():
                kept.append((d, start, start + 1 + length))
        return kept
