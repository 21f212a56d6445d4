"""The files that travel with planner: the documented market, example demands and the manual."""

from __future__ import annotations

from pathlib import Path

from planner.errors import InputError
from planner.text import nearest, suggestion, visible

PREFIX = "shipped:"
_PACKAGE = Path(__file__).parent
_PLACES = (_PACKAGE / "data", _PACKAGE.parent / "data")
_MANUAL = _PACKAGE / "manual"
_READING_ORDER = (
    *("market", "demand-file", "plans", "buying", "growing-and-moving", "reports", "history"),
    *(
        "python",
        "ci",
        "assistants",
        "how-it-decides",
        "beliefs",
        "faq",
        "glossary",
        "extending",
        "changelog",
    ),
)
_SUFFIXES = frozenset({".json", ".toml", ".yaml"})


def shipped_names() -> tuple[str, ...]:
    """Return the names of the shipped files, without their suffixes, sorted."""
    return tuple(sorted(_files()))


def shipped_path(name: str) -> Path:
    """Return where a shipped file lies: in the installed package, or beside it in a checkout.

    Parameters
    ----------
    name : str
        Such as ``research``; with its suffix, ``research.yaml``, it is understood too.

    Raises
    ------
    InputError
        When there is no such file; the hint names the nearest.
    """
    files = _files()
    by_name = {**files, **{path.name: path for path in files.values()}}
    if name in by_name:
        return by_name[name]
    meant = nearest(name[:100], files)
    raise InputError(
        f"planner ships no file called '{visible(name[:60])}'",
        hint=f"did you mean {PREFIX}{meant}?" if meant else f"it ships {', '.join(sorted(files))}",
    )


def resolve(path: str) -> Path:
    """Return the path a user named; ``shipped:NAME`` is a file that travels with planner.

    >>> resolve("shipped:minimal").name, resolve("mine.yaml").name
    ('minimal.yaml', 'mine.yaml')

    Raises
    ------
    InputError
        When there is no such shipped file.
    """
    return shipped_path(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else Path(path)


def docs(topic: str | None = None) -> str:
    """Return a page of the manual as Markdown; without a topic, the list of its pages.

    Parameters
    ----------
    topic : str | None
        Such as ``glossary``; with its suffix, ``glossary.md``, it is understood too.

    Raises
    ------
    InputError
        When there is no such page; the hint names the nearest.
    """
    pages = {name: _MANUAL / f"{name}.md" for name in _READING_ORDER}
    if topic is None:
        width = max(map(len, pages))
        titles = {name: _title(path) for name, path in pages.items()}
        return "".join(f"{name:{width}}  {title}\n" for name, title in titles.items())
    name = topic.removesuffix(".md")
    if name not in pages:
        raise InputError(
            f"the manual has no page '{visible(topic[:60])}'",
            hint=suggestion(name, pages, f"its pages are {', '.join(pages)}"),
        )
    return pages[name].read_text(encoding="utf-8")


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _files() -> dict[str, Path]:
    place = next((each for each in _PLACES if each.is_dir()), None)
    if place is None:
        return {}
    return {path.stem: path for path in place.iterdir() if path.suffix in _SUFFIXES}
