"""Repairs of a plan: the cheapest few moves beside a change that keep every limit.

Moves of one replica that cost little at the prices of the limits are listed once, alone and in
pairs, cheapest first. What a change takes of the limits is then made up for by the first of them
that leaves enough room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

MOVES = 3000
"""Moves of least cost that are tried beside a change."""
_PAIRED, _FIRST, _CHUNK = 150, 128, 4096
"""Of them, those of which pairs are formed; and how many pairs are looked at at once, first and
then."""
_STEPS, _WORTH = 40, 1e-9
"""Steps towards keeping every limit and saving more; and what is too little to count."""


class Moved(NamedTuple):
    """Replicas that go elsewhere: volume, from and to which offer; their cost and effects (L,)."""

    moves: list[tuple[int, ...]]
    usd_hr: float
    effects: _Floats


class Moves:
    """Moves of single replicas, and of two at once.

    Parameters
    ----------
    volume, start, to : ndarray of int64, shape (m,)
        What moves, cheapest at the prices of the limits first.
    usd_hr : ndarray of float, shape (m,)
        What each costs.
    effects : ndarray of float, shape (m, L)
        What each takes of the limits.
    """

    def __init__(
        self,
        volume: _Ints,
        start: _Ints,
        to: _Ints,
        weight: _Floats,
        usd_hr: _Floats,
        effects: _Floats,
    ) -> None:
        self._moves = volume, start, to
        first, second = np.triu_indices(min(_PAIRED, len(volume)), 1)
        apart = volume[first] != volume[second]
        first, second = first[apart], second[apart]
        every, none = np.arange(len(volume)), np.full(len(volume), -1)
        self._first, self._second = np.r_[-1, every, first], np.r_[-1, none, second]
        usd_hr, effects = np.r_[usd_hr, 0.0], np.vstack([effects, np.zeros(effects.shape[1])])
        usd = usd_hr[self._first] + usd_hr[self._second]
        weight = np.r_[weight, 0.0]
        weight = weight[self._first] + weight[self._second]
        order = np.argsort(usd, kind="stable")
        self._first, self._second, self._usd_hr = (
            self._first[order],
            self._second[order],
            usd[order],
        )
        self._effects = effects[self._first] + effects[self._second]
        self._by_limit = np.ascontiguousarray(self._effects.T)
        self._relieving: dict[int, tuple[_Ints, _Floats]] = {}
        self._highest, self._lowest = self._effects.max(axis=0), self._effects.min(axis=0)
        self._weight = np.maximum(weight[order], 0)
        volume = np.r_[volume, -1]
        self._volumes = volume[self._first], volume[self._second]

    def filled(self, room: _Floats, without: Collection[int]) -> Moved | None:
        """Return moves after which no limit is exceeded, and no other few save anything.

        Parameters
        ----------
        room : ndarray of float, shape (L,)
            What is left of each limit, negative where it is exceeded.
        without : collection of int
            Volumes that do not move.
        """
        stay, moves, usd_hr = [*without], list[tuple[int, ...]](), 0.0
        before = room
        for _ in range(_STEPS):
            most = np.inf if (room < 0).any() else -_WORTH
            moved = self.cheapest(room, stay, most) or self._nearer(room, stay)
            if moved is None:
                break
            moves += moved.moves
            stay += [v for v, _, _ in moved.moves]
            room, usd_hr = room - moved.effects, usd_hr + moved.usd_hr
        return None if (room < 0).any() else Moved(moves, usd_hr, before - room)

    def _nearer(self, room: _Floats, stay: Sequence[int]) -> Moved | None:
        """Return the pair that takes most off what is exceeded, for what it costs."""
        if not (room < 0).any():
            return None
        excess = np.maximum(-room, 0)
        scale = np.abs(self._effects).max(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        after = np.maximum(self._effects - room, 0)
        gain = ((excess - after) / scale).sum(axis=1)
        gain[np.isin(self._volumes[0], stay) | np.isin(self._volumes[1], stay)] = 0
        price = np.where(gain > _WORTH, (self._weight + _WORTH) / np.maximum(gain, _WORTH), np.inf)
        at = int(price.argmin())
        return self._moved(at) if np.isfinite(price[at]) else None

    def cheapest(self, room: _Floats, without: Sequence[int], most: float) -> Moved | None:
        """Return the cheapest moves that exceed no limit, where they cost less than ``most``."""
        tight = np.flatnonzero(room < self._highest)
        if (room[tight] < self._lowest[tight]).any():
            return None
        end = int(np.searchsorted(self._usd_hr, most))
        for moves in self._that_relieve(room, end):
            fits = np.ones(len(moves), np.bool_)
            for limit in tight.tolist():
                fits &= self._by_limit[limit][moves] <= room[limit]
            for i in moves[fits]:
                if not any(volumes[i] in without for volumes in self._volumes):
                    return self._moved(int(i))
        return None

    def _that_relieve(self, room: _Floats, end: int) -> Iterator[_Ints]:
        """Yield moves that may suffice, the cheapest first: few can where a limit is exceeded."""
        fewest: _Ints | None = None
        for limit in np.flatnonzero(room < 0).tolist():
            moves, effects = self._relief(limit)
            enough = int(np.searchsorted(effects, room[limit], side="right"))
            if fewest is None or enough < len(fewest):
                fewest = moves[:enough]
        if fewest is not None and len(fewest) < _CHUNK:
            yield np.sort(fewest[fewest < end])
            return
        at, size = 0, _FIRST
        while at < end:
            yield np.arange(at, min(end, at + size))
            at, size = at + size, _CHUNK

    def _relief(self, limit: int) -> tuple[_Ints, _Floats]:
        """Return the moves that take something off a limit, most first, and how much."""
        if limit not in self._relieving:
            effects = self._by_limit[limit]
            moves = np.flatnonzero(effects < 0)
            moves = moves[np.argsort(effects[moves], kind="stable")]
            self._relieving[limit] = moves, effects[moves]
        return self._relieving[limit]

    def _moved(self, at: int) -> Moved:
        moves = [i for i in (self._first[at], self._second[at]) if i >= 0]
        listed = [tuple(int(each[i]) for each in self._moves) for i in moves]
        return Moved(listed, float(self._usd_hr[at]), self._effects[at])
