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
_TOGETHER = 64
"""Volumes of which prices are held in memory at one time."""
_DEPTHS = (9, 6, 4, 2, 1, 0)
"""The distance from the bound is searched in growing parts of it, 2^-9 … 1: it may need little."""

DomainStay = tuple[int, int, int]
"""Domain, first month, and the month after the last."""


class Arcs(Protocol):
    """How stays are measured."""

    never: int
    """More than any schedule costs."""

    def arcs(self, least: NDArray[Any], once: NDArray[Any], start: int) -> NDArray[Any]:
        """Return what stays from a month on cost, until each month after it."""

    def every_arc(self, least: NDArray[Any], once: NDArray[Any]) -> NDArray[Any]:
        """Return what stays cost, of every month and each month at whose end they end."""


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
        self.left = self._left(price, partial(self._cost, rows))[0]
        self.bound = self._bounds(rows, price, self.left)

    def _bounds(
        self, rows: NDArray[np.int64], price: NDArray[Any], left: NDArray[Any]
    ) -> list[int]:
        """Return what the new copies of some volumes cost at least, at prices."""
        due = (price[:, :-1] - price[:, 1:]) * self._missing[rows]
        return [
            sum(asked) - sum(most)
            for asked, most in zip(due.tolist(), left[..., 0].tolist(), strict=True)
        ]

    def _cost(self, rows: NDArray[np.int64], start: int) -> NDArray[Any]:
        """Return what stays from a month on cost, until each month after it."""
        cost = self.paths.arcs(self.least[rows], self.once[rows], start)
        return np.where(self.live[rows, :, None] > start, self.paths.never, cost)

    def _left(
        self, price: NDArray[Any], cost: Callable[[int], NDArray[Any]]
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the most that domains earn from each month on, and until when what starts there.

        Where nothing starts, that is the month itself.
        """
        shape = len(price), self.least.shape[1]
        left = np.zeros((*shape, self.horizon + 1), self.least.dtype)
        until = np.zeros((*shape, self.horizon), np.int64)
        for start in reversed(range(self.horizon)):
            earned = left[..., start + 1 :] - cost(start)
            earned += (price[:, start, None] - price[:, start + 1 :])[:, None]
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
        for first in range(0, len(hard), _TOGETHER):
            some = hard[first : first + _TOGETHER]
            self._improve(np.array(some), np.array([usd[v] for v in some], float))
        for v in hard:
            yield v, *self._search(v, usd[v], partial(rank, v), _WORK[1])

    def _improve(self, rows: NDArray[np.int64], usd: NDArray[Any]) -> None:
        """Look for prices at which volumes cost more at least: subgradient steps (Polyak)."""
        price, step = self.price[rows], 1.0
        exact = price.astype(float)
        costs = [self._cost(rows, start) for start in range(self.horizon)]
        whole = np.vectorize(int, otypes=[price.dtype])
        for _ in range(_ROUNDS):
            left, until = self._left(price, costs.__getitem__)
            for n, bound in enumerate(self._bounds(rows, price, left)):
                v = int(rows[n])
                if bound > self.bound[v]:
                    self.bound[v], self.price[v], self.left[v] = bound, price[n], left[n]
            missing = (self._missing[rows] - self._busy(until)).astype(float)
            gap = usd - np.array([self.bound[v] for v in rows.tolist()], float)
            change = missing * (step * gap / np.maximum((missing**2).sum(axis=1), 1))[:, None]
            exact[:, :-1] += np.cumsum(change[:, ::-1], axis=1)[:, ::-1]
            price, step = whole(np.rint(exact)), step * _STEP

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
        price, left, live = self.price[v], self.left[v], self.live[v][:, None, None]
        months = np.arange(self.horizon)
        gain = price[:-1, None] - price[1:] - self.paths.every_arc(self.least[v], self.once[v])
        regret = left[:, :-1, None] - gain - left[:, None, 1:]
        distance = usd - self.bound[v]
        regrets: list[list[_Choice]] = [[] for _ in months]
        few = (regret <= distance) & (live <= months[:, None]) & (months[:, None] <= months)
        stays = zip(regret[few].tolist(), *(each.tolist() for each in np.nonzero(few)), strict=True)
        for more, d, start, last in sorted(stays):
            regrets[start].append((more, d, last + 1, rank(d, last + 1)))
        idle = (left[:, :-1] - left[:, 1:]).T.tolist()
        on = tuple((d, end) for d, end in enumerate(self.live[v].tolist()) if end)
        search = _Months(regrets, idle, int(self.copies[v]), work)
        for depth in _DEPTHS:
            best = search.best(on, distance >> depth)
            if best is not None:
                return best, True
        return [(d, t, end) for t, each in enumerate(regrets) for _, d, end, _ in each], False


_Chain = tuple[DomainStay, "_Chain"] | None
_Choice = tuple[int, int, int, int]
"""What may begin in a month: its regret, domain, end and rank."""
_On = tuple[tuple[int, int], ...]
"""What copies are on: domains and ends, in order."""
_State = tuple[int, int, _Chain]
"""The least regret that leads there, its rank, and its stays."""


class _Months:
    """Months in turn: what the copies are on in each, and the least regret that leads there."""

    def __init__(
        self,
        regrets: list[list[_Choice]],
        idle: list[list[int]],
        copies: int,
        work: int,
    ) -> None:
        self.regrets, self.idle, self.copies = regrets, idle, copies
        self.idle_usd = [sum(each) for each in idle]
        floor = [sum(sorted(each)[:-copies]) for each in idle]
        self.rest = [sum(floor[month:]) for month in range(len(idle) + 1)]
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
            regret += self.idle_usd[month] - sum([self.idle[month][d] for d, _ in on])
            if regret + self.rest[month + 1] <= most:
                key = tuple(sorted(on))
                if key not in after or (regret, rank) < after[key][:2]:
                    after[key] = (regret, rank, chain)
            return
        taken, left = [d for d, _ in on], most - regret - self.rest[month]
        for n in range(first, len(self.regrets[month])):
            more, d, end, place = self.regrets[month][n]
            self.work -= 1
            if more > left or self.work < 0:
                break
            if d not in taken:
                new = (regret + more, rank + place, ((d, month, end), chain))
                self._fill(month, most, (*on, (d, end)), new, n + 1, after)
