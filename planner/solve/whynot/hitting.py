"""The least sets of steps that lead out: hitting sets of what has to be relaxed.

A core is a set of steps of which every way out takes at least one: with all other steps taken
there is still no plan. Every way out hits every core, so the search branches on cores that are
not hit yet, and finds cores where a set hits all there are and still gives no plan. Sets of one
step are looked at before those of two, and so on: the first that work are the least.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from planner.solve.whynot.trials import Exhausted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planner.solve.whynot.steps import Step
    from planner.solve.whynot.trials import Allowance

    Steps = frozenset[Step]

MOST_STEPS = 6
"""Steps in a set at most: nobody takes more at once."""
_MANY = 500
"""Steps from which on no cores are sought at first."""
MOST_SETS = 2000
"""Sets of one size that are looked at."""


class Question(Protocol):
    """What the search asks."""

    def works(self, steps: Steps) -> bool:
        """Return whether there is a plan with exactly these steps."""

    def may_work(self, steps: Steps) -> bool:
        """Return whether there may be one with some of these steps; no is certain."""


class Search:
    """Finds all least sets of steps that work.

    Parameters
    ----------
    question : Question
        Whether steps work.
    steps : sequence of Step
        All there are, in the order in which they are tried.
    allowance : Allowance
        Of questions, most of which are kept for sets of steps.
    cores : iterable of sequences of Step
        Sets known to be cores.

    Attributes
    ----------
    cores : list of tuple of Step
        Every core that is known.
    is_cut : bool
        Whether some sets were left out, because there were too many or too large ones.
    """

    def __init__(
        self,
        question: Question,
        steps: Sequence[Step],
        allowance: Allowance,
        cores: Iterable[Sequence[Step]] = (),
    ) -> None:
        self._question, self._steps, self._allowance = question, list(steps), allowance
        self._kinds = {step: (step.kind, step.name, step.field) for step in steps}
        self.cores = [tuple(core) for core in cores]
        self.is_cut = False
        self._failed: set[Steps] = set()

    def least(self) -> list[Steps]:
        """Return every least set that works; none where nothing helps or the search was cut.

        Raises
        ------
        Exhausted
            When no more questions may be asked, and none that works was found.
        """
        if len(self._steps) > _MANY:  # too many to shrink: one of all is needed, that is sure
            self.cores.append(tuple(self._steps))
        elif not self._question.may_work(frozenset(self._steps)):
            return []
        for size in range(MOST_STEPS + 1):
            found: list[Steps] = []
            try:
                for steps in self._of_size(size):
                    found.append(steps)
                    if len(found) >= MOST_SETS:
                        self.is_cut = True
                        break
            except Exhausted:
                if not found:
                    raise
                self.is_cut = True
            if found:
                return found
        self.is_cut = True
        return []

    def _of_size(self, size: int) -> Iterator[Steps]:
        yield from self._below(frozenset(), frozenset(), size)

    def _below(self, taken: Steps, barred: Steps, size: int) -> Iterator[Steps]:
        """Yield the sets that work, of so many steps, with those taken and without those barred."""
        core = next((core for core in self.cores if taken.isdisjoint(core)), None)
        if core is None:
            if taken not in self._failed:
                if self._question.works(taken):
                    yield taken
                    return
                self._failed.add(taken)
            if len(taken) == size:
                return
            core = self._core_beyond(taken)
        if len(taken) == size or self._too_many(taken, size):
            return
        for step in core:
            if step not in barred and step not in taken:
                yield from self._below(taken | {step}, barred, size)
                barred |= {step}

    def _too_many(self, taken: Steps, size: int) -> bool:
        """Return whether cores that share no step ask for more steps than are left."""
        needed, hit = 0, set(taken)
        for core in self.cores:
            if hit.isdisjoint(core):
                needed += 1
                hit.update(core)
        return needed > size - len(taken)

    def _core_beyond(self, taken: Steps) -> tuple[Step, ...]:
        """Return a small core that steps do not hit, or all others where there is none."""
        core = [step for step in self._steps if step not in taken]
        if self._question.may_work(taken):
            return tuple(core)  # none with them works, and yet more of them may
        everything = frozenset(self._steps)
        with suppress(Exhausted), self._allowance.keeping(0.6):
            for part in self._parts(core):  # what is left when stopped is a core all the same
                core = self._without(part, core, everything)
        self.cores.append(tuple(core))
        return self.cores[-1]

    def _parts(self, core: list[Step]) -> list[list[Step]]:
        """Return the steps of a core together by what they change, the last first."""
        parts: dict[tuple[str, str, str], list[Step]] = {}
        for step in core:
            parts.setdefault(self._kinds[step], []).append(step)
        return [*parts.values()][::-1]

    def _without(self, part: list[Step], core: list[Step], everything: Steps) -> list[Step]:
        """Return a core without those of some steps that it can do without."""
        gone = set(part)
        left = [step for step in core if step not in gone]
        if not self._question.may_work(everything - frozenset(left)):
            return left
        if len(part) > 1:
            half = len(part) // 2
            for piece in (part[:half], part[half:]):
                core = self._without(piece, core, everything)
        return core
