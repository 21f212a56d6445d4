"""Credentials are found where the vendor's client finds them, and never leak."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from planner.errors import InputError
from planner.marketplace.credentials import Credentials, read_credentials

if TYPE_CHECKING:
    from pathlib import Path

PRODUCTION = "https://api.primeintellect.ai"
KEY = "pit_0123456789abcdef"
ENV = {"PRIME_API_KEY": KEY}


def configure(home: Path, config: object, **contexts: object) -> None:
    """Write config.json and the named contexts; bytes and str are written as they are."""
    folder = home / ".prime" / "environments"
    folder.mkdir(parents=True)
    files = {home / ".prime" / "config.json": config}
    files |= {folder / f"{name}.json": context for name, context in contexts.items()}
    for path, value in files.items():
        if isinstance(value, bytes):
            path.write_bytes(value)
        else:
            path.write_text(value if isinstance(value, str) else json.dumps(value))


def seen(credentials: Credentials) -> tuple[str, str, str | None]:
    """Return key, URL and team."""
    return credentials.api_key.get_secret_value(), credentials.base_url, credentials.team_id


def chain(error: BaseException | None) -> str:
    """Return everything that a traceback of this error could show of its exceptions."""
    text = ""
    while error is not None:
        text += f"{error} {error!r} {getattr(error, 'hint', '')}\n"
        error = error.__cause__ or error.__context__
    return text


def test_environment_alone(tmp_path: Path) -> None:
    """A key in the environment is enough, and no directory is created."""
    assert seen(read_credentials(ENV, tmp_path)) == (KEY, PRODUCTION, None)
    assert list(tmp_path.iterdir()) == []


def test_config_alone(tmp_path: Path) -> None:
    """Key, team and URL of config.json are used when the environment has none."""
    configure(tmp_path, {"api_key": KEY, "team_id": "t1", "base_url": "https://eu.example/api/v1/"})
    assert seen(read_credentials({}, tmp_path)) == (KEY, "https://eu.example", "t1")


def test_environment_wins(tmp_path: Path) -> None:
    """Each variable wins over its setting, and PRIME_API_BASE_URL over PRIME_BASE_URL."""
    configure(tmp_path, {"api_key": "other", "team_id": "t1", "base_url": "https://eu.example"})
    environ = {
        "PRIME_API_KEY": f"  {KEY}\n",
        "PRIME_TEAM_ID": "t2",
        "PRIME_API_BASE_URL": "https://a.example",
        "PRIME_BASE_URL": "https://b.example",
    }
    assert seen(read_credentials(environ, tmp_path)) == (KEY, "https://a.example", "t2")
    del environ["PRIME_API_BASE_URL"]
    assert read_credentials(environ, tmp_path).base_url == "https://b.example"


def test_blank_team_is_not_set(tmp_path: Path) -> None:
    """A blank PRIME_TEAM_ID leaves the team to config.json, as in the vendor's client."""
    configure(tmp_path, {"team_id": "t1"})
    assert read_credentials({**ENV, "PRIME_TEAM_ID": "  "}, tmp_path).team_id == "t1"


@pytest.mark.parametrize("value", ["", "  "])
@pytest.mark.parametrize(
    "name", ["PRIME_API_KEY", "PRIME_API_BASE_URL", "PRIME_BASE_URL", "PRIME_CONTEXT"]
)
def test_empty_variable(tmp_path: Path, name: str, value: str) -> None:
    """A variable that is set but empty is an error that names it, never production."""
    configure(tmp_path, {"api_key": KEY})
    with pytest.raises(InputError, match=name):
        read_credentials({**ENV, "PRIME_API_BASE_URL": "https://a.example", name: value}, tmp_path)


@pytest.mark.parametrize("config", [None, {}, {"api_key": ""}, {"api_key": None}])
def test_no_key(tmp_path: Path, config: object) -> None:
    """No key anywhere is exit 2, with the three ways out."""
    if config is not None:
        configure(tmp_path, config)
    with pytest.raises(InputError) as caught:
        read_credentials({}, tmp_path)
    hint = str(caught.value.hint)
    assert caught.value.exit_code == 2
    assert all(word in hint for word in ("prime login", "PRIME_API_KEY", "--offers"))


def test_context_replaces_place_and_team(tmp_path: Path) -> None:
    """A context brings its own key, URL and team."""
    own = {"api_key": KEY, "base_url": "https://dev.example/", "team_id": "t9"}
    configure(tmp_path, {"api_key": "other", "team_id": "t1"}, dev=own)
    environ = {"PRIME_CONTEXT": "dev"}
    assert seen(read_credentials(environ, tmp_path)) == (KEY, "https://dev.example", "t9")


def test_context_without_settings(tmp_path: Path) -> None:
    """A context without URL means the default, without team none, without key config.json's."""
    configure(tmp_path, {"api_key": KEY, "team_id": "t1", "base_url": "https://eu.example"}, dev={})
    assert seen(read_credentials({"PRIME_CONTEXT": "dev"}, tmp_path)) == (KEY, PRODUCTION, None)


@pytest.mark.parametrize("name", ["production", "Production", "PRODUCTION"])
def test_production_is_built_in(tmp_path: Path, name: str) -> None:
    """The context production is the default URL, no team, and the key of config.json."""
    configure(tmp_path, {"api_key": KEY, "team_id": "t1", "base_url": "https://eu.example"})
    assert seen(read_credentials({"PRIME_CONTEXT": name}, tmp_path)) == (KEY, PRODUCTION, None)


def test_environment_wins_over_context(tmp_path: Path) -> None:
    """Key and URL of the environment win over those of a context."""
    configure(tmp_path, {}, dev={"api_key": "other", "base_url": "https://dev.example"})
    environ = {**ENV, "PRIME_CONTEXT": "dev", "PRIME_BASE_URL": "https://b.example"}
    assert seen(read_credentials(environ, tmp_path))[:2] == (KEY, "https://b.example")


@pytest.mark.parametrize("name", ["nowhere", "../config", "a/b", "a.b", "dév", "x\x1b[2J"])
def test_unknown_or_unsafe_context(tmp_path: Path, name: str) -> None:
    """A context that does not exist, or whose name leaves its folder, is an error."""
    configure(tmp_path, {"api_key": KEY})
    with pytest.raises(InputError, match="PRIME_CONTEXT") as caught:
        read_credentials({"PRIME_CONTEXT": name}, tmp_path)
    assert "\x1b" not in str(caught.value)


def test_empty_key_of_a_context(tmp_path: Path) -> None:
    """A context with an empty key does not borrow the key of another account."""
    configure(tmp_path, {"api_key": KEY}, dev={"api_key": ""})
    with pytest.raises(InputError, match="no API key"):
        read_credentials({"PRIME_CONTEXT": "dev"}, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        f"{{'api_key': '{KEY}'}}",
        f'["{KEY}"]',
        "",
        b'{"api_key": "' + KEY.encode() + b'\xff"}',
        "[" * 100_000,
        {"api_key": [KEY]},
        {"api_key": 5},
        {"api_key": KEY, "team_id": {"a": KEY}},
        {"api_key": KEY, "base_url": 1},
        {"api_key": KEY, "base_url": ""},
        {"api_key": KEY, "base_url": None},
        " " * (2**20 + 1),
    ],
)
@pytest.mark.parametrize("place", ["config", "context"])
def test_broken_file(tmp_path: Path, content: Any, place: str) -> None:
    """A file that is not an object of texts is an error that repeats nothing of it."""
    if place == "config":
        configure(tmp_path, content)
        environ = {}
    else:
        configure(tmp_path, {"api_key": KEY}, dev=content)
        environ = {"PRIME_CONTEXT": "dev"}
    with pytest.raises(InputError) as caught:
        read_credentials(environ, tmp_path)
    assert KEY not in chain(caught.value)


@pytest.mark.parametrize("kind", ["directory", "loop", "dangling", "folder is a file"])
def test_path_that_is_no_file(tmp_path: Path, kind: str) -> None:
    """A directory, a loop of links or a link to nothing is an error, even with a key at hand."""
    config = tmp_path / ".prime" / "config.json"
    if kind == "folder is a file":
        config.parent.write_text("")
    else:
        config.parent.mkdir()
    if kind == "directory":
        config.mkdir()
    elif kind == "loop":
        config.symlink_to(config)
    elif kind == "dangling":
        config.symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match="prime"):
        read_credentials(ENV, tmp_path)


@pytest.mark.parametrize("key", ["a b", "a\tb", "a\nb", "schlüssel", "a\x00b", "a\x7f", "кey"])
def test_malformed_key(tmp_path: Path, key: str) -> None:
    """A key that does not fit into a header is an error that does not repeat it."""
    with pytest.raises(InputError) as caught:
        read_credentials({"PRIME_API_KEY": key}, tmp_path)
    assert key not in chain(caught.value)
    with pytest.raises(InputError):
        Credentials(SecretStr(key))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.example", "https://api.example"),
        ("HTTPS://api.example:8443/", "https://api.example:8443"),
        ("https://api.example/api/v1", "https://api.example"),
        ("https://api.example/prefix/api/v1/", "https://api.example/prefix"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1:8000/api/v1", "http://127.0.0.1:8000"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        (" https://api.example\n", "https://api.example"),
    ],
)
def test_base_url(tmp_path: Path, url: str, expected: str) -> None:
    """The key goes anywhere by https, by http to this machine; /api/v1 at the end is dropped."""
    assert read_credentials({**ENV, "PRIME_BASE_URL": url}, tmp_path).base_url == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "http://10.0.0.1",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://127.1",
        "http://2130706433",
        "http://0.0.0.0",
        "http://[::]",
        "http://[::1]evil.example",
        "https://user:hunter2@api.example",
        "https://hunter2@api.example",
        "https://api.example?x=hunter2",
        "https://api.example/#",
        "https://api.example:0",
        "https://api.example:70000",
        "https://api.example:x",
        "https://api.example:",
        "https://",
        "https:///path",
        "https://a..b",
        "https://-a.example",
        "https://999.1.1.1",
        "https://a b.example",
        "https://a\tb.example",
        "https://a\\b.example",
        "https://exämple.com",
        f"https://{'a' * 64}.example",
        f"https://{'a.' * 150}example",
        "ftp://api.example",
        "api.example",
        "file:///etc/passwd",
    ],
)
def test_refused_base_url(tmp_path: Path, url: str) -> None:
    """A URL that could take the key elsewhere or in the clear is an error that says its source."""
    with pytest.raises(InputError, match="PRIME_BASE_URL") as caught:
        read_credentials({**ENV, "PRIME_BASE_URL": url}, tmp_path)
    assert "hunter2" not in chain(caught.value)
    with pytest.raises(InputError):
        Credentials(SecretStr(KEY), url)


def test_repr_is_masked(tmp_path: Path) -> None:
    """Neither repr nor str of credentials shows the key."""
    credentials = read_credentials(ENV, tmp_path)
    assert KEY not in f"{credentials} {credentials!r}"


@pytest.mark.parametrize("team", ["two\nlines", "a b", "\x1b[2J", "x" * 201])
def test_a_team_that_cannot_be_sent_is_refused(team: str) -> None:
    """A team id ends up in requests and commands, so it is one printable word."""
    with pytest.raises(InputError, match="team"):
        Credentials(SecretStr("made-up"), team_id=team)
