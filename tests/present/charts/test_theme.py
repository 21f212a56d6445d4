"""Colours that everybody can tell apart, on white and on the page's dark background."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import planner.reports.page
from planner.present.charts.base import COLOURS, INK, PAPER, REST, config

BACKGROUNDS = re.findall(
    r"--paper: (#[0-9a-f]{6})",
    Path(planner.reports.page.__file__).with_name("page.css").read_text(encoding="utf-8"),
)
"""The page's, light and dark."""

# Machado, Oliveira and Fernandes 2009, at full severity.
EYES = {
    "full": np.eye(3),
    "no red": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no green": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "no blue": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG defines it."""
    dark, light = sorted(float(linear(colour) @ XYZ[1]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(light: np.ndarray) -> np.ndarray:
    ratio = XYZ @ np.clip(light, 0, 1) / WHITE
    root = np.where(ratio > 216 / 24389, np.cbrt(ratio), ratio * 841 / 108 + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("background", ["#ffffff", *BACKGROUNDS])
def test_every_colour_stands_out(background: str) -> None:
    """A bar has a contrast of at least 3 to what is behind it, as WCAG 1.4.11 asks."""
    assert len(BACKGROUNDS) == 2
    assert all(contrast(colour, background) >= 3 for colour in (*COLOURS, REST))


@pytest.mark.parametrize("eyes", EYES)
def test_colours_differ_to_all_eyes(eyes: str) -> None:
    """Any two are at least 15 apart in Lab, where about 2 can just be seen."""
    seen = [lab(EYES[eyes] @ linear(colour)) for colour in (*COLOURS, REST)]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) >= 15


def test_text_is_easy_to_read() -> None:
    """Ink on paper has a contrast far above the 4.5 of WCAG 1.4.3."""
    assert contrast(INK, PAPER) > 12


def test_ink_is_in_one_place() -> None:
    """All that is written takes the ink it is given."""
    text = str(config("currentColor", None))
    assert INK not in text
    assert text.count("currentColor") == str(config()).count(INK) > 8
