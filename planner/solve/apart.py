"""Replicas of one volume that stay in different domains in every month: the cheapest of all.

Let μ_t be the price of one more copy in month t. At any such prices, with p(i) = Σ_{t ≥ i} μ_t,

    Σ_t R_t μ_t - Σ_d max Σ (p(i) - p(j) - cost of the stay)   over stays in d that do not overlap

is what R_t more copies in month t cost at least: the Lagrangian relaxation of "R_t copies in every
month". The cheapest domains, each on its own path, cost something that can be done. Where the two
meet, that is the optimum. Elsewhere each choice has a regret: what it lowers a domain's maximum by.
Regrets add up to the distance from the bound, so a domain is left out if every stay in it has more
regret than that, and months are decided in turn, without whatever has more regret than the distance
that is left. Prices are whole numbers, so that all of it is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

_EACH, _ALL, _MOST = 300, 12_000, 200_000
"""Choices that are looked at of a volume, and of all together, before better prices are looked for;
and of a volume before a program decides."""
_FEW = 20
"""Volumes that are held together however many domains each has left."""
_ROUNDS, _STEP, _STALLS, _KEPT = 30, 2.0, 3, 0.4
"""Better prices are looked for so many times. A step is that part of what would close the gap in a
straight line, halved each time so many have brought nothing; so much of the last step is kept, for
steps swing about.
"""
TOGETHER = 2_000
"""Domains of volumes that are held in memory at one time."""
_DEPTHS = (9,), (6, 4), (2, 1, 0)
"""The distance from the bound is searched in growing parts of it, 2^-9 … 1: it may need little."""

DomainStay = tuple[int, int, int]
"""Domain, first month, and the month after the last."""
Decided = tuple[int, list[DomainStay], bool]
"""A volume, the stays of its new copies, and whether they are the cheapest, or all that may be."""


class SpreadReplicas:
    """The copies of V volumes that are apart, in D domains each, over H months.

    Parameters
    ----------
    cost : sequence of ndarray
        What a stay from each month costs until the end of each month after it: (V, D, H - month).
    live : ndarray of int64, shape (V, D)
        Until which month a live disk is one of the copies; 0: there is none.
    copies : ndarray of int64, shape (V,)
        Of each volume, live ones included.
    ranks : ndarray of int64, shape (V, D, H)
        What is to be least among equally cheap stays, by domain and last month.
    never : int
        More than any schedule costs.
    """

    def __init__(
        self,
        cost: Sequence[NDArray[Any]],
        live: NDArray[np.int64],
        copies: NDArray[np.int64],
        ranks: NDArray[np.int64],
        never: int,
    ) -> None:
        self.horizon, self.never = len(cost), never
        self.live, self.copies, self.ranks = live, copies, ranks
        self.cost = [*cost]
        if live.any():
            self.cost = [np.where(live[..., None] > i, never, c) for i, c in enumerate(cost)]
        self.rows = np.arange(len(live))
        self.domains = np.broadcast_to(np.arange(live.shape[1]), live.shape)
        self._missing = copies[:, None] - (live[..., None] > np.arange(self.horizon)).sum(axis=1)
        self.usd: list[int] = []
        self.bound: list[int] = []

    def cheapest(self) -> Iterator[Decided]:
        """Yield the cheapest stays of each volume that are known, or all that may be in an optimum.

        Volumes that the cheapest domains cannot hold are left out.
        """
        alone, following = self._paths()
        cost = np.take_along_axis(alone, self.live[..., None], axis=2)[..., 0]
        # Copies that are there stay where they are; the others go to the cheapest domains.
        order = np.argsort(np.where(self.live > 0, -1, cost), axis=1, kind="stable")
        ranked, domains = np.take_along_axis(cost, order, axis=1), cost.shape[1]
        last = np.minimum(self.copies, domains) - 1
        is_used = np.arange(domains) <= last[:, None]
        able = (self.copies <= domains) & (np.where(is_used, ranked, 0) < self.never).all(axis=1)
        self.usd = [sum(row[: n + 1]) for row, n in zip(ranked.tolist(), last, strict=True)]
        # A copy more is worth something between the last domain that is used and the next.
        by_cost, beyond = np.sort(alone, axis=1), np.minimum(last + 1, domains - 1)
        low, high = by_cost[self.rows, last], by_cost[self.rows, beyond]
        high = np.where(high < self.never, high, low)
        self._set((low + high) // 2)
        is_open = able & np.array([a < b for a, b in zip(self.bound, self.usd, strict=True)])
        for v in np.flatnonzero(able & ~is_open).tolist():
            stays = list[DomainStay]()
            for d in order[v, : self.copies[v]].tolist():
                month = int(self.live[v, d])
                while month < self.horizon:
                    stays.append((d, month, int(following[v, d, month])))
                    month = stays[-1][2]
            yield v, stays, True
        if is_open.any():
            left = self.only(np.flatnonzero(is_open).tolist())
            yield from left.searched(low, high)

    def _paths(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the least cost in each domain from each month to the end, and where it moves."""
        left = np.zeros((*self.live.shape, self.horizon + 1), self.cost[0].dtype)
        following = np.zeros((*self.live.shape, self.horizon), np.int64)
        for start in reversed(range(self.horizon)):
            cost = self.cost[start] + left[..., start + 1 :]
            following[..., start] = cost.argmin(axis=-1) + start + 1
            left[..., start] = np.minimum(cost.min(axis=-1), self.never)
        return left, following

    def _set(self, price: NDArray[Any]) -> None:
        """Take prices, and what follows from them."""
        self.price, self._left = price.copy(), self._earned(price)
        self.bound = self._bounds(price, self._left)

    def _earned(self, price: NDArray[Any], until: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Return the most that domains earn from each month on.

        And until when what starts there, in ``until``; where nothing starts, the month itself.
        """
        beyond = np.empty((*self.live.shape, self.horizon + 1), self.cost[0].dtype)  # the price
        beyond[..., -1] = 0
        for start in reversed(range(self.horizon)):
            earned = beyond[..., start + 1 :] - self.cost[start]
            most = earned.max(axis=-1)
            idle = beyond[..., start + 1] + (price[:, start + 1] - price[:, start])[:, None]
            beyond[..., start] = np.maximum(idle, most)
            if until is not None:
                last = start + 1 + earned.argmax(axis=-1)
                until[..., start] = np.where(most > idle, last, start)
        left: NDArray[Any] = beyond + price[:, None]
        return left

    def _bounds(self, price: NDArray[Any], left: NDArray[Any]) -> list[int]:
        """Return what the new copies of each volume cost at least, at prices."""
        due = (price[:, :-1] - price[:, 1:]) * self._missing
        return [
            sum(asked) - sum(most)
            for asked, most in zip(due.tolist(), left[..., 0].tolist(), strict=True)
        ]

    def only(self, some: Sequence[int]) -> SpreadReplicas:
        """Return some of the volumes, in the domains that may be in an optimum of theirs."""
        rows = np.array(some, np.int64)
        is_kept = self._in_reach()[rows]
        order = np.argsort(~is_kept, axis=1, kind="stable")[:, : is_kept.sum(axis=1).max()]
        is_kept = np.take_along_axis(is_kept, order, axis=1)[..., None]
        at = rows[:, None], order
        cost = [np.where(is_kept, each[at], self.never) for each in self.cost]
        few = SpreadReplicas(cost, self.live[at], self.copies[rows], self.ranks[at], self.never)
        few.rows, few.domains = self.rows[rows], self.domains[at]
        few.usd = [self.usd[n] for n in rows.tolist()]
        few._set(self.price[rows])
        return few

    def _alike(self) -> Iterator[SpreadReplicas]:
        """Yield the volumes, those together that have about as many domains left."""
        counts, alike = self._in_reach().sum(axis=1).tolist(), dict[int, list[int]]()
        for n, count in enumerate(counts):
            alike.setdefault(count.bit_length() if len(counts) > _FEW else 0, []).append(n)
        yield from (self.only(each) for each in alike.values())

    def _distance(self) -> NDArray[Any]:
        """Return how much less than what is possible the volumes may cost."""
        left = [usd - bound for usd, bound in zip(self.usd, self.bound, strict=True)]
        return np.array(left, self.price.dtype)

    def searched(self, low: NDArray[Any], high: NDArray[Any]) -> Iterator[Decided]:
        """Yield what `cheapest` does of volumes whose bound is below what is known to be possible.

        Parameters
        ----------
        low, high : ndarray, shape (·, H + 1)
            Prices to begin with, of all volumes.
        """
        for price in (low[self.rows], high[self.rows], *self._by_stay()):
            self._try(price)
        for few in self._alike():
            left = yield from few.search(_EACH)
            if left and len(left) * _EACH * 2 < _ALL:
                few, work = few.only(left), _ALL // len(left)  # noqa: PLW2901 -- what is left of it
                left = yield from few.search(work)
            if left:
                few = few.only(left)  # noqa: PLW2901 -- the same
                few.improve()
                for n in (yield from few.search(_MOST)):
                    yield int(few.rows[n]), few.every(n), False

    def _by_stay(self) -> Iterator[NDArray[Any]]:
        """Yield prices of a copy whose stays are each the last that copies need, or the next."""
        domains = self.live.shape[1]
        for last in (self.copies - 1, np.minimum(self.copies, domains - 1)):
            price = np.zeros_like(self.price)
            for start in reversed(range(self.horizon)):
                cost = np.sort(self.cost[start], axis=1)[np.arange(len(last)), last]
                cost = (cost + price[:, start + 1 :]).min(axis=1)
                price[:, start] = np.minimum(cost, self.never)
            yield price

    def _try(self, price: NDArray[Any], until: NDArray[np.int64] | None = None) -> None:
        """Take prices where volumes cost more at least."""
        left = self._earned(price, until)
        for n, bound in enumerate(self._bounds(price, left)):
            if bound > self.bound[n]:
                self.bound[n], self.price[n], self._left[n] = bound, price[n], left[n]

    def _in_reach(self) -> NDArray[np.bool_]:
        """Return the domains of which some stay may be in an optimum."""
        beyond = self._left - self.price[:, None]
        spare = np.full(self.live.shape, self.never, beyond.dtype)
        for start, cost in enumerate(self.cost):
            most = (beyond[..., start + 1 :] - cost).max(axis=-1)
            spare = np.minimum(spare, beyond[..., start] - most)
        return (spare <= self._distance()[:, None]) | (self.live > 0)

    def improve(self) -> None:
        """Look for prices at which volumes cost more at least: subgradient steps (Polyak)."""
        price, usd = self.price.copy(), np.array(self.usd, float)
        exact, whole = price.astype(float), np.vectorize(int, otypes=[price.dtype])
        step, stalls = np.full(len(price), _STEP), np.zeros(len(price), np.int64)
        last, toward = np.array(self.bound, float), np.zeros_like(self._missing, float)
        until = np.empty((*self.live.shape, self.horizon), np.int64)
        for _ in range(_ROUNDS):
            self._try(price, until)
            toward = self._missing - self._busy(until) + _KEPT * toward
            bound = np.array(self.bound, float)
            stalls = np.where(bound > last, 0, stalls + 1)
            step, last = np.where(stalls == _STALLS, step / 2, step), bound
            stalls[stalls == _STALLS] = 0
            length = step * (usd - bound) / np.maximum((toward**2).sum(axis=1), 1)
            change = toward[:, ::-1] * length[:, None]
            exact[:, :-1] += np.cumsum(change, axis=1)[:, ::-1]
            price = whole(np.rint(exact))

    def _busy(self, until: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return in how many domains it pays to be in each month, (V, H)."""
        busy = np.zeros((len(until), self.horizon), np.int64)
        end = np.zeros(until.shape[:-1], np.int64)
        for start in range(self.horizon):
            end = np.where(end > start, end, until[..., start])
            busy[:, start] = (end > start).sum(axis=1)
        return busy

    def search(self, work: int) -> Generator[Decided, None, list[int]]:
        """Yield the cheapest stays of each volume; return those that need more work than that."""
        left, hard = dict.fromkeys(range(len(self.rows)), work), []
        idle = (self._left[..., :-1] - self._left[..., 1:]).swapaxes(1, 2).tolist()
        distance, live = self._distance().tolist(), self.live.tolist()
        for depths in _DEPTHS:
            rows = [*left]
            for n, choices in zip(rows, self._choices(rows, depths[-1]), strict=True):
                months = _Months(choices, idle[n], int(self.copies[n]), left[n])
                on = tuple((d, end) for d, end in enumerate(live[n]) if end)
                tried = (months.best(on, distance[n] >> depth) for depth in depths)
                best = next((each for each in tried if each is not None or months.work < 0), None)
                left[n] = months.work
                if best is not None:
                    places = self.domains[n].tolist()
                    yield int(self.rows[n]), [(places[d], i, j) for d, i, j in best], True
                elif months.work < 0:
                    hard.append(n)
                if best is not None or months.work < 0:
                    del left[n]
        return [*hard, *left]

    def every(self, n: int) -> list[DomainStay]:
        """Return all stays of a volume that may be in an optimum."""
        places, choices = self.domains[n].tolist(), self._choices([n], 0)[0]
        return [(places[d], i, j) for i, each in enumerate(choices) for _, d, j, _ in each]

    def _choices(self, some: Sequence[int], depth: int) -> list[list[list[_Choice]]]:
        """Return what may begin in each month, of some volumes, the least regret first."""
        rows = np.array(some, np.int64)
        most = (self._distance()[rows] >> depth)[:, None, None]
        left, price = self._left[rows], self.price[rows][:, None]
        choices: list[list[list[_Choice]]] = [[[] for _ in self.cost] for _ in some]
        for start, cost in enumerate(self.cost):
            gain = price[..., start, None] - price[..., start + 1 :] + left[..., start + 1 :]
            regret = left[..., start, None] - gain + cost[rows]
            few = n, d, last = np.nonzero(regret <= most)
            rank = self.ranks[rows[n], d, last + start].tolist()
            parts = (each.tolist() for each in (n, regret[few], d, last + start + 1))
            for at, more, domain, end, order in sorted(zip(*parts, rank, strict=True)):
                choices[at][start].append((more, domain, end, order))
        return choices


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
        missing, taken = self.copies - len(on), [d for d, _ in on]
        if not missing:
            self._add(month, most, on, state, after)
            return
        choices, left = self.regrets[month], most - regret - self.rest[month]
        for n in range(first, len(choices)):
            more, d, end, place = choices[n]
            self.work -= 1
            if more > left or self.work < 0:
                break
            if d not in taken:
                new = (regret + more, rank + place, ((d, month, end), chain))
                if missing == 1:
                    self._add(month, most, (*on, (d, end)), new, after)
                else:
                    self._fill(month, most, (*on, (d, end)), new, n + 1, after)

    def _add(self, month: int, most: int, on: _On, state: _State, after: dict[_On, _State]) -> None:
        """Add what all copies are on, unless it has too much regret, or less leads there."""
        idle = self.idle[month]
        regret = state[0] + self.idle_usd[month]
        for d, _ in on:
            regret -= idle[d]
        if regret + self.rest[month + 1] <= most:
            key = tuple(sorted(on))
            if key not in after or (regret, state[1]) < after[key][:2]:
                after[key] = (regret, *state[1:])
