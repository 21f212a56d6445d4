"""Every command and every way to mistype it: the right code, one sentence, never a traceback.

The commands, their arguments and their options are read from the app, so a new one is held to the
same table.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.cli.main import command_line, main
from planner.shipped import shipped_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run

COMMANDS: dict[str, Any] = command_line().commands
CODES = {0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
"""What a command may exit with: not 1, which is a defect."""
WRONG_FILES = ("missing", "directory", "binary", "empty", "plan.json", "demand.yaml", "market.json")
RIGHT = {
    **dict.fromkeys(("demand", "files"), "demand.yaml"),
    **dict.fromkeys(("plan", "plans", "old", "new"), "plan.json"),
}
"""A file that suits an argument of this name; any other argument takes any word."""

ALWAYS_JSON = {"emit", "schema"}
"""Commands whose result, and so whose failure, is JSON unless another format is asked for."""


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str


def _arguments(command: str) -> list[Any]:
    return [one for one in COMMANDS[command].params if one.param_type_name == "argument"]


def _file_options(command: str) -> list[str]:
    params = COMMANDS[command].params
    return [
        one.opts[0] for one in params if one.metavar in {"FILE", "DIR"} and one.opts[0][0] == "-"
    ]


def _options(command: str) -> set[str]:
    params = COMMANDS[command].params if command else []
    return {"--help", *(name for one in params for name in (*one.opts, *one.secondary_opts))}


def _right(command: str) -> list[str]:
    return [RIGHT.get(one.name, "word") for one in _arguments(command) if one.required]


def _with_wrong_files() -> Iterator[tuple[str, ...]]:
    """Yield command lines with a wrong file in the place of each argument and each option."""
    for command in COMMANDS:
        right = _right(command)
        for wrong in WRONG_FILES:
            for at in range(len(_arguments(command))):
                yield (command, *right[:at], wrong, *right[at + 1 :])
            for option in _file_options(command):
                yield (command, *right, option, wrong)


def _mistyped() -> Iterator[tuple[str, ...]]:
    yield ("ofers",)
    yield ("--no-such-option",)
    for command, declared in COMMANDS.items():
        right = _right(command)
        yield (command, *right, "--no-such-option")
        yield (command, *right, "a", "word", "too", "many")
        if right:
            yield (command,)
        for one in declared.params:
            if one.param_type_name == "option" and not one.is_flag and not one.is_eager:
                yield (command, *right, one.opts[0])


MISTYPED = tuple(_mistyped())
LINES = tuple(
    dict.fromkeys([*MISTYPED, *((name, *_right(name)) for name in COMMANDS), *_with_wrong_files()])
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with one file of each kind."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "directory").mkdir()
    (folder / "binary").write_bytes(bytes(range(256)) * 16)
    (folder / "empty").touch()
    (folder / "demand.yaml").write_text("version: 1\nvolumes: [{name: a, size: 1 TB}]\n")
    market = json.loads(shipped_path("disk-offers").read_text())
    (folder / "market.json").write_text(json.dumps(market["items"][:3]))
    demand = planner.read_demand(folder / "demand.yaml")
    planner.plan(demand, planner.read_offers(folder / "market.json")).save(folder / "plan.json")
    return folder


@pytest.fixture
def here(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a directory with those files, as a user without a key; a marketplace stops at once."""
    for path in files.iterdir():
        target = tmp_path / path.name
        target.mkdir() if path.is_dir() else target.write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("PRIME_", "PLANNER_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(threading.Event, "wait", _wait(threading.Event.wait))
    return tmp_path


def _wait(real: Any) -> Any:
    """Return a wait in which an hour has passed: what runs until it is stopped, is."""

    def wait(self: threading.Event, timeout: float | None = None) -> bool:
        return True if timeout == 3600 else bool(real(self, timeout))

    return wait


def _ended(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, *, terminal: bool = False
) -> Ended:
    """Run a command line in this process, its streams pipes or a terminal."""
    monkeypatch.setattr(sys, "argv", ["planner", *words])
    handler = signal.getsignal(signal.SIGINT)
    try:
        with _terminal(monkeypatch) if terminal else _pipes(monkeypatch) as read:
            code = 0
            try:
                main()
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
            return Ended(code, *read())
    finally:
        signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def _pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b""), "utf-8"))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        yield lambda: [_content(out), _content(err)]


def _content(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined, no-any-return]


@contextlib.contextmanager
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a terminal of the streams; nothing is typed there but the end of the input."""
    outside, inside = pty.openpty()
    os.write(outside, b"\x04" * 8)
    read: list[bytes] = []

    def drain() -> None:
        with contextlib.suppress(OSError):  # the other side is closed
            while some := os.read(outside, 4096):
                read.append(some)

    reader = threading.Thread(target=drain)
    reader.start()
    streams = [os.fdopen(os.dup(inside), mode, encoding="utf-8") for mode in ("r", "w", "w")]
    os.close(inside)

    def everything() -> list[str]:
        for stream in streams:
            stream.close()
        reader.join(10)
        return ["", b"".join(read).decode().replace("\r\n", "\n")]

    with monkeypatch.context() as patch:
        for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            patch.setattr(sys, name, stream)
        try:
            yield everything
        finally:
            everything()
            os.close(outside)


def _check(words: tuple[str, ...], ended: Ended) -> None:
    """Hold a failure against what each has to be: a code, a sentence, only its own options."""
    assert ended.code in CODES, (words, ended)
    assert "Traceback" not in ended.err, (words, ended)
    if words[0] not in COMMANDS:
        assert ended.code == 2, (words, ended)
        return
    if ended.code in {0, 10}:
        return
    said = [line for line in ended.err.splitlines() if line.startswith("planner: ")]
    assert len(said) == 1 or words[0] == "doctor", (words, ended)
    own = re.sub(r"`planner [^`]*`", "", ended.err)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", own))
    typed = {word for word in words if word.startswith("--")}
    assert named <= _options(words[0]) | typed, (words, ended)
    for command, rest in re.findall(r"`planner ([a-z]+)([^`]*)`", ended.err):
        assert set(re.findall(r"--[a-z][a-z-]+", rest)) <= _options(command), (words, ended)


@pytest.mark.slow
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_mistake_is_a_code_and_a_sentence(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing given, too much, unknown options, wrong files: no traceback; usage is exit 2."""
    for words in LINES:
        if (words[0] if words[0] in COMMANDS else "") != command:
            continue
        if "-o" in _options(command) and {*words} & {*WRONG_FILES[2:]}:
            continue  # its JSON is asked for below, and the prose is the same
        ended = _ended(words, monkeypatch)
        _check(words, ended)
        if words in MISTYPED:
            assert ended.code == 2, (words, ended)
            assert not ended.out or command in ALWAYS_JSON, (words, ended)


@pytest.mark.slow
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_failure_is_json_where_json_was_asked(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With -o json a failure is one object on stdout, its prose on stderr; usage errors too."""
    for words in LINES:
        if (words[0] if words[0] in COMMANDS else "") != command:
            continue
        asked = (*words[:1], "-o", "json", *words[1:]) if command else (*words, "-o", "json")
        ended = _ended(asked, monkeypatch)
        _check(asked, ended)
        if words in MISTYPED:
            assert ended.code == 2, (words, ended)
        if ended.code not in {0, 10} and command != "doctor":
            document = json.loads(ended.out)
            assert {"error", "hint", "exit_code"} <= set(document), (words, ended)
            assert document["exit_code"] == ended.code, (words, ended)
            assert document["error"].split("\n")[0] in ended.err, (words, ended)


@pytest.mark.slow
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_mistake_on_a_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the same: a sentence in plain lines, no frame, no traceback."""
    right = _right(command)
    lines = [line for line in MISTYPED if line[0] == command][:3]
    for words in [*lines, (command, *right), *((command, name) for name in WRONG_FILES[:3])]:
        ended = _ended(words, monkeypatch, terminal=True)
        assert ended.code in CODES | {130}, (words, ended)
        assert "Traceback" not in ended.err, (words, ended)
        if words in lines:
            assert ended.code == 2, (words, ended)
            plain = re.sub(r"\x1b\[[0-9;]*m", "", f"\n{ended.err}")
            assert plain.count("\nplanner: ") == 1 or command in ALWAYS_JSON, words


@pytest.mark.sweep
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("terminal", [False, True])
def test_planner_alone_prints_help(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing typed is nothing wrong: the commands, exit 0, nothing on standard error."""
    ended = _ended((), monkeypatch, terminal=terminal)
    assert ended.code == 0
    shown = re.sub(r"\x1b\[[0-9;]*m", "", ended.err if terminal else ended.out)
    assert terminal or not ended.err
    assert all(f" {command} " in shown for command in COMMANDS)


@pytest.mark.usefixtures("here")
def test_a_mistype_says_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command and an option close to a real one are answered with it and where to look."""
    assert "offers" in _ended(("ofers",), monkeypatch).err
    ended = _ended(("plan", "demand.yaml", "--offer", "x"), monkeypatch)
    assert "--offers" in ended.err
    assert "`planner plan --help`" in ended.err


def test_a_wrong_choice_names_the_choices(run: Run) -> None:
    """A value that an option does not have is refused in planner's words, not a library's."""
    refused = run("offers", "-o", "xlsx")
    assert refused.code == 2
    assert "Invalid value for '--output' / '-o': 'xlsx' is not one of 'table'" in refused.err


def test_without_a_terminal_nothing_is_asked(run: Run) -> None:
    """What would be asked says which option answers it."""
    ended = run("destroy", "tour", "-o", "json")
    assert ended.code == 2
    assert "no terminal to prompt on" in ended.err
    assert "--yes --confirm tour" in ended.json()["hint"]


@pytest.mark.slow
def test_ctrl_c_is_quiet_from_the_first_moment(tmp_path: Path) -> None:
    """While planner is still being imported, Ctrl-C is exit 130 without a word."""
    script = (
        "import signal, sys\n"
        # As on a terminal: a shell's background jobs are started with the signal ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from planner.__main__ import main\n"
        "class Pressed:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == WHERE: signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Pressed())\n"
        "sys.argv = ['planner', 'offers', '--offers', 'shipped:disk-offers']\n"
        "main()\n"
    )
    for where in ("planner.cli.main", "typer", "planner.present.terminal", "pandas"):
        done = subprocess.run(
            [sys.executable, "-c", script.replace("WHERE", repr(where))],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert (where, done.returncode, done.stderr) == (where, 130, "")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_rules_are_ascii_where_the_encoding_has_no_boxes(encoding: str, tmp_path: Path) -> None:
    """A table has rules, not rows of escapes."""
    done = subprocess.run(
        [sys.executable, "-m", "planner", "offers", "--offers", "shipped:disk-offers"],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "80"},
        check=True,
    )
    out = done.stdout.decode(encoding)
    assert "\\u" not in out
    assert [line for line in out.splitlines() if set(line) == {" ", "-"} and len(line) > 40]


@pytest.mark.sweep
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "words",
    [
        ("offers", "--offers", "market.json"),
        ("plan", "demand.yaml", "--offers", "market.json"),
        ("explain", "plan.json"),
        ("report", "plan.json"),
    ],
)
def test_no_line_ends_in_blanks(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes into a pipe is not filled up to the width of a screen."""
    ended = _ended(words, monkeypatch)
    assert ended.code == 0
    assert ended.out.strip()
    assert not [line for line in ended.out.split("\n") if line != line.rstrip()]
