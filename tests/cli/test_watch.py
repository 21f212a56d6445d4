"""``planner watch``: changes as lines, an end that scripts can use, and nothing hostile run."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from planner.errors import InputError, PendingActions
from planner.marketplace.notify import checked_url, notify
from planner.marketplace.sim.local import Sim
from tests.cli.test_live import KEY, environment
from tests.project.world import offer
from tests.raw import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run

SMALL = "version: 1\nvolumes:\n  - {name: x, size_gb: 100}\n"
HOSTILE = "$(touch owned); `touch owned` | touch owned"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.slow
def test_it_ends_with_zero_when_the_price_falls(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each change; as JSON, an object a line."""
    with Sim() as sim:
        pauses: list[float] = []

        def later(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) % 2 == 0:
                sim.change_offer({}, price=f"0.00000{9 - len(pauses)}")

        monkeypatch.setattr("planner.cli.watch._sleep", later)
        words = ("watch", "-", "--until", "cheaper:5%")
        ran = run(*words, stdin=SMALL, env=environment(sim))
        assert ran.code == 0, ran.err
        lines = ran.out.splitlines()
        assert "Plan: $" in lines[0]
        assert " UTC  Cheaper: $" in lines[-1]
        assert len(pauses) == 2
        assert all(590 < pause <= 600 for pause in pauses)
        ran = run(*words, "-o", "json", stdin=SMALL, env=environment(sim))
        documents = [json.loads(line) for line in ran.out.splitlines()]
        assert [documents[0]["event"], documents[-1]["event"]] == ["plan", "reached"]
        assert KEY not in ran.out + ran.err
        ran = run(*words, "-o", "csv", stdin=SMALL, env=environment(sim))
        table = [*csv.DictReader(ran.out.splitlines())]
        assert [table[0]["event"], table[-1]["event"]] == ["plan", "reached"]
        assert ran.out.count("usd_month") == 1
        for usd_month in (documents[0]["usd_month"], table[0]["usd_month"]):
            assert re.fullmatch(r"\d+(\.\d{1,9})?", usd_month)  # exact, not a float's digits


@pytest.mark.slow
def test_a_command_is_run_without_a_shell(run: Run, tmp_path: Path) -> None:
    """Nothing of the market is on its command line; the change is its input."""
    script = tmp_path / "after.py"
    script.write_text(
        "import json, sys\n"
        "json.dump([sys.argv[1:], json.load(sys.stdin)], open('after.json', 'w'))\n"
        "print('done')\n"
    )
    rows = [offer(HOSTILE, HOSTILE)]
    with Sim(rows) as sim:
        command = f"{sys.executable} after.py '$HOME; touch owned' *"
        ran = run("watch", "-", "--exec", command, stdin=SMALL, env=environment(sim))
        assert ran.code == 0, ran.err
        words, change = json.loads((tmp_path / "after.json").read_text())
        assert words == ["$HOME; touch owned", "*"]
        assert change["event"] == "reached"
        assert not (tmp_path / "owned").exists()
        assert "done" not in ran.out
        for failing, text in (("false", "ended with 1"), ("no-such-command", "cannot be run")):
            ran = run("watch", "-", "--exec", failing, stdin=SMALL, env=environment(sim))
            assert (ran.code, text in ran.err) == (6, True)
    for wrong in ("", "'open"):
        assert run("watch", "-", "--exec", wrong, stdin=SMALL).code == 2


class Hook(BaseHTTPRequestHandler):
    """Takes a post and remembers it."""

    posts: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        """Read the whole body, and say yes."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posts.append((self.path, dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[str]:
    """Return the URL of a server that takes posts."""
    Hook.posts.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/services/secret"
        server.shutdown()


@pytest.mark.slow
def test_a_notification_is_a_post_that_slack_takes(run: Run, hook: str) -> None:
    """Text alone, no key, and no mention that a name could smuggle in."""
    with Sim() as sim:
        ran = run("watch", "-", "--notify", hook, stdin=SMALL, env=environment(sim))
    assert ran.code == 0, ran.err
    notify(hook, "<!channel> & \x1b[2J")
    (path, headers, body), (_, _, escaped) = Hook.posts
    assert path == "/services/secret"
    assert headers["Content-Type"] == "application/json"
    assert KEY not in f"{headers}{body!r}"
    assert "authorization" not in {name.lower() for name in headers}
    assert json.loads(body)["text"].startswith("demand: Feasible: $")
    assert json.loads(escaped) == {"text": "&lt;!channel&gt; &amp; \\x1b[2J"}


@pytest.mark.slow
def test_a_notification_follows_no_redirect_and_shows_no_secret() -> None:
    """Another host hears nothing; a failure that may pass is tried three times."""
    with Raw(OK) as other:
        moved = b"HTTP/1.1 302 Found\r\nLocation: %s/x\r\nContent-Length: 0\r\n\r\n"
        with Raw(moved % other.url.encode()) as hook:
            with pytest.raises(PendingActions, match="answered with 302") as caught:
                notify(f"{hook.url}/secret", "text")
            assert "secret" not in f"{caught.value}{caught.value.hint}"
            assert len(hook.requests) == 1
        assert other.requests == []
    pauses: list[float] = []
    with Raw(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n") as hook:
        with pytest.raises(PendingActions, match="answered with 503"):
            notify(hook.url, "text", sleep=pauses.append)
        assert len(hook.requests) == 3
    with Raw() as hook, pytest.raises(PendingActions, match=r"127\.0\.0\.1") as caught:
        notify(f"{hook.url}/secret", "text", sleep=pauses.append)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "url", ["", "hooks", "http://example.com/x", "ftp://example.com", "https://", "https://a:x/"]
)
def test_only_https_is_posted_to(url: str) -> None:
    """Or http to this machine; the message shows none of it."""
    with pytest.raises(InputError, match="not a URL"):
        checked_url(url)


def test_mistakes_are_two_before_anything_is_read(run: Run) -> None:
    """What is waited for, how often, and where to post."""
    with Sim() as sim:
        env = environment(sim)
        for words in (
            ("--until", "soon"),
            ("--every", "0.5m"),
            ("--every", "x"),
            ("--notify", "http://example.com/x"),
        ):
            ran = run("watch", "-", *words, stdin=SMALL, env=env)
            assert ran.code == 2, words
        assert sim.audit() == []


@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    """130, and no traceback."""
    (tmp_path / "demand.yaml").write_text(SMALL)
    with Sim() as sim:
        sim.change_offer({}, stock="Unavailable")
        running = subprocess.Popen(
            # As on a terminal: a shell's background jobs are started with the signal ignored.
            [
                *(sys.executable, "-c"),
                (
                    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
                    "from planner.__main__ import main; main()"
                ),
                *("watch", "demand.yaml"),
            ],
            cwd=tmp_path,
            env={**os.environ, **environment(sim), "HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None
        line = running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert "No plan yet" in line
    assert (running.returncode, "Traceback" in err) == (130, False)
