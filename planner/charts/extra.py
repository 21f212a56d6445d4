"""The libraries that draw: an extra, loaded by the first chart and not before."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from planner.errors import InputError

if TYPE_CHECKING:
    from types import ModuleType

INSTALL = "pip install altair vl-convert-python"
"""What brings the libraries, wherever planner itself came from."""


def drawable() -> bool:
    """Return whether both libraries of the extra are installed, without loading them."""
    return all(find_spec(name) is not None for name in ("altair", "vl_convert"))


def altair() -> ModuleType:
    """Return altair, which describes charts.

    Raises
    ------
    InputError
        When the extra is not installed.
    """
    try:
        import altair as alt  # noqa: PLC0415 -- an extra, and slow to load
    except ImportError as error:
        raise _missing("altair") from error
    return alt


def vl_convert() -> ModuleType:
    """Return vl-convert, which turns charts into pictures without a browser.

    Raises
    ------
    InputError
        When the extra is not installed.
    """
    try:
        import vl_convert as library  # noqa: PLC0415 -- an extra, and large
    except ImportError as error:
        raise _missing("vl-convert-python") from error
    return library


def _missing(name: str) -> InputError:
    message = f"charts need {name}, which is not installed"
    return InputError(message, hint=INSTALL)
