"""The shape of the code: which way imports point, who may import what, and what stays light."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer.main

import planner
from planner.cli.main import command_line

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "planner"

ORDER = (
    "text",
    "units",
    "present",
    "errors",
    "formats",
    "schema",
    "shipped",
    "market",
    "demand",
    "requirements",
    "solve",
    "analysis",
    "present.charts",
    "marketplace",
    "plans",
    "project",
    "reports",
    "planner",  # the public names; they are imported when first used
    "cli",
    "__main__",
)
"""The rooms, from the ground up: each may import from those before it and from itself."""

HOMES = {
    "pulp": ("solve/model.py", "solve/solver.py"),
    "highspy": (),
    "httpx": ("marketplace/",),
    "rich": ("present/terminal.py",),
    "typer": ("cli/",),
    "altair": ("present/charts/",),
    "vl_convert": ("present/charts/",),
    "jinja2": ("reports/",),
}
"""Libraries that stay in their rooms; highspy is driven through PuLP."""

HEAVY = frozenset({"pandas", "pulp", "numpy", "httpx", "altair", "vl_convert", "jinja2"})
MAX_LINES = 600
"""A file is one concept; one that needs more lines than this is two."""


@dataclass(frozen=True)
class Import:
    """One import: where it stands, what it names, and whether it runs."""

    path: Path
    line: int
    source: str
    target: str
    runs: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.target}"


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
MODULES = {_module_name(path): path for path in TREES}


def _statements(node: ast.AST, *, runs: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield every import below a node, and whether it ever runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, runs
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from _statements(ast.Module(child.body, []), runs=False)
            yield from _statements(ast.Module(child.orelse, []), runs=runs)
        else:
            yield from _statements(child, runs=runs)


def _imports() -> Iterator[Import]:
    for path, tree in TREES.items():
        for statement, runs in _statements(tree):
            if isinstance(statement, ast.Import):
                targets = [alias.name for alias in statement.names]
            else:
                assert isinstance(statement, ast.ImportFrom)
                module = "." * statement.level + (statement.module or "")
                named = (f"{module}.{alias.name}" for alias in statement.names)
                targets = [name if name in MODULES else module for name in named]
            for target in dict.fromkeys(targets):
                yield Import(path, statement.lineno, _module_name(path), target, runs)


IMPORTS = tuple(_imports())


def _room(module: str) -> str:
    parts = module.split(".")
    inner = ".".join(parts[1:3])
    return inner if inner in ORDER else parts[1] if len(parts) > 1 else parts[0]


def _is_ours(module: str) -> bool:
    return module == "planner" or module.startswith("planner.")


def test_every_room_has_its_place_in_the_order() -> None:
    """A new module is put in its place before it is imported."""
    assert {_room(module) for module in MODULES} == set(ORDER)


def test_imports_name_what_they_mean() -> None:
    """No import is relative, and every module of ours that is imported exists."""
    wrong = [
        str(one)
        for one in IMPORTS
        if one.target.startswith(".") or (_is_ours(one.target) and one.target not in MODULES)
    ]
    assert not wrong


def test_imports_point_one_way() -> None:
    """No room imports from a room above it, not even inside a function or for annotations."""
    rank = {room: index for index, room in enumerate(ORDER)}
    upward = [
        str(one)
        for one in IMPORTS
        if _is_ours(one.target) and rank[_room(one.target)] > rank[_room(one.source)]
    ]
    assert not upward


def test_a_vendor_is_known_in_few_places() -> None:
    """A second marketplace is one package: only these know of Prime Intellect's."""
    prime = "planner.marketplace.prime"
    users = {one.source for one in IMPORTS if one.target.startswith(prime)}
    assert {user for user in users if not user.startswith(prime)} == {
        "planner",  # its client and its create requests are public names
        "planner.marketplace.fetch",  # connects
        "planner.plans.requests",  # a plan shows what will be posted
        "planner.cli.emit",
    }


def test_no_import_goes_round_in_a_circle() -> None:
    """Every module can be read after all it imports, annotations included."""
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for one in IMPORTS:
        if _is_ours(one.target) and one.source != "planner":
            graph[one.source].add(one.target)
    order = [*TopologicalSorter(graph).static_order()]
    assert len(order) == len(MODULES)


@pytest.mark.slow
def test_no_two_classes_share_a_name() -> None:
    """One word stands for one thing, wherever it is read."""
    homes: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module)
    assert not {name: where for name, where in homes.items() if len(where) > 1}


@pytest.mark.parametrize("library", HOMES)
def test_a_library_stays_in_its_room(library: str) -> None:
    """What draws, asks the network or solves is imported in one place."""
    homes = tuple(str(PACKAGE / home) for home in HOMES[library])
    users = [one for one in IMPORTS if one.target.split(".")[0] == library]
    strays = [str(one) for one in users if not any(str(one.path).startswith(h) for h in homes)]
    assert not strays
    assert bool(users) == bool(homes)


@pytest.mark.slow
def test_nothing_prints_below_the_command_line() -> None:
    """A library that prints spoils the output of whoever calls it."""
    prints = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in TREES.items()
        if _room(_module_name(path)) != "cli"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "sys.stdout.write"}
    ]
    assert not prints


@pytest.mark.slow
def test_no_error_is_caught_without_being_named() -> None:
    """Catching everything, or `Exception`, would hide a defect as an answer."""
    broad = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or any(
                isinstance(part, ast.Name) and part.id == "Exception"
                for part in ast.walk(node.type)
            )
        )
    ]
    assert not broad


def test_a_module_is_one_concept_with_a_sentence() -> None:
    """Every module opens with a sentence and ends before it does more than one thing."""
    untold = [module for module, path in MODULES.items() if not ast.get_docstring(TREES[path])]
    lines = {m: path.read_text(encoding="utf-8").count("\n") for m, path in MODULES.items()}
    assert not untold
    assert not {module: count for module, count in lines.items() if count > MAX_LINES}


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize(
    "module", sorted(m for m, p in MODULES.items() if ">>> " in p.read_text(encoding="utf-8"))
)
def test_the_examples_of_a_module_run(module: str) -> None:
    """What a docstring shows is what happens."""
    examples = doctest.testmod(importlib.import_module(module))
    assert (examples.attempted > 0, examples.failed) == (True, 0)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        check=True,
        encoding="utf-8",
        env={**environ, "PYTHONIOENCODING": "utf-8"},
        timeout=60,
    )


def _loaded(importtime: str) -> set[str]:
    """Return the top-level packages that `-X importtime` saw."""
    lines = (line for line in importtime.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


@pytest.mark.slow
def test_help_is_quick() -> None:
    """`planner --help` loads none of the heavy libraries."""
    seen = _loaded(_run("-X", "importtime", "-m", "planner", "--help").stderr)
    assert "planner" in seen
    assert not seen & HEAVY


@pytest.mark.slow
def test_import_is_light() -> None:
    """`import planner` loads none of the heavy libraries, and using it does."""
    seen = _loaded(_run("-X", "importtime", "-c", "import planner").stderr)
    assert "planner" in seen
    assert not seen & HEAVY
    used = _loaded(_run("-X", "importtime", "-c", "import planner; planner.read_offers").stderr)
    assert "pandas" in used


def _public() -> list[str]:
    return sorted(set(planner.__all__) - {"__version__"})


def test_a_public_name_is_there_and_described() -> None:
    """Every name in `__all__` leads to something with a docstring of its own."""
    assert [name for name in _public() if not getattr(planner, name).__doc__] == []
    assert set(_public()) <= set(dir(planner))


def test_public_names_are_written_down_once_for_each_reader() -> None:
    """Type checkers, `__getattr__` and `__all__` know the same names in the same homes."""
    for_checkers = {
        alias.name: statement.module
        for statement, runs in _statements(TREES[PACKAGE / "__init__.py"])
        if isinstance(statement, ast.ImportFrom) and not runs
        for alias in statement.names
    }
    at_run_time = {name: home for home, names in planner._HOME.items() for name in names}
    assert for_checkers == at_run_time
    assert sorted(at_run_time) == _public()
    assert list(planner.__all__) == sorted(planner.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """`planner.nonsense` fails as any module would."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        importlib.import_module("planner").nonsense  # noqa: B018 -- looking is the test


def test_the_version_is_the_one_that_is_installed() -> None:
    """What `planner --version` says is what pip installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert planner.__version__ == project["version"]


def _commands() -> dict[str, typer.core.TyperCommand]:
    group = command_line()
    assert isinstance(group, typer.core.TyperGroup)
    found = {}
    for name, command in group.commands.items():
        assert isinstance(command, typer.core.TyperCommand)
        found[name] = command
    return found


COMMANDS = _commands()


def test_a_command_has_help_and_a_place_in_the_manual() -> None:
    """A command, option or argument without help might as well not exist."""
    pages = (ROOT / "README.md", *(PACKAGE / "manual").glob("*.md"))
    manual = "".join(page.read_text(encoding="utf-8") for page in pages)
    unexplained = [
        f"{name} {param.name}"
        for name, command in COMMANDS.items()
        for param in command.params
        if not getattr(param, "help", "")
    ]
    assert not unexplained
    assert [name for name, command in COMMANDS.items() if not command.help] == []
    assert [name for name in COMMANDS if f"planner {name}" not in manual] == []


OTHERWISE = {"schema": "demand_schema", "sim": "Sim", "mcp": None}
"""Commands whose function has another name, and the server, which is no function."""


def test_every_command_has_its_function() -> None:
    """A command is one public function with its name; ``dir`` has what is public, and no more."""
    functions = {name: OTHERWISE.get(name, name) for name in COMMANDS}
    missing = [name for name in functions.values() if name and name not in planner.__all__]
    assert missing == []
    assert {*OTHERWISE} <= {*COMMANDS}
    assert all(callable(getattr(planner, name)) for name in functions.values() if name)
    assert dir(planner) == sorted(planner.__all__)
