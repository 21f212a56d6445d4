"""The commands as a user meets them: results on stdout, talk on stderr, documented exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from planner.shipped import shipped_path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

MARKET = ("--offers", "shipped:disk-offers")
SMALL = "version: 1\nvolumes:\n  - {name: x, size_gb: 100}\n"


def test_plan_json_is_the_saved_document_and_nothing_else(run: Run, tmp_path: Path) -> None:
    """Standard output of -o json is, byte for byte, the file that --out saves."""
    ran = run("plan", "shipped:research", *MARKET, "-o", "json", "--out", "plan.json")
    assert ran.code == 0
    assert ran.out == (tmp_path / "plan.json").read_text()
    assert ran.json()["solver"]["status"] == "optimal"


@pytest.mark.parametrize("columns", ["80", "160"])
def test_plan_table_fits_the_terminal(run: Run, columns: str) -> None:
    """No line is wider than the terminal, and the total is there."""
    ran = run("plan", "shipped:research", *MARKET, env={"COLUMNS": columns})
    assert ran.code == 0
    assert max(len(line) for line in ran.out.splitlines()) <= int(columns)
    assert "total" in ran.out
    assert "optimal: no cheaper plan exists" in ran.out


def test_plan_csv_and_markdown_have_every_placement(run: Run) -> None:
    """CSV has a row for each placement; Markdown the same and a total."""
    rows = list(
        csv.DictReader(io.StringIO(run("plan", "shipped:research", *MARKET, "-o", "csv").out))
    )
    placements = run("plan", "shipped:research", *MARKET, "-o", "json").json()["placements"]
    assert [row["usd_hr"] for row in rows] == [one["usd_hr"] for one in placements]
    text = run("plan", "shipped:research", *MARKET, "-o", "md").out
    assert text.count("\n| ") == len(placements) + 2


def test_demand_from_standard_input(run: Run) -> None:
    """A dash reads the demand from standard input."""
    ran = run("plan", "-", *MARKET, "-o", "json", stdin=SMALL)
    assert ran.json()["placements"][0]["volume"] == "x"


def test_infeasible_is_three_and_says_why(run: Run) -> None:
    """No plan: exit 3, the reason in prose, and as JSON on stdout with -o json."""
    text = SMALL.replace("100}", "100, regions: [mars]}")
    ran = run("plan", "-", *MARKET, "-o", "json", stdin=text)
    assert ran.code == 3
    failure = ran.json()
    assert failure["exit_code"] == 3
    assert failure["conflicts"][0]["volume"] == "x"
    assert failure["conflicts"][0]["rules"] == {"region": 13}
    assert "volume x" in ran.err
    assert run("plan", "-", *MARKET, stdin=text).out == ""


def test_a_wrong_field_is_two_with_file_line_and_field(run: Run, tmp_path: Path) -> None:
    """A wrong field exits 2 and names file, line, column and field."""
    (tmp_path / "d.yaml").write_text(SMALL.replace("100}", "100, replicas: two}"))
    ran = run("plan", "d.yaml", *MARKET, "-o", "json")
    assert ran.code == 2
    problem = ran.json()["problems"][0]
    assert (problem["line"], problem["field"]) == (3, "volumes[0].replicas")
    assert "d.yaml:3:" in ran.err
    (tmp_path / "d.yaml").write_text(SMALL.replace("size_gb", "size_bg"))
    assert "did you mean `size_gb`?" in run("plan", "d.yaml", *MARKET).err


@pytest.mark.parametrize("what", ["missing", "directory", "binary", "empty", "large"])
@pytest.mark.parametrize("place", ["demand", "offers", "plan"])
def test_unusable_files_are_one_clear_error(
    run: Run, tmp_path: Path, what: str, place: str
) -> None:
    """Missing, directory, junk, empty, 50 MB: one error, naming the file, never a traceback."""
    path = tmp_path / "file"
    if what == "directory":
        path.mkdir()
    elif what != "missing":
        content = {"binary": os.urandom(4096), "empty": b"", "large": b" " * 50 * 10**6}[what]
        path.write_bytes(content)
    words = {
        "demand": ("plan", "file", *MARKET),
        "offers": ("plan", "shipped:minimal", "--offers", "file"),
        "plan": ("emit", "file"),
    }[place]
    ran = run(*words)
    assert ran.code == (5 if place == "plan" and what in {"binary", "empty", "large"} else 2)
    assert "file" in ran.err
    assert len(ran.err.splitlines()) <= 3


def test_no_offers_is_infeasible(run: Run, tmp_path: Path) -> None:
    """An empty file of offers is believed: exit 3."""
    empty: list[Any] = [[], {"items": []}, {"items": [], "totalCount": 0}]
    for document in empty:
        (tmp_path / "none.json").write_text(json.dumps(document))
        ran = run("plan", "shipped:minimal", "--offers", "none.json")
        assert ran.code == 3
        assert "no offers" in ran.err


def test_without_key_or_file_is_two(run: Run) -> None:
    """A missing key is exit 2 and says how to log in or go on without."""
    ran = run("plan", "shipped:minimal")
    assert ran.code == 2
    assert "prime login" in ran.err
    assert "--offers" in ran.err


def test_usage_errors_are_two_and_json_where_asked(run: Run) -> None:
    """An unknown option is exit 2; with -o json the failure is JSON too."""
    ran = run("plan", "shipped:minimal", "--no-such-option", "-o", "json")
    assert ran.code == 2
    assert ran.json()["exit_code"] == 2
    assert run("plan").code == 2


def test_offers_json_has_every_listed_row(run: Run) -> None:
    """The JSON of offers is a bare array with one object a listed row, documented in --help."""
    ran = run("offers", *MARKET, "-o", "json")
    rows = ran.json()
    assert len(rows) == 13
    help_text = " ".join(run("offers", "--help", env={"COLUMNS": "200"}).out.split())
    assert all(key in help_text for key in rows[0])


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--region", "eu_north"), 2),
        (("--region", "eu_north", "--region", "united_states"), 13),
        (("--country", "NO"), 1),
        (("--provider", "runpod"), 7),
        (("--data-center", "US-1"), 1),
        (("--security", "community_cloud"), 0),
        (("--multinode",), 8),
        (("--stock", "High"), 13),
        (("--size", "9TB"), 2),
        (("--max-price", "0.0001"), 3),
    ],
)
def test_offers_filters(run: Run, words: tuple[str, ...], count: int) -> None:
    """Each filter keeps the rows of the documented market that it should."""
    assert len(run("offers", *MARKET, "-o", "json", *words).json()) == count


def test_offers_priced_for_a_size_and_sorted(run: Run) -> None:
    """With a size each row has its exact monthly price, and sorting by it starts with dc_roan."""
    rows = run("offers", *MARKET, "-o", "json", "--size", "4TB", "--sort", "usd_month").json()
    assert (rows[0]["provider"], rows[0]["usd_month"]) == ("dc_roan", "204.4")
    down = run("offers", *MARKET, "-o", "json", "--sort", "usd_gb_hr", "--desc").json()
    assert down[-1]["provider"] == "dc_roan"


def test_offers_grouped(run: Run) -> None:
    """Grouping counts offers and sites."""
    rows = run("offers", *MARKET, "-o", "json", "--group-by", "provider").json()
    assert [(row["provider"], row["offers"]) for row in rows] == [
        ("dc_roan", 1),
        ("hyperstack", 2),
        ("runpod", 7),
        ("crusoecloud", 3),
    ]


def test_offers_mark_sites_with_the_gpu(run: Run) -> None:
    """--gpus marks the four runpod sites of the documented market that have an A100."""
    gpus = ("--gpus-file", "shipped:gpu-offers")
    rows = run("offers", *MARKET, *gpus, "--gpus", "A100_80GB", "-o", "json").json()
    have = {row["data_center"]: row["gpu_usd_hr"] for row in rows if row["gpu"] == "yes"}
    assert have == {
        "US-CA-2": "1.7568",
        "US-KS-2": "1.6568",
        "US-MO-1": "1.7568",
        "US-WA-1": "1.7568",
    }
    ran = run("offers", *MARKET, *gpus, "--gpus", "A100_80G")
    assert "did you mean A100_80GB" in ran.err


@pytest.mark.parametrize("columns", ["80", "160"])
def test_offers_table_fits_and_says_what_it_leaves_out(run: Run, columns: str) -> None:
    """Narrow terminals lose columns, never rows, and stderr names them."""
    ran = run("offers", *MARKET, "--size", "4TB", env={"COLUMNS": columns})
    assert max(len(line) for line in ran.out.splitlines()) <= int(columns)
    assert ran.out.count("runpod") == 7
    assert ("not shown at this width" in ran.err) == (columns == "80")


def test_saved_offers_read_back_the_same(run: Run) -> None:
    """--save keeps the listing in the API's shape, to the last digit."""
    first = run("offers", *MARKET, "--save", "kept.json", "-o", "json")
    assert run("offers", "--offers", "kept.json", "-o", "json").json() == first.json()


@pytest.mark.parametrize(
    "words",
    [
        ("--stock", "high"),
        ("--security", "secure"),
        ("--sort", "price"),
        ("--group-by", "planet"),
        ("--size", "4 XB"),
        ("--size", "0"),
        ("--max-price", "cheap"),
        ("--max-price", "nan"),
        ("--multinode-file", "x.json"),
        ("--gpus-file", "shipped:gpu-offers"),
    ],
)
def test_wrong_words_of_offers_are_two(run: Run, words: tuple[str, ...]) -> None:
    """A value that means nothing is exit 2, not an empty table."""
    assert run("offers", *MARKET, *words).code == 2


def test_malformed_rows_are_reported_and_stay(run: Run, tmp_path: Path) -> None:
    """A row that cannot be believed is named with place and reason, and is in the JSON."""
    document: dict[str, Any] = json.loads(shipped_path("disk-offers").read_text())
    document["items"][6]["spec"]["pricePerUnit"] = "0.0001"
    (tmp_path / "m.json").write_text(json.dumps(document))
    ran = run("offers", "--offers", "m.json", "-o", "json")
    assert len(ran.json()) == 13
    assert "row 7" in ran.err
    assert "pricePerUnit" in ran.err
    plan = run("plan", "shipped:research", "--offers", "m.json", "-o", "json").json()
    assert any("row 7" in warning for warning in plan["warnings"])


def test_malformed_gpu_rows_are_reported(run: Run, tmp_path: Path) -> None:
    """A GPU row that marks no site because it cannot be believed is said, not passed over."""
    document: dict[str, Any] = json.loads(shipped_path("gpu-offers").read_text())
    document["items"][1]["prices"]["currency"] = "EUR"
    (tmp_path / "g.json").write_text(json.dumps(document))
    ran = run("offers", *MARKET, "--gpus", "A100_80GB", "--gpus-file", "g.json")
    assert ran.code == 0
    assert "GPU row 2 (runpod US-KS-2 (US)) is left out" in ran.err
    assert "only USD is understood" in ran.err


def test_the_last_output_option_says_what_a_failure_is(run: Run) -> None:
    """Given twice, the format that the result would have is the format of the failure."""
    words = ("plan", "none.yaml", *MARKET)
    assert run(*words, "-o", "json", "-o", "csv").out == ""
    assert run(*words, "-o", "csv", "--output=json").json()["exit_code"] == 2


def test_hostile_text_reaches_no_terminal_or_cell(run: Run, tmp_path: Path) -> None:
    """Escape sequences, formulas, pipes, tags and links are shown as text in every format."""
    document = json.loads(shipped_path("disk-offers").read_text())
    for row in document["items"]:
        row["dataCenter"] = "=cmd|'/C calc'!A0<b>|x https://evil.example @everyone"
        row["provider"] = "=1+1"
        row["region"] = "\x1b[31m\u202e<b>"
    document["items"][0]["dataCenter"] = "\x1b[31m\u202e\nrm -rf"
    (tmp_path / "m.json").write_text(json.dumps(document))
    for words in (("offers",), ("plan", "-")):
        for form in ("table", "csv", "md", "json"):
            ran = run(*words, "--offers", "m.json", "-o", form, stdin=SMALL)
            assert ran.code == 0
            shown = ran.out + ran.err
            assert "\x1b" not in shown
            assert "\u202e" not in shown
            if form == "csv":
                cells = [cell for line in csv.reader(io.StringIO(ran.out)) for cell in line]
                assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
            if form == "md":
                assert not [raw for raw in ("<b>", "://", "@") if raw in ran.out]


def test_init_writes_a_demand_that_plans(run: Run, tmp_path: Path) -> None:
    """What init writes is a commented file that plans as it is, and never over another."""
    for name in ("minimal", "research"):
        assert run("init", f"{name}.yaml", "--example", name).code == 0
        assert "#" in (tmp_path / f"{name}.yaml").read_text()
        assert run("plan", f"{name}.yaml", *MARKET).code == 0
    (tmp_path / "minimal.yaml").write_text("mine")
    assert run("init", "minimal.yaml").code == 2
    assert (tmp_path / "minimal.yaml").read_text() == "mine"
    assert run("init", "minimal.yaml", "--force").code == 0
    assert run("init", "-").out.startswith("#")


def test_schema_accepts_the_examples(run: Run) -> None:
    """The printed JSON Schema accepts the shipped demands and refuses a wrong key."""
    import jsonschema
    from ruamel.yaml import YAML

    schema = run("schema").json()
    for name in ("minimal", "research"):
        document: Any = YAML(typ="safe").load(shipped_path(name).read_text())
        jsonschema.validate(document, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, "volumez": []}, schema)


def test_emit_prints_exact_bodies(run: Run, tmp_path: Path) -> None:
    """The JSON lines are the bodies of the plan's requests; nothing else is on stdout."""
    run("plan", "shipped:research", *MARKET, "--out", "plan.json")
    plan = json.loads((tmp_path / "plan.json").read_text())
    ran = run("emit", "plan.json", "--format", "json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert lines == [request["body"] for request in plan["requests"]]
    assert run("emit", "plan.json").out == ran.out


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


def test_no_time_is_eleven(run: Run, tmp_path: Path) -> None:
    """With no time for the solver nothing is saved and the exit code is 11."""
    volume = {"name": "v", "size_gb": 10, "replicas": 2, "count": 3000}
    (tmp_path / "d.json").write_text(json.dumps({"version": 1, "volumes": [volume]}))
    ran = run("plan", "d.json", *MARKET, "--time-limit", "0", "--out", "p.json", "-o", "json")
    assert ran.code == 11
    assert ran.json()["exit_code"] == 11
    assert ran.json()["plan"] is None
    assert not (tmp_path / "p.json").exists()


def test_cbc_gives_the_same_plan(run: Run) -> None:
    """--solver cbc finds the same plan and says who found it."""
    plans = [
        run("plan", "shipped:research", *MARKET, "-o", "json", "--solver", name).json()
        for name in ("highs", "cbc")
    ]
    assert plans[0]["plan_id"] == plans[1]["plan_id"]
    assert [plan["solver"]["name"] for plan in plans] == ["HiGHS", "CBC"]


def test_an_unknown_place_is_said_with_the_nearest(run: Run) -> None:
    """Whether there is a plan or not, a misspelt place is named with what was meant."""
    wrong = SMALL.replace("100}", "100, providers: [hyperstak]}")
    ran = run("plan", "-", *MARKET, "-o", "json", stdin=wrong)
    assert ran.code == 3
    assert "did you mean hyperstack?" in ran.err
    assert "did you mean hyperstack?" in ran.json()["warnings"][0]
    assert "did you mean eu_north?" in run("offers", *MARKET, "--region", "eu_nort").err


def test_a_plan_never_overwrites_its_inputs(run: Run, tmp_path: Path) -> None:
    """--out on the demand or the snapshot is refused, and so is standard output."""
    (tmp_path / "d.yaml").write_text(SMALL)
    (tmp_path / "m.json").write_text(shipped_path("disk-offers").read_text())
    for out in ("d.yaml", "./d.yaml", "m.json", "-", ""):
        assert run("plan", "d.yaml", "--offers", "m.json", "--out", out).code == 2
    assert (tmp_path / "d.yaml").read_text() == SMALL


@pytest.mark.parametrize("columns", ["20", "40"])
def test_amounts_are_never_cut(run: Run, columns: str) -> None:
    """On a screen too narrow for the table every amount is whole all the same."""
    ran = run("plan", "shipped:research", *MARKET, env={"COLUMNS": columns})
    assert "1,340.51" in ran.out
    assert "511.00" in ran.out


@pytest.mark.parametrize("words", [("plan", "shipped:minimal", *MARKET), ("offers", *MARKET)])
def test_an_unusable_standard_output_is_no_traceback(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    """Closed, full or gone, either stream: the command ends quietly or says so."""
    command = f"{sys.executable} -m planner {shlex.join(words)}"
    env = {**os.environ, "HOME": str(tmp_path)}
    redirects = {">&-": 0, ">/dev/full": 2, "| true": 0, "2>&-": 0, "2>/dev/full": 0}
    for redirect, code in redirects.items():
        line = f"{command} {redirect}"
        done = subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", line],
            capture_output=True,
            text=True,
            env=env,
            cwd=tmp_path,
            check=False,
        )
        assert (redirect, done.returncode) == (redirect, code), done.stderr
        assert "Traceback" not in done.stderr
