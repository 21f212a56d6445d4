"""Replicas of one volume that stay in different domains in every month: the cheapest of all.

Let μ_t be the price of one more copy in month t. At any such prices, with p(i) = Σ_{t ≥ i} μ_t,

    Σ_t R_t μ_t - Σ_d max Σ (p(i) - p(j) - cost of the stay)   over stays in d that do not overlap

is what R_t more copies in month t cost at least: the Lagrangian relaxation of "R_t copies in every
month". The cheapest domains, each on its own path, cost something that can be done. Where the two
meet, that is the optimum. Elsewhere each choice has a regret: what it lowers a domain's maximum by.
Regrets add up to the distance from the bound, so months are decided in turn, without whatever has
more regret than the distance that is left. Prices are whole numbers, so that all of it is exact.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_WORK = 1_000, 200_000
"""Choices that are looked at before better prices are looked for, and before a program decides."""
_ROUNDS, _STEP = 30, 0.93
"""Better prices are looked for so many times, each step so much shorter than the last."""
_DEPTHS = range(9, -1, -1)
"""The distance from the bound is searched in parts, each twice the last: often little is used."""

DomainStay = tuple[int, int, int]
"""Domain, first month, and the month after the last."""


class Arcs(Protocol):
    """How stays are measured."""

    never: int
    """More than any schedule costs."""

    def arcs(self, least: NDArray[Any], once: NDArray[Any], start: int) -> NDArray[Any]:
        """Return what stays from a month on cost, until each month after it."""


class SpreadReplicas:
    """The copies of volumes that are apart, at some price of a copy.

    Parameters
    ----------
    paths : Arcs
        How stays are measured.
    least, once : ndarray
        Least weight of each domain, (V, D, H), and what a stay costs once, (V, 1, H).
    live : ndarray of int64, shape (V, D)
        Until which month a live disk is one of the copies; 0: there is none.
    copies : ndarray of int64, shape (V,)
        Of each volume, live ones included.
    price : ndarray, shape (V, H + 1)
        Of a copy from each month to the end.

    Attributes
    ----------
    bound : list of int
        What the new copies of each volume cost at least.
    """

    def __init__(
        self,
        paths: Arcs,
        least: NDArray[Any],
        once: NDArray[Any],
        live: NDArray[np.int64],
        copies: NDArray[np.int64],
        price: NDArray[Any],
    ) -> None:
        self.paths, self.least, self.once, self.live = paths, least, once, live
        self.copies, self.price, self.horizon = copies, price, least.shape[-1]
        self._missing = copies[:, None] - (live[..., None] > np.arange(self.horizon)).sum(axis=1)
        rows = np.arange(len(least))
        self.bound = self._bounds(rows, price, self._left(rows, price)[0])

    def _bounds(
        self, rows: NDArray[np.int64], price: NDArray[Any], left: NDArray[Any]
    ) -> list[int]:
        """Return what the new copies of some volumes cost at least, at prices."""
        due = (price[:, :-1] - price[:, 1:]) * self._missing[rows]
        return [
            sum(asked) - sum(most)
            for asked, most in zip(due.tolist(), left[..., 0].tolist(), strict=True)
        ]

    def _gain(self, rows: NDArray[np.int64], price: NDArray[Any], start: int) -> NDArray[Any]:
        """Return what stays from a month on earn, until each month after it."""
        cost = self.paths.arcs(self.least[rows], self.once[rows], start)
        gain = price[:, None, start, None] - price[:, None, start + 1 :] - cost
        return np.where(self.live[rows, :, None] > start, -self.paths.never, gain)

    def _left(
        self, rows: NDArray[np.int64], price: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the most that domains earn from each month on, and until when what starts there.

        Where nothing starts, that is the month itself.
        """
        shape = self.least[rows].shape[:-1]
        left = np.zeros((*shape, self.horizon + 1), self.least.dtype)
        until = np.zeros((*shape, self.horizon), np.int64)
        for start in reversed(range(self.horizon)):
            earned = self._gain(rows, price, start) + left[..., start + 1 :]
            most, idle = earned.max(axis=-1), left[..., start + 1]
            until[..., start] = np.where(most > idle, start + 1 + earned.argmax(axis=-1), start)
            left[..., start] = np.maximum(idle, most)
        return left, until

    def cheapest(
        self, usd: dict[int, int], rank: Callable[[int, int, int], int]
    ) -> Iterator[tuple[int, list[DomainStay], bool]]:
        """Yield the cheapest stays of volumes' new copies, and whether they are known.

        Where they are not, the stays are all that may be in an optimum.

        Parameters
        ----------
        usd : dict of int
            What is known to be possible.
        rank : callable
            What is to be least among equally cheap stays, of a volume, a domain and an end.
        """
        hard = []
        for v, possible in usd.items():
            stays, is_known = self._search(v, possible, partial(rank, v), _WORK[0])
            if is_known:
                yield v, stays, True
            else:
                hard.append(v)
        if hard:
            self._improve(np.array(hard), np.array([usd[v] for v in hard], float))
        for v in hard:
            yield v, *self._search(v, usd[v], partial(rank, v), _WORK[1])

    def _improve(self, rows: NDArray[np.int64], usd: NDArray[Any]) -> None:
        """Look for prices at which volumes cost more at least: subgradient steps (Polyak)."""
        price, step = self.price[rows], 1.0
        exact = price.astype(float)
        for _ in range(_ROUNDS):
            left, until = self._left(rows, price)
            bounds = self._bounds(rows, price, left)
            for v, bound, better in zip(rows.tolist(), bounds, price, strict=True):
                if bound > self.bound[v]:
                    self.bound[v], self.price[v] = bound, better
            missing = (self._missing[rows] - self._busy(until)).astype(float)
            gap = usd - np.array([self.bound[v] for v in rows.tolist()], float)
            change = missing * (step * gap / np.maximum((missing**2).sum(axis=1), 1))[:, None]
            exact[:, :-1] += np.cumsum(change[:, ::-1], axis=1)[:, ::-1]
            price, step = np.rint(exact).astype(np.int64).astype(price.dtype), step * _STEP

    def _busy(self, until: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return in how many domains it pays to be in each month, (V, H)."""
        busy = np.zeros((len(until), self.horizon), np.int64)
        end = np.zeros(until.shape[:-1], np.int64)
        for start in range(self.horizon):
            end = np.where(end > start, end, until[..., start])
            busy[:, start] = (end > start).sum(axis=1)
        return busy

    def _search(
        self, v: int, usd: int, rank: Callable[[int, int], int], work: int
    ) -> tuple[list[DomainStay], bool]:
        """Return the cheapest stays of a volume, or after so much work those that may be."""
        row, price = np.array([v]), self.price[v : v + 1]
        left = self._left(row, price)[0][0]
        distance, regrets = usd - self.bound[v], list[list[tuple[int, int, int]]]()
        for start in range(self.horizon):
            regret = left[:, start, None] - self._gain(row, price, start)[0] - left[:, start + 1 :]
            few = np.argwhere(regret <= distance).tolist()
            regrets.append(sorted((int(regret[d, n]), d, start + 1 + n) for d, n in few))
        idle = (left[:, :-1] - left[:, 1:]).T.tolist()
        live = tuple((d, end) for d, end in enumerate(self.live[v].tolist()) if end)
        months = _Months(regrets, idle, int(self.copies[v]), rank, work)
        for depth in _DEPTHS:
            stays = months.best(live, distance >> depth)
            if stays is not None:
                return stays, True
        return [(d, t, end) for t, each in enumerate(regrets) for _, d, end in each], False


_Chain = tuple[DomainStay, "_Chain"] | None
_On = tuple[tuple[int, int], ...]
"""What copies are on: domains and ends, in order."""
_State = tuple[int, int, _Chain]
"""The least regret that leads there, its rank, and its stays."""


class _Months:
    """Months in turn: what the copies are on in each, and the least regret that leads there."""

    def __init__(
        self,
        regrets: list[list[tuple[int, int, int]]],
        idle: list[list[int]],
        copies: int,
        rank: Callable[[int, int], int],
        work: int,
    ) -> None:
        self.regrets, self.idle, self.copies, self.rank = regrets, idle, copies, rank
        self.idle_usd = [sum(each) for each in idle]
        self.work = work

    def best(self, live: _On, most: int) -> list[DomainStay] | None:
        """Return the stays of least regret, up to a limit; None for none, or too much work."""
        states: dict[_On, _State] = {live: (0, 0, None)}
        for month in range(len(self.idle)):
            after: dict[_On, _State] = {}
            for on, state in states.items():
                stay = tuple(each for each in on if each[1] > month)
                self._fill(month, most, stay, state, 0, after)
            states = after
        if self.work < 0 or not states:
            return None
        chain = min(states.values(), key=lambda state: state[:2])[2]
        stays = []
        while chain is not None:
            stays.append(chain[0])
            chain = chain[1]
        return stays[::-1]

    def _fill(
        self, month: int, most: int, on: _On, state: _State, first: int, after: dict[_On, _State]
    ) -> None:
        """Add every way to have all copies in a month."""
        regret, rank, chain = state
        if len(on) == self.copies:
            regret += self.idle_usd[month] - sum(self.idle[month][d] for d, _ in on)
            key = tuple(sorted(on))
            if regret <= most and (key not in after or (regret, rank) < after[key][:2]):
                after[key] = (regret, rank, chain)
            return
        for n in range(first, len(self.regrets[month])):
            more, d, end = self.regrets[month][n]
            self.work -= 1
            if regret + more > most or self.work < 0:
                break
            if all(d != taken for taken, _ in on):
                new = (regret + more, rank + self.rank(d, end), ((d, month, end), chain))
                self._fill(month, most, (*on, (d, end)), new, n + 1, after)
