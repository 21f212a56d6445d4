"""Which tests are slow: those that are marked, and all but the first of a sweep."""

from __future__ import annotations

import gc

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark a sweep's tests slow, but for the one of the first value of every parameter."""
    for item in items:
        call = getattr(item, "callspec", None)
        if item.get_closest_marker("sweep") and call is not None and any(call.indices.values()):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage: a tenth of the suite."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
