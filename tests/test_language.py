"""How planner speaks: the words of the glossary, and none of those that only its authors knew.

A text that a newcomer has to decode costs every reader once. What is not to come back is listed
here with what to write instead.
"""

from __future__ import annotations

import io
import json
import re
import tokenize
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_type_hints

import pytest

import planner
from planner.plans.stored import StoredPlan
from planner.solve.solution import Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "planner"

PHRASES = {
    r"nobody": "no one; unknown; no terminal to prompt on",
    r"told": "said, listed, known; distinguished",
    r"(does|did) not (say|tell)|says? nothing": "unknown, missing, not listed",
    r"ways out": "relaxations; ways to make it feasible",
    r"figures rest on": "assumptions",
    r"simpler ways": "simpler plans",
    r"anew": "again; replaced",
    r"(be|are|is) believed": "valid, usable",
    r"relaxation helps": "dropping any single requirement would not help",
    r"asking what would be|what would be otherwise": "testing alternatives; what would change",
    r"in doubt|doubts?": "pending, unknown outcome",
    r"for good": "permanently",
    r"say one thing": "use only one of",
    r"the one that": "name it",
    r"is nothing that can": "unknown setting",
    r"the market has no": "not in this market",
    r"several slots": "matches several disks",
    r"left alone": "not used; unchanged",
    r"an? hair": "tolerance",
    r"bought elsewhere": "bought at another offer",
}
"""Pattern → what to write instead, in texts: messages, docstrings, comments, pages."""

NAMES = {
    r"found|_?Found": "incumbent, candidate, disk, problems: what it is",
    "told|untold": "say what is known",
    r"_?one": "the thing's name: offer, disk, row",
    r"_?words": "messages, arguments, text",
    r"Bench|Allowance|_tired|patience": "Evaluator, SearchBudget",
    r"Effort|took": "SolveStats, record",
    r"HAIR|hair": "FEASIBILITY_TOLERANCE",
    r"Tie|share_one_place": "GroupConstraint, best_common_place",
    r"Least|floor_month": "dual_bound",
    r"settle": "resolve, break_ties",
    r"slack": "cost_tolerance",
    r"needed_columns|lacks": "presolve, has_empty_domain",
    r"deal|_hands": "disaggregate",
    r"repaired|greedy": "primal heuristic",
    r"popularity|_beside_nothing|worth": "unconstrained_cost, shadow price",
    r"doubt|in_doubt": "pending",
    r"shelf|Shop|Doomed|Simpler|Copies": "offers_by_key, PurchaseContext, DeletionTarget, Baseline",
    r"talk|leave|teller|retell": "to_stderr, exit_with, event_logger",
    r"mangle": "response_faults",
}
"""Pattern → what to write instead, as a whole identifier of the code."""

STILL: dict[str, set[str]] = {
    "cli": {
        r"(does|did) not (say|tell)|says? nothing",
        r"in doubt|doubts?",
        r"found|_?Found",
        r"_?one",
        r"_?words",
        "settle",
        "slack",
    },
    "market": {
        "told",
        r"found|_?Found",
        r"_?one",
    },
    "reports": {
        r"(does|did) not (say|tell)|says? nothing",
        r"in doubt|doubts?",
        r"found|_?Found",
        r"_?one",
        "doubt|in_doubt",
    },
}
"""Room → patterns that still occur in it. A pattern that is gone from a room goes from its line."""


def _room(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[1].removesuffix(".py") if parts[0] == "planner" else parts[0]


def _python(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of comments and strings; neighbouring lines are one text."""
    tokens = [*tokenize.generate_tokens(io.StringIO(text).readline)]
    block: list[str] = []
    start = last = 0
    for token in tokens:
        if token.type not in {tokenize.COMMENT, tokenize.STRING}:
            continue
        if token.start[0] > last + 1 or not block:
            if block:
                yield start, " ".join(block)
            block, start = [], token.start[0]
        body = token.string.lstrip("# ") if token.type == tokenize.COMMENT else token.string
        block.append(re.sub(r"^\w*(\"\"\"|\"|')|(\"\"\"|\"|')$", "", body))
        last = token.end[0]
    if block:
        yield start, " ".join(block)


def _notebook(text: str) -> Iterator[tuple[int, str]]:
    for number, cell in enumerate(json.loads(text)["cells"], 1):
        if cell["cell_type"] == "markdown":
            yield number, "".join(cell["source"])


def _texts() -> Iterator[tuple[Path, int, str]]:
    """Yield every text that people read: file, line (or cell) and text."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for line, text in _python(path.read_text(encoding="utf-8")):
            yield path, line, text
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell, text in _notebook(path.read_text(encoding="utf-8")):
            yield path, cell, text
    pages = [
        ROOT / "README.md",
        *(ROOT / "data").glob("*.yaml"),
        *(PACKAGE / "manual").glob("*.md"),
    ]
    for path in sorted(pages):
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield path, number, text


def _identifiers() -> Iterator[tuple[Path, int, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME:
                yield path, token.start[0], token.string


def _occurrences(
    places: Iterator[tuple[Path, int, str]], patterns: dict[str, str], *, whole: bool
) -> dict[str, dict[str, list[str]]]:
    """Return room → pattern → where it occurs."""
    shapes = {
        pattern: re.compile(
            pattern if whole else rf"\b({pattern})\b", 0 if whole else re.IGNORECASE
        )
        for pattern in patterns
    }
    seen: dict[str, dict[str, list[str]]] = {}
    for path, line, text in places:
        flat = " ".join(text.split())
        for pattern, shape in shapes.items():
            if shape.fullmatch(flat) if whole else shape.search(flat):
                place = f"{path.relative_to(ROOT)}:{line}"
                seen.setdefault(_room(path), {}).setdefault(pattern, []).append(place)
    return seen


IN_TEXTS = _occurrences(_texts(), PHRASES, whole=False)
IN_NAMES = _occurrences(_identifiers(), NAMES, whole=True)


@pytest.mark.parametrize(
    ("seen", "patterns"), [(IN_TEXTS, PHRASES), (IN_NAMES, NAMES)], ids=["texts", "names"]
)
def test_no_word_of_the_old_dialect_comes_back(
    seen: dict[str, dict[str, list[str]]], patterns: dict[str, str]
) -> None:
    """Plain English in the field's terms, in texts and in names."""
    wrong = [
        f"{place}: '{pattern}'; write {patterns[pattern]}"
        for room, found in seen.items()
        for pattern, places in found.items()
        if pattern not in STILL.get(room, ())
        for place in places
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_clean_is_held_to_it() -> None:
    """A pattern that no longer occurs in a room cannot come back there."""
    clean = {
        room: sorted(patterns - IN_TEXTS.get(room, {}).keys() - IN_NAMES.get(room, {}).keys())
        for room, patterns in STILL.items()
    }
    assert not {room: patterns for room, patterns in clean.items() if patterns or not STILL[room]}


GLOSSARY = (PACKAGE / "manual" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\| ([^|]+?) \| [^|]+ \|$", GLOSSARY, re.MULTILINE)


def _letters(text: str) -> str:
    """Return text as it is compared: `run-rate`, `run_rate` and `RunRate` are one term."""
    return re.sub(r"[^a-z]", "", text.lower())


def test_a_term_is_defined_once() -> None:
    """In a table of two columns, and nowhere twice."""
    terms = [term for term in TERMS if term not in {"term", "---"}]
    assert len(terms) > 40
    assert len({_letters(term) for term in terms}) == len(terms)


@pytest.mark.slow
def test_a_term_of_the_glossary_is_used() -> None:
    """Each occurs in a text or a name of the package: a page defines no words of its own."""
    written = "|".join(_letters(text) for path, _, text in _texts() if "manual" not in path.parts)
    names = {_letters(name) for _, _, name in _identifiers()}
    used = f"{written}|{'|'.join(sorted(names))}"
    assert not [term for term in TERMS if term != "term" and _letters(term) not in used]


@pytest.mark.slow
def test_what_a_demand_and_a_plan_are_made_of_is_defined() -> None:
    """The words that a user meets first: top-level lists of both files, and what a plan does."""
    parts = ("volumes", "groups", "workloads", "policy", "project", "placements", "requests")
    actions = get_args(get_type_hints(Placement, localns={"Decimal": Decimal})["action"])
    documents = {*planner.demand_schema()["properties"], *StoredPlan.model_fields}
    assert set(parts) <= documents
    defined = {term.lower() for term in TERMS}
    assert not [part for part in parts if part.removesuffix("s") not in defined]
    assert not [action for action in actions if f"`{action}`" not in GLOSSARY]
