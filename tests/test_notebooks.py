"""Every notebook runs from top to bottom, on shipped data, and its saved outputs still hold."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

with warnings.catch_warnings():
    # What the Jupyter libraries deprecate of one another is not ours to repair.
    warnings.simplefilter("ignore", DeprecationWarning)
    import nbformat
    from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Iterator

READ: Any = nbformat.read  # which has no types
NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def _read(path: Path) -> Any:
    return READ(path, as_version=4)


def _code(notebook: Any) -> Iterator[Any]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def _printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def test_there_is_a_notebook() -> None:
    """The tests below have something to hold on to."""
    assert "tour.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:(jupyter|nbclient|nbformat|zmq|tornado)")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in an empty directory, without a key, and prints what was saved with it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("PRIME_API_KEY", raising=False)
    (tmp_path / "empty").mkdir()
    saved, fresh = _read(path), _read(path)
    NotebookClient(
        fresh,
        timeout=120,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(tmp_path / "empty")}},
    ).execute()
    for before, after in zip(_code(saved), _code(fresh), strict=True):
        assert _printed(before) == _printed(after), "run the notebook again, and save it"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_saved_as_it_ran(path: Path) -> None:
    """It can be read without running it: run once, in order, without errors or traces of a home."""
    notebook = _read(path)
    nbformat.validate(notebook)
    cells = [*_code(notebook)]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds == {"stream", "execute_result"}
    assert not [cell for cell in cells if any(o.get("name") == "stderr" for o in cell.outputs)]
    assert not re.search(r"/(home|root|tmp|Users)/", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_explains_itself(path: Path) -> None:
    """It opens with a title, and no two cells of code follow each other without many words."""
    kinds = [cell.cell_type for cell in _read(path).cells]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") >= kinds.count("code") - 2
