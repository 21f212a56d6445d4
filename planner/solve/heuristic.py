"""A primal heuristic for limits on sums over replicas: whole numbers near a relaxed solution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from planner.solve.bundles import Bundles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance, Scope

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

_MOVES = 1000
"""Moves that are held against each other at a time: pairs are this many squared."""
_ROUNDS = 80
_PATIENCE = 6
"""Samples without a better pair, after which a few random moves give a fresh start."""
_KICK = 3
_SEED = 20
_POOL = 8
"""Cheapest alternatives of a volume, or of a bundle, that are moved to, at least."""


def round_relaxation(
    instance: Instance,
    scope: Scope,
    columns: Columns,
    values: _Floats,
    reduced: _Floats,
    good_enough: float,
) -> _Ints | None:
    """Return whole counts near a relaxed solution that keep the limits; None where none is found.

    Parameters
    ----------
    values, reduced : ndarray of float, shape (n,)
        Relaxed counts, and reduced costs in USD per hour.
    good_enough : float
        USD per hour at which the search ends.
    """
    sums = list(_sums(instance, columns)) if scope.capped else []
    if not sums:
        return None
    usd_hr, gb, _ = _amounts(instance, columns).values()
    options = _Options(Bundles.of(instance, scope, columns), values, reduced, gb)
    counts = options.rounded()
    if counts is None:
        return None
    search = _Search(options, usd_hr, sums)
    best = search.run(counts, good_enough)
    return None if best is None else options.columns(best)


class _Sums(NamedTuple):
    """Sums over replicas that a limit holds.

    Attributes
    ----------
    which : ndarray of int64, shape (n,)
        Sum that a column adds to.
    amount : ndarray of float, shape (n,)
        What it adds.
    part, most : float
        What each sum may be: a part of them all together, and so much more.
    """

    which: _Ints
    amount: _Floats
    part: float
    most: float


def _amounts(instance: Instance, columns: Columns) -> dict[str, _Floats]:
    """Return what one replica of each column costs in USD per hour, its GB and its disks."""
    at = columns.volume, columns.offer
    gb = instance.pairs.provision_gb[at].astype(float)
    price = np.array([float(usd or 0) for usd in instance.pairs.offers["usd_gb_hr"]])
    disks = instance.pairs.disks[at].astype(float)
    return {"usd_hr": gb * price[columns.offer], "gb": gb, "disks": disks}


def _sums(instance: Instance, columns: Columns) -> Iterator[_Sums]:
    """Yield the sums that the policy limits."""
    amounts = _amounts(instance, columns)
    owners = np.array([volume.owner or "" for volume in instance.volumes], object)[columns.volume]
    for limit in instance.requirements:
        if limit.sums is None:
            continue
        what, level = limit.sums
        numbers: dict[Any, int] = {}
        places = [()] * len(instance.pairs.offers) if level is None else instance.places(level)
        code = np.array([numbers.setdefault(place, len(numbers)) for place in places], np.int64)
        mine = owners == limit.owner if limit.owner is not None else np.True_
        part, most = limit.room(instance.demand)
        yield _Sums(code[columns.offer], amounts[what] * mine, float(part), float(most))


class _Options:
    """What can be taken: a column of a unit, or one of each unit of a bundle at a slot.

    At a slot of several units, those are the cheapest, those of fewest and those of most GB.
    """

    def __init__(self, bundles: Bundles, values: _Floats, reduced: _Floats, gb: _Floats) -> None:
        units, self._columns = bundles.columns.units, len(values)
        self.count = np.array([unit.count for unit in units])
        self.may_move = np.array([unit.count == 1 or unit.spread is None for unit in units])
        sizes = np.bincount(bundles.of_unit, minlength=len(units))
        slots = len(bundles.of_slot)
        near = reduced / (4 * np.abs(reduced).max(initial=1.0))
        picked, (_, slot) = bundles.cheapest(reduced)[0], bundles.cells
        several = sizes[bundles.of_slot[slot]] > 1
        picks, at = [picked], [slot]
        for weight in (gb + near, near - gb):
            picks.append(bundles.cheapest(weight)[0][several])
            at.append(slot[several] + len(at) * slots)
        self.picked, key = np.concatenate(picks), np.concatenate(at)
        there, self.option = np.unique(key, return_inverse=True)
        self.bundle: _Ints = bundles.of_slot[there % slots]
        held = np.bincount(bundles.slot, values, slots)[there % slots]
        self.value = np.where(there < slots, held / sizes[self.bundle], 0.0)
        self.reduced = np.bincount(self.option, reduced[self.picked], len(there))
        self._thin()

    def _thin(self) -> None:
        """Drop what is neither among the cheapest of its bundle nor used by the relaxation."""
        pool = max(_POOL, 2 * _MOVES // int(self.count[np.unique(self.bundle)].sum()))
        rank = _rank_within(self.bundle, self.reduced)
        kept = (rank < pool) | (self.value > 0)
        self.picked = self.picked[kept[self.option]]
        self.option = (np.cumsum(kept) - 1)[self.option[kept[self.option]]]
        self.bundle, self.value = self.bundle[kept], self.value[kept]
        self.reduced, self.is_near = self.reduced[kept], rank[kept] < pool
        self._start = np.searchsorted(self.option, np.arange(len(self.bundle) + 1))

    def rounded(self) -> _Ints | None:
        """Return each bundle's replicas at their largest parts; None where several are split."""
        counts = np.floor(self.value + 1e-6).astype(np.int64)
        placed = np.bincount(self.bundle, counts, len(self.count)).astype(np.int64)
        left = np.where(np.isin(np.arange(len(placed)), self.bundle), self.count - placed, 0)
        if (left[~self.may_move] > 0).any():
            return None
        counts[_rank_within(self.bundle, counts - self.value) < left[self.bundle]] += 1
        return counts

    def columns(self, counts: _Ints) -> _Ints:
        """Return the counts of columns, given those of options."""
        return np.bincount(self.picked, counts[self.option], self._columns).astype(np.int64)

    def gather(self, options: _Ints) -> tuple[_Ints, _Ints]:
        """Return the columns of some options, and which of the options each is of."""
        many = self._start[options + 1] - self._start[options]
        row = np.repeat(np.arange(len(options)), many)
        inside = np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many)
        return self.picked[self._start[options][row] + inside], row


def _rank_within(group: NDArray[np.integer], weight: NDArray[Any]) -> _Ints:
    """Return how many of its group weigh less, for each."""
    order = np.lexsort((weight, group))
    first = np.flatnonzero(np.r_[True, np.diff(group[order]) != 0])
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(first, np.diff(np.r_[first, len(order)]))
    return rank


class _Search:
    """A local search over single moves and pairs of them; its random starts have a seed."""

    def __init__(self, options: _Options, usd_hr: _Floats, sums: Sequence[_Sums]) -> None:
        self._options, self._sums, self._usd_hr = options, sums, usd_hr
        sizes = [int(each.which.max(initial=-1)) + 1 for each in sums]
        self._most = np.concatenate(
            [np.full(size, each.most) for each, size in zip(sums, sizes, strict=True)]
        )
        self._first = np.cumsum([0, *sizes])
        # Whatever a sum is beyond its limit must cost more than any move that mends it can.
        dear = [
            10 * float((usd_hr[each.amount > 0] / each.amount[each.amount > 0]).max(initial=0))
            for each in sums
        ]
        self._penalty = np.repeat(dear, sizes)
        of_bundle = np.argsort(options.bundle, kind="stable")
        of_bundle = of_bundle[options.is_near[of_bundle]]
        copies = np.where(options.may_move, options.count, 0)[options.bundle[of_bundle]]
        first = np.cumsum(options.count) - options.count
        self._to = np.repeat(of_bundle, copies)
        copy = np.arange(len(self._to)) - np.repeat(np.cumsum(copies) - copies, copies)
        self._piece = first[options.bundle[self._to]] + copy
        order = np.argsort(options.reduced[self._to], kind="stable")
        self._to, self._piece = self._to[order], self._piece[order]
        self._pieces = int(options.count.sum())
        self._movable = np.zeros(self._pieces, np.bool_)
        self._movable[self._piece] = True
        self._cheapest = np.zeros(self._pieces, np.int64)
        self._cheapest[self._piece[::-1]] = self._to[::-1]

    def run(self, counts: _Ints, good_enough: float) -> _Ints | None:
        """Return the best counts of options found that keep the limits, or None."""
        random = np.random.default_rng(_SEED)
        self._begin(counts)
        best, best_usd_hr, idle = None, np.inf, 0
        for _ in range(_ROUNDS):
            idle = 0 if self._improve(random) else idle + 1
            if self._usd < best_usd_hr and (self._over <= 0).all():
                best, best_usd_hr = self._counts.copy(), self._usd
            if best_usd_hr <= good_enough:
                break
            if idle > _PATIENCE:
                idle = 0
                moves = self._sample(random)
                if not len(moves):
                    break
                for move in random.choice(moves, _KICK):
                    self._make(int(self._piece[move]), int(self._to[move]))
        return best

    def _begin(self, counts: _Ints) -> None:
        options = self._options
        self._counts = counts.copy()
        used = np.flatnonzero(counts)
        used = used[np.argsort(options.bundle[used], kind="stable")]
        first = np.cumsum(options.count) - options.count
        start = np.repeat(used, counts[used])
        bundle = options.bundle[start]
        place = np.arange(len(start)) - np.searchsorted(bundle, bundle)
        self._at = np.full(self._pieces, -1, np.int64)
        self._at[first[bundle] + place] = start
        usd_hr, change = self._effect(start)
        self._usd, self._over = float(usd_hr.sum()), change.sum(axis=0) - self._most

    def _effect(self, options: _Ints) -> tuple[_Floats, _Floats]:
        """Return what some options cost, and what each adds to every sum."""
        picked, row = self._options.gather(options)
        usd_hr = np.bincount(row, self._usd_hr[picked], len(options))
        change = np.zeros((len(options), len(self._most)))
        for first, last, each in zip(self._first, self._first[1:], self._sums, strict=False):
            which, amount = each.which[picked], each.amount[picked]
            change[:, first:last] -= each.part * np.bincount(row, amount, len(options))[:, None]
            np.add.at(change, (row, first + which), amount)
        return usd_hr.astype(float), change

    def _merit(self) -> float:
        """Return the cost, and far more for every sum beyond its limit."""
        return self._usd + float(self._penalty @ np.maximum(self._over, 0))

    def _improve(self, random: np.random.Generator) -> bool:
        """Make the best pair of moves, half of the time after taking back a costly one."""
        before, undone = self._merit(), None
        costly = np.flatnonzero(self._movable)
        costly = costly[self._options.reduced[self._at[costly]] > 0]
        if len(costly) and random.random() < 0.5:  # noqa: PLR2004 -- half of the time
            piece = int(random.choice(costly))
            undone = piece, int(self._at[piece])
            self._make(piece, int(self._cheapest[piece]))
        moves = self._best(self._sample(random), before)
        for move in moves or ():
            self._make(int(self._piece[move]), int(self._to[move]))
        if moves is None and undone is not None and self._merit() >= before:
            self._make(*undone)
            return False
        return moves is not None or undone is not None

    def _make(self, piece: int, to: int) -> None:
        """Move a piece to an option."""
        start = int(self._at[piece])
        usd_hr, change = self._effect(np.array([start, to]))
        self._counts[start] -= 1
        self._counts[to] += 1
        self._usd += float(usd_hr[1] - usd_hr[0])
        self._over += change[1] - change[0]
        self._at[piece] = to

    def _sample(self, random: np.random.Generator) -> _Ints:
        """Return moves to where their piece is not already; rather the cheap ones."""
        away = np.flatnonzero(self._at[self._piece] != self._to)
        if len(away) <= _MOVES:
            return np.asarray(away)
        near = (random.random(_MOVES) ** 2 * len(away)).astype(np.int64)
        return np.asarray(away[np.unique(near)])

    def _best(self, moves: _Ints, before: float) -> list[int] | None:
        """Return the move or pair of moves of most merit, None where that is not below before."""
        piece = self._piece[moves]
        to, start = self._effect(self._to[moves]), self._effect(self._at[piece])
        change = np.vstack([to[1] - start[1], np.zeros(len(self._most))])  # the last moves nothing
        usd_hr = np.r_[to[0] - start[0], 0.0]
        merit = self._usd + usd_hr[:, None] + usd_hr[None, :]
        reach = 2 * change.max(axis=0, initial=0)
        for r in np.flatnonzero(self._over + reach > 0).tolist():
            over = self._over[r] + change[:, None, r] + change[None, :, r]
            merit += self._penalty[r] * np.maximum(over, 0)
        owner = np.r_[piece, -1]
        merit[owner[:, None] == owner[None, :]] = np.inf
        best = int(np.argmin(merit))
        if merit.flat[best] >= before - 1e-12 * abs(before):
            return None
        return [int(moves[i]) for i in divmod(best, len(owner)) if i < len(moves)]
