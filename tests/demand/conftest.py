"""What the tests of the demand file share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from planner.demand.read import demand_from, read_demand
from planner.errors import DemandError

Row = tuple[int | None, int | None, str, str]


@pytest.fixture
def problems() -> Callable[..., dict[str, str]]:
    """Return a function: fields of one volume (and of the top) → what is wrong, by field."""

    def found(volume: Mapping[str, Any] | None = None, **top: object) -> dict[str, str]:
        entry = {"name": "a", "size": "4 TB", **(volume or {})}
        with pytest.raises(DemandError) as caught:
            demand_from({"version": 1, "volumes": [entry], **top})
        assert caught.value.path == "demand"
        return {field: message for _, _, field, message in caught.value.problems}

    return found


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., list[Row]]:
    """Return a function: a file's text or bytes and its name → the rows of its error."""

    def rows(content: str | bytes, name: str = "demand.yaml") -> list[Row]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(DemandError) as caught:
            read_demand(path)
        assert caught.value.path == str(path)
        return list(caught.value.problems)

    return rows
