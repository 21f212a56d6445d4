"""``planner emit``: the create requests as bodies, curl and commands of the vendor's client."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

MARKET = ("--offers", "shipped:disk-offers")
SMALL = "version: 1\nvolumes:\n  - {name: x, size_gb: 100}\n"


@pytest.mark.slow
def test_emit_prints_exact_bodies(run: Run, tmp_path: Path) -> None:
    """The JSON lines are the bodies of the plan's requests; nothing else is on stdout."""
    run("plan", "shipped:research", *MARKET, "--out", "plan.json")
    plan = json.loads((tmp_path / "plan.json").read_text())
    ran = run("emit", "plan.json", "--format", "json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert lines == [request["body"] for request in plan["requests"]]
    assert run("emit", "plan.json").out == ran.out


@pytest.mark.slow
def test_emitted_curl_sends_the_body_and_keeps_the_key_off_the_command_line(
    run: Run, tmp_path: Path
) -> None:
    """Run by a shell, each command hands curl the key on stdin and the body as one argument."""
    text = (
        'version: 1\nvolumes:\n  - {name: "it-s", size_gb: 7, data_centers: ["$(x) \'q\' `y`"]}\n'
    )
    row = {
        "provider": "p",
        "dataCenter": "$(x) 'q' `y`",
        "stockStatus": "High",
        "security": "secure_cloud",
        "spec": {"pricePerUnit": 0.0001},
    }
    (tmp_path / "m.json").write_text(json.dumps([row]))
    run("plan", "-", "--offers", "m.json", "--out", "plan.json", stdin=text)
    (body,) = [json.loads(line) for line in run("emit", "plan.json").out.splitlines()]
    line = run("emit", "plan.json", "--format", "curl").out
    fake = tmp_path / "bin" / "curl"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nfor a in "$@"; do printf "%s\\n" "$a"; done > args\ncat > stdin\n')
    fake.chmod(0o755)
    env = {"PATH": f"{fake.parent}:{os.environ['PATH']}", "PRIME_API_KEY": "made-up-key"}
    shell = {**env, "PRIME_API_BASE_URL": "http://127.0.0.1:9/api/v1/"}
    subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, env=shell, check=True)
    words = (tmp_path / "args").read_text().splitlines()
    assert json.loads(words[words.index("--data-raw") + 1]) == body
    assert words[words.index("--url") + 1] == "http://127.0.0.1:9/api/v1/disks/"
    assert "made-up-key" not in "\n".join(words)
    assert "Bearer made-up-key" in (tmp_path / "stdin").read_text()
    (tmp_path / "args").unlink()
    for wrong in (
        {"PATH": env["PATH"]},
        {**env, "PRIME_API_BASE_URL": "http://evil.example:80"},
        {**env, "PRIME_API_BASE_URL": "http://127.0.0.1:80@evil.example"},
        {**env, "PRIME_API_BASE_URL": ""},
    ):
        refused = subprocess.run(
            ["/bin/sh", "-c", line], cwd=tmp_path, env=wrong, capture_output=True, check=False
        )
        assert refused.returncode != 0
        assert b"PRIME_API" in refused.stderr
        assert not (tmp_path / "args").exists()


@pytest.mark.slow
def test_emitted_prime_commands_say_everything_the_body_says(run: Run, tmp_path: Path) -> None:
    """Each option of the vendor's client carries one value of the body."""
    run("plan", "shipped:research", *MARKET, "--out", "plan.json")
    plan = json.loads((tmp_path / "plan.json").read_text())
    lines = run("emit", "plan.json", "--format", "prime").out.splitlines()
    for line, request in zip(lines, plan["requests"], strict=True):
        words = shlex.split(line)
        assert words[:3] == ["prime", "disks", "create"]
        said = dict(word.removeprefix("--").split("=", 1) for word in words[3:])
        disk = request["body"]["disk"]
        expected = {
            "size": str(disk["size"]),
            "name": disk["name"],
            "provider-type": request["body"]["provider"]["type"],
            **{
                option: disk[key]
                for option, key in {
                    "country": "country",
                    "cloud-id": "cloudId",
                    "data-center-id": "dataCenterId",
                }.items()
                if key in disk
            },
        }
        assert said == expected


@pytest.mark.slow
def test_a_shared_disk_is_one_request(run: Run) -> None:
    """A pod at Runpod mounts one disk, so the job's two volumes are on one, named for both."""
    run("plan", "shipped:finetune", *MARKET, "--gpus-file", "shipped:gpu-offers", "--out", "p.json")
    ran = run("emit", "p.json")
    shared, backup = (json.loads(line)["disk"] for line in ran.out.splitlines())
    assert (shared["size"], backup["size"]) == (3000, 1000)
    assert shared["name"].startswith("corpus-checkpoints-")
    assert "warning" not in ran.err
