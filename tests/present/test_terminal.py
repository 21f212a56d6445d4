"""The terminal: real ids and long names at 80 and 160 columns, and with colour."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.present.table import Section, TableColumn
from planner.present.terminal import _Screen, folded, to_terminal
from planner.present.writers import to_markdown
from planner.text import visible
from tests.looks import HOSTILE

COLUMNS = (
    TableColumn("action", "", "action"),
    TableColumn("volume", "volume"),
    TableColumn("id", "disk", "id"),
    TableColumn("size_gb", "GB", "size_gb"),
    TableColumn("usd_month", "$/month", "usd_month"),
    TableColumn("where", "where"),
    TableColumn("status", "status", "status"),
)
IDS = ("91cc0e2f5d0a4b1e8c7d6f5e4a3b2c1d", "91cc0e2f6d0a4b1e8c7d6f5e4a3b2c1d")
FLEET = Section(
    "disks",
    "Disks",
    COLUMNS,
    (
        ("+", "v" * 64, IDS[0], 6000, Decimal("306.6"), "dc_roan unnamed (US)", "ACTIVE"),
        ("~", "corpus", IDS[1], 14000, Decimal("1340.507"), "runpod US-KS-2 (US)", "over"),
    ),
    ("", "total", None, 20000, Decimal("1647.107"), "", ""),
    notes=("warning: one disk is over its budget", "a month has 730 hours"),
    commands=(f"planner destroy llama-run --id {IDS[0]} --id {IDS[1]} --yes --confirm llama-run",),
    expendable=("where", "status"),
)


@pytest.mark.parametrize("width", [80, 160])
def test_a_table_fits_and_names_once_what_it_leaves_out(width: int) -> None:
    """At 80 columns the place goes and a line under the table says so; amounts stay whole."""
    table, _, below = to_terminal([FLEET], width=width).partition("\n\n")
    assert max(map(len, table.splitlines())) <= width
    assert table.count("Not shown at this width: where.") == (width == 80)
    for amount in ("306.60", "1,340.51", "1,647.11", "20,000"):
        assert amount in table
    assert max(map(len, below.splitlines())) <= width
    assert FLEET.commands[0] in below.replace(" \\\n  ", " ")


def test_of_a_long_table_the_first_rows_are_shown_and_the_rest_counted() -> None:
    """With the total of all; a short one is shown whole."""
    rows = tuple(("+", f"v{n}", None, n, Decimal(n), "", "over") for n in range(61))
    long = replace(FLEET, rows=rows, first=20, noun="disk")
    for text in (to_terminal([long], width=80), to_markdown([long])):
        assert re.findall(r"\bv\d+", text) == [f"v{n}" for n in range(20)]
        assert "41 more disks; -o csv lists all of them." in text
        assert "1,647.11" in text
    assert "more disks" not in to_terminal([replace(long, rows=rows[:60])], width=80)


def test_a_column_without_a_value_takes_no_room() -> None:
    """Its heading goes too, and nothing says that it is missing: there is nothing to miss."""
    rows = tuple((*row[:5], "", row[6]) for row in FLEET.rows)
    table = to_terminal([replace(FLEET, rows=rows)], width=80)
    assert "where" not in table
    assert "status" in table


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("name", ["corpus", "my corpus", "it's $HOME", "a" * 60, "--x", "ü"])
def test_a_command_on_several_lines_is_the_same_command(width: int, name: str) -> None:
    """A shell reads the same words, whatever the width."""
    words = ["printf", "%s\n", "--id", IDS[0], f"--name={name}", name, "--yes"]
    command = folded(shlex.join(words), width)
    assert (len(command.splitlines()) == 1) == (len(shlex.join(words)) <= width)
    shell = ["sh", "-c", command]
    ran = subprocess.run(shell, capture_output=True, encoding="utf-8", check=True)
    assert ran.stdout.splitlines() == words[2:]


def test_what_is_no_command_of_words_stays_as_it_is() -> None:
    """A pipe and an open quotation are not taken apart."""
    for command in ("echo a | sort --reverse", "echo 'open --quote"):
        assert folded(command, 10) == command


def test_ids_are_as_short_as_tells_them_apart() -> None:
    """Eight characters where they differ there, else as many as it takes."""
    text = to_terminal([FLEET], width=160)
    assert " 91cc0e2f5 " in text
    assert " 91cc0e2f6 " in text
    alone = Section("disks", "", COLUMNS[2:3], ((IDS[0],),))
    assert to_terminal([alone], width=80).split()[-1] == "91cc0e2f"


def test_colour_only_adds_to_what_is_said() -> None:
    """Without its escapes the coloured text is the plain one; without colour there is none."""
    plain = to_terminal([FLEET], width=160)
    coloured = to_terminal([FLEET], width=160, colour=True)
    assert "\x1b" not in plain
    for code in ("\x1b[32m+", "\x1b[33m~", "\x1b[31mover", "\x1b[33mwarning"):
        assert code in coloured


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_text_is_shown_and_does_nothing(evil: str) -> None:
    """In a title, a heading, a cell, a note and a command: no escape reaches the terminal."""
    columns = (TableColumn("a", evil), TableColumn("b", "b"))
    section = Section(evil, evil, columns, ((evil, ""),), (evil, ""), (evil,), (evil,))
    text = to_terminal([section], width=200)
    assert text.count(visible(evil)) == 6
    assert all(character.isprintable() for character in text.replace("\n", ""))


@pytest.mark.slow
@given(st.integers(1, 200))
def test_no_width_loses_a_row_or_cuts_an_amount(width: int) -> None:
    """However narrow, every amount is there."""
    text = to_terminal([FLEET], width=width)
    assert all(amount in text for amount in ("306.60", "1,340.51", "1,647.11"))


@pytest.mark.parametrize("where", ["runpod US-KS-2", "東京 1", "", "e\u0301", "→ unknown"])
def test_what_fits_is_drawn_without_rich_as_rich_draws_it(where: str) -> None:
    """A table and sentences that fit are what they are in colour, which rich draws."""
    row = ("+", "corpus", IDS[0], 6000, Decimal("306.6"), where, "ACTIVE")
    section = Section("d", "Disks", COLUMNS, (row, *FLEET.rows), FLEET.footer, ("a note",))
    plain, coloured = (to_terminal([section], width=160, colour=c) for c in (False, True))
    uncoloured = re.sub("\x1b\\[[0-9;]*m", "", coloured).splitlines()
    assert plain.splitlines() == [line.rstrip() for line in uncoloured]
    assert where in plain


@pytest.mark.slow
@given(st.text(st.sampled_from("ab -.,'"), max_size=60).map(str.strip), st.integers(8, 30))
def test_a_sentence_is_wrapped_as_rich_wraps_it(text: str, width: int) -> None:
    """Words stay whole where they fit; rich is loaded for the rest."""
    plain, rich = (_Screen(width, colour=c).line(text) for c in (False, True))
    uncoloured = re.sub("\x1b\\[[0-9;]*m", "", rich)
    assert plain.splitlines() == [line.rstrip() for line in uncoloured.splitlines()]
