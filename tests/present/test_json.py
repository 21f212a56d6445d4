"""JSON in blocks: the values that one text of them has, with a line for each streamed record."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from planner.present.writers import json_blocks, to_json
from planner.units import plain

ROWS = [{"usd": Decimal("0.10"), "rules": ("a", "b"), "name": "x\n\u2028"}] * 2500


@pytest.mark.parametrize("count", [0, 1, 1000, 1001, 2500])
def test_streamed_records_are_the_same_values(count: int) -> None:
    """Before, between and after other values, which are laid out as they always are."""
    head = {"id": "p", "months": {"first": [1, 2]}}
    listed: dict[str, Any] = {**head, "rows": ROWS[:count], "none": [], "end": None}
    streamed = {**head, "rows": iter(ROWS[:count]), "none": iter(()), "end": None}
    text = "".join(json_blocks(streamed))
    assert json.loads(text) == json.loads(to_json(listed))
    assert text.startswith(to_json(head).removesuffix("\n}"))
    assert text.count("\n    {") == count


def test_what_has_no_stream_is_written_as_one_text() -> None:
    """Lists and scalars alike."""
    for value in (ROWS[:2], {"a": ROWS[:1]}, None):
        assert "".join(json_blocks(value)) == json.dumps(value, indent=2, default=plain)
