"""Whole numbers for every pair of a volume and an offer, without an array of all pairs.

What a volume takes at an offer depends on its need and on the sizes that the offer sells. Markets
have few such grids, so the numbers are stored once for each need and grid. And volumes that ask
the same break the same rules, which are stored once for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


class Amounts:
    """An array of shape (V, O) whose rows and columns repeat; read it as any array.

    Parameters
    ----------
    distinct : ndarray of int32 or int64, shape (R, C)
        Every different row, without columns that repeat.
    rows, columns : ndarray of int64, shape (V,) and (O,); None
        Which of them each volume and each offer has; None: each its own. ``~n`` is the constant n.
    constants : ndarray of int64
        Of offers at which all volumes are alike.
    """

    __slots__ = ("columns", "constants", "distinct", "rows")

    def __init__(
        self,
        distinct: NDArray[Any],
        rows: NDArray[np.int64] | None = None,
        columns: NDArray[np.int64] | None = None,
        constants: NDArray[np.int64] | None = None,
    ) -> None:
        self.distinct = distinct
        self.rows = np.arange(distinct.shape[0]) if rows is None else rows
        self.columns = np.arange(distinct.shape[1]) if columns is None else columns
        self.constants = np.empty(0, np.int64) if constants is None else constants

    @property
    def shape(self) -> tuple[int, int]:
        """Return how many volumes and offers there are."""
        return len(self.rows), len(self.columns)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401 -- NumPy's
        del copy  # it always is one
        return np.asarray(self[:, :], dtype)

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 -- as of an array
        row, column = key if isinstance(key, tuple) else (key, slice(None))
        at, there = self.rows[row], self.columns[column]
        if type(row) is int and type(column) is int:
            return int(self.constants[~there] if there < 0 else self.distinct[at, there])
        varies = there
        if self.constants.size:
            varies = np.maximum(there, 0)
        if isinstance(row, slice) or isinstance(column, slice):
            values = self.distinct[at][..., varies].astype(np.int64)
        else:
            values = self.distinct[at, varies].astype(np.int64)
        if not self.constants.size:
            return values
        return np.where(there < 0, self.constants[np.maximum(~there, 0)], values)

    def take(
        self, rows: Sequence[int] | None = None, columns: Sequence[int] | None = None
    ) -> Amounts:
        """Return some volumes at some offers; None: all of them."""
        return Amounts(
            self.distinct,
            self.rows if rows is None else self.rows[list(rows)],
            self.columns if columns is None else self.columns[list(columns)],
            self.constants,
        )

    def above(self, more: Amounts) -> Amounts:
        """Return the same with more volumes at the same offers."""
        is_alike = (
            self.distinct.shape[1] == more.distinct.shape[1]
            and np.array_equal(self.columns, more.columns)
            and np.array_equal(self.constants, more.constants)
        )
        if is_alike:
            rows = np.r_[self.rows, len(self.distinct) + more.rows]
            values = np.vstack([self.distinct, more.distinct])
            return Amounts(values, rows, self.columns, self.constants)
        return Amounts(np.vstack([self[:, :], more[:, :]]))

    def beside(self, more: ArrayLike) -> Amounts:
        """Return the same with more offers: of shape (n,) where all volumes are alike there."""
        added = np.asarray(more, np.int64)
        if added.ndim > 1 or not self.distinct.shape[1]:
            shape = (len(self.rows), added.shape[-1])
            return Amounts(np.hstack([self[:, :], np.broadcast_to(added, shape)]))
        codes = ~np.arange(len(self.constants), len(self.constants) + len(added))
        constants = np.r_[self.constants, added]
        return Amounts(self.distinct, self.rows, np.r_[self.columns, codes], constants)

    def set_columns(self, at: Sequence[int], constants: ArrayLike) -> Amounts:
        """Return the same with offers at which all volumes are alike."""
        wider = self.beside(constants)
        columns = wider.columns[: len(self.columns)].copy()
        columns[list(at)] = wider.columns[len(columns) :]
        return Amounts(wider.distinct, wider.rows, columns, wider.constants)


class Rules:
    """Bits of shape (V, O) whose rows repeat; they read as any array, and are never changed.

    Parameters
    ----------
    distinct : ndarray of uint32, shape (R, O)
        Every different row.
    rows : ndarray of int64, shape (V,)
        Which of them each volume has.
    """

    __slots__ = ("_distinct", "_rows")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, distinct: NDArray[np.uint32], rows: NDArray[np.int64]) -> None:
        self._distinct, self._rows = distinct, rows

    @property
    def shape(self) -> tuple[int, int]:
        """Return how many volumes and offers there are."""
        return len(self._rows), self._distinct.shape[1]

    @property
    def size(self) -> int:
        """Return how many pairs there are."""
        return int(np.prod(self.shape))

    def copy(self) -> NDArray[np.uint32]:
        """Return an array of all pairs, which may be changed."""
        return self._distinct[self._rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401 -- NumPy's
        del copy  # it always is one
        return np.asarray(self.copy(), dtype)

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 -- as of an array
        row, column = key if isinstance(key, tuple) else (key, slice(None))
        if isinstance(row, slice):
            return self._distinct[:, column][self._rows[row]]
        at = self._rows[row]
        is_slice = isinstance(column, slice)
        return self._distinct[at][..., column] if is_slice else self._distinct[at, column]

    def __eq__(self, bits: object) -> Any:  # noqa: ANN401 -- as of an array
        return (self._distinct == bits)[self._rows]

    def __ne__(self, bits: object) -> Any:  # noqa: ANN401 -- as of an array
        return (self._distinct != bits)[self._rows]

    def __and__(self, bits: np.uint32) -> NDArray[np.uint32]:
        return (self._distinct & bits)[self._rows]

    def __or__(self, bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
        return (self._distinct | bits)[self._rows]


_LARGE = 4_000_000
"""Pairs from which an array of all of them is not made."""


def repeated(distinct: NDArray[np.uint32], rows: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return an array whose rows repeat, read-only; a large one as `Rules`, which read the same."""
    rules = Rules(distinct, rows)
    return rules.copy() if rules.size <= _LARGE else cast("NDArray[np.uint32]", rules)
