"""The commented demand files that planner ships."""

from typing import Literal, get_args

from planner.errors import InputError
from planner.shipped import shipped_path
from planner.text import nearest

ExampleName = Literal["minimal", "research"]


def example(name: ExampleName) -> str:
    """Return the text of an example demand file.

    Parameters
    ----------
    name : {'minimal', 'research'}
        The smallest file worth planning, or that of a research group.

    Raises
    ------
    InputError
        When there is no such example.

    Examples
    --------
    >>> "volumes:" in example("minimal")
    True
    """
    known = get_args(ExampleName)
    if name not in known:
        meant = nearest(str(name), known)
        raise InputError(
            f"there is no example called {str(name)[:60]!r}",
            hint=f"did you mean {meant}?" if meant else f"there are {' and '.join(known)}",
        )
    return shipped_path(name).read_text(encoding="utf-8")
