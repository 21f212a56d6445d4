"""What a shell completes: places, GPUs, volumes, sections and files, without the network.

Whatever cannot be read completes to nothing: a person is in the middle of a line.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer  # noqa: TC002 -- typer reads annotations when it runs

from planner.errors import InputError
from planner.shipped import PREFIX, docs, resolve, shipped_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_DISKS, _GPUS = f"{PREFIX}disk-offers", f"{PREFIX}gpu-offers"
_STOCK = ("Low", "Medium", "Available", "High")
_SECURITY = ("secure_cloud", "community_cloud")
SECTIONS = (
    *("all", "totals", "budgets", "comparisons", "by-volume", "by-owner", "by-provider"),
    *("by-site", "by-region", "changes", "gpus", "disks", "history", "idle", "wallet", "billed"),
    *("accrued", "months", "unknown", "assumptions"),
)
"""Sections of a report; which of them have anything to show depends on what it is about."""


@contextlib.contextmanager
def whole_words_of_bash() -> Iterator[None]:
    """Complete words as they are typed where bash has cut them at ``:`` and ``=``.

    bash replaces only what follows the last cut, so that is all it is answered with.
    """
    words = os.environ.get("COMP_WORDS", "").split("\n")
    at = os.environ.get("COMP_CWORD", "")
    if not (at.isdecimal() and int(at) < len(words) and {":", "="} & {*words}):
        yield
        return
    words, before = _joined(words[: int(at) + 1])
    os.environ.update(COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1))
    answer = io.StringIO()
    try:
        with contextlib.redirect_stdout(answer):
            yield
    finally:
        sys.stdout.writelines(
            line.removeprefix(before) for line in answer.getvalue().splitlines(keepends=True)
        )


def _joined(cut: list[str]) -> tuple[list[str], str]:
    """Return whole words, and what of the last one stands before its last cut."""
    words, before, opened = [""], "", False
    for word in cut:
        if word == "=" and words[-1].startswith("--"):
            words.append("")
            before, opened = "", True
        elif word == ":" or opened:
            before = words[-1] + word if word == ":" else words[-1]
            words[-1] += word
            opened = word == ":"
        else:
            words.append(word)
            before = ""
    return words[1:], before


def _document(source: object) -> Any:  # noqa: ANN401 -- any JSON
    try:
        return json.loads(resolve(str(source)).read_bytes())
    except (OSError, ValueError, InputError):
        return {}


def _rows(document: Any, key: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 -- any JSON
    rows = document.get(key) if isinstance(document, dict) else document
    return (row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else iter(())


def _values(rows: Iterable[dict[str, Any]], key: str) -> list[str]:
    """Return the texts of a column that a shell takes as one word, each once."""
    texts = {row[key] for row in rows if isinstance(row.get(key), str)}
    return sorted(text for text in texts if text.isprintable() and " " not in text)


def _listed(key: str, option: str, otherwise: str) -> Callable[[typer.Context], list[str]]:
    """Return what completes a column of the listing in use, or of the documented one."""

    def values(ctx: typer.Context) -> list[str]:
        return _values(_rows(_document(ctx.params.get(option) or otherwise), "items"), key)

    return values


def _planned(key: str) -> Callable[[typer.Context], list[str]]:
    """Return what completes a column of the plan that the line names."""

    def values(ctx: typer.Context) -> list[str]:
        # While an option's value is missing, the words before it are not parameters yet.
        plan = ctx.params.get("plan") or next(iter(ctx.args), "")
        return _values(_rows(_document(plan), "placements"), key)

    return values


def _fixed(*values: str) -> Callable[[], list[str]]:
    return lambda: [*values]


def _files(*shipped: str) -> Callable[[str], list[str]]:
    """Return what completes a file's name, and shipped files of these names."""

    def values(incomplete: str) -> list[str]:
        folder, _, start = incomplete.rpartition("/")
        place = Path(folder or ("/" if incomplete.startswith("/") else "."))
        try:
            paths = [path for path in place.iterdir() if path.name.startswith(start)]
        except OSError:
            paths = []
        before = incomplete[: len(incomplete) - len(start)]
        mine = [f"{before}{path.name}{'/' * path.is_dir()}" for path in paths]
        hidden = f"{before}."
        return [
            *(f"{PREFIX}{name}" for name in shipped if name in shipped_names()),
            *sorted(name for name in mine if start or not name.startswith(hidden)),
        ]

    return values


def _topics() -> list[str]:
    return [line.split()[0] for line in docs().splitlines()]


_DEMANDS = _files("minimal", "research", "finetune")
COMPLETIONS: dict[str, Callable[..., list[str]]] = {
    "region": _listed("region", "offers_file", _DISKS),
    "country": _listed("country", "offers_file", _DISKS),
    "provider": _listed("provider", "offers_file", _DISKS),
    "data_center": _listed("dataCenter", "offers_file", _DISKS),
    "gpu": _listed("gpuType", "gpus_file", _GPUS),
    "gpus": _listed("gpuType", "gpus_file", _GPUS),
    "security": _fixed(*_SECURITY),
    "stock": _fixed(*_STOCK),
    "section": _fixed(*SECTIONS),
    "topic": _topics,
    "volume": _planned("volume"),
    "offer": _planned("offer_id"),
    "demand": _DEMANDS,
    "files": _DEMANDS,
    "offers_file": _files("disk-offers"),
    "gpus_file": _files("gpu-offers"),
    "plan": _DEMANDS,
    "old": _files(),
    "new": _files(),
}
"""Parameter → what completes it, in every command that has it."""
