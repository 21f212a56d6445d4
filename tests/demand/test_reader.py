import cProfile
import io
import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from planner.demand.model import Demand
from planner.demand.read import demand_from, read_demand
from planner.errors import DemandError, InputError

Row = tuple[int | None, int | None, str, str]
Refused = Callable[..., list[Row]]

YAML = """\
version: 1
volumes:
  - {name: a, size: 4 TB, countries: [NO], max_usd_gb_hr: 1.2e-4}
"""
JSON = """\
{"version": 1,
 "volumes": [{"name": "a", "size": "4 TB", "countries": ["NO"], "max_usd_gb_hr": 0.00012}]}
"""
TOML = """\
version = 1
[[volumes]]
name = "a"
size = "4 TB"
countries = ["NO"]
max_usd_gb_hr = 0.00012
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("demand.yaml", YAML),
        ("demand.yml", YAML),
        ("demand.json", JSON),
        ("demand.toml", TOML),
        ("demand.YAML", YAML),
        ("demand.yaml", JSON),
        ("demand.txt", YAML),
        ("demand", JSON),
        ("demand.txt", TOML),
        ("demand.txt", "# a comment\n\n" + TOML),
        ("demand.txt", "\n" * 5000 + YAML),
        ("demand", "{\n" + JSON[1:]),
        ("demand", "{version: 1, volumes: [" + YAML.rpartition("- ")[2] + "]}"),
    ],
)
def test_each_format_says_the_same(tmp_path: Path, name: str, text: str) -> None:
    """YAML, JSON and TOML of one demand are one demand; other files are told by content."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    demand = read_demand(path)
    assert demand.volumes[0].countries == ("NO",)
    assert demand.volumes[0].max_usd_gb_hr == Decimal("0.00012")
    assert demand.digest == demand_from(json.loads(JSON)).digest
    assert read_demand(str(path)) == demand


def test_toml_may_begin_with_a_table() -> None:
    """A header in brackets is not taken for a list of JSON."""
    with pytest.raises(DemandError) as caught:
        read_demand(io.StringIO('[[volumes]] # first\nname = "a"\nsize = "1 GB"\n'))
    assert [row[2] for row in caught.value.problems] == ["version"]


def test_a_byte_order_mark_and_crlf_are_tolerated(tmp_path: Path) -> None:
    """Files from Windows read like any other."""
    path = tmp_path / "demand.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + YAML.replace("\n", "\r\n").encode())
    assert read_demand(path).volumes[0].size_gb == 4000


@pytest.mark.parametrize(
    ("stem", "project"),
    [("llama", "llama"), ("my plan (2)", "my-plan--2-"), ("größe", "gr--e"), ("x" * 99, "x" * 64)],
)
def test_the_project_is_the_files_stem_made_safe(tmp_path: Path, stem: str, project: str) -> None:
    """A file may be called anything, a project may not."""
    path = tmp_path / f"{stem}.yaml"
    path.write_text(YAML, encoding="utf-8")
    assert read_demand(path).project == project


def test_a_named_project_is_kept(tmp_path: Path) -> None:
    """What the file says goes before what it is called."""
    path = tmp_path / "x.yaml"
    path.write_text("project: llm.v1\n" + YAML, encoding="utf-8")
    assert read_demand(path).project == "llm.v1"
    assert demand_from(json.loads(JSON), project="note book").project == "note-book"


class _Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


@pytest.mark.parametrize("text", [YAML, JSON, TOML])
def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Whatever its format, and called `demand`."""
    monkeypatch.setattr(sys, "stdin", _Stdin(text.encode()))
    demand = read_demand("-")
    assert (demand.project, demand.volumes[0].countries) == ("demand", ("NO",))


def test_a_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell may start a command without one."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DemandError, match="standard input is closed"):
        read_demand("-")


def test_an_open_file_is_read() -> None:
    """Text or bytes, as a notebook has them."""
    assert read_demand(io.StringIO(YAML)) == read_demand(io.BytesIO(YAML.encode()))


def test_shipped_examples_are_read_by_name() -> None:
    """`shipped:NAME` is understood wherever a path is."""
    assert read_demand("shipped:research").project == "llm-research"
    with pytest.raises(InputError) as caught:
        read_demand("shipped:reserch")
    assert caught.value.hint == "did you mean shipped:research?"


def test_problems_have_line_and_column(refused: Refused) -> None:
    """Each stands at its key, in the order of the file."""
    rows = refused("version: 1\nvolumes:\n  - name: a\n    size: 800\n    replica: 2\npolcy: {}\n")
    assert [row[:3] for row in rows] == [
        (4, 5, "volumes[0].size"),
        (5, 5, "volumes[0].replica"),
        (6, 1, "polcy"),
    ]


TIES = """\
version: 1
volumes:
  - {name: corpus, size: 1 TB}
  - {name: scratch, size: 1 TB, count: 3}
workloads:
  - name: train
    gpu: A100_80GB
    hours_per_month: 740
    mounts: [corpus, scrach]
groups:
  - {volumes: [corpus, scratch-4], same: site}
  - {volumes: [corpus], same: site}
  - volumes: [corpus, scratch]
    same: site
    different: site
"""


def test_problems_of_groups_and_workloads_have_line_and_column(refused: Refused) -> None:
    """A misspelt name stands at the name itself."""
    assert refused(TIES) == [
        (
            8,
            5,
            "workloads[0].hours_per_month",
            "the policy's month has 730 hours; write at most 730, not 740 (workload 'train')",
        ),
        (
            9,
            22,
            "workloads[0].mounts[1]",
            "no volume is called 'scrach'; did you mean scratch? (workload 'train')",
        ),
        (
            11,
            24,
            "groups[0].volumes[1]",
            "no volume is called 'scratch-4'; `scratch` stands for scratch-1 to scratch-3",
        ),
        (12, 6, "groups[1].volumes", "a group has at least two volumes; here is only 'corpus'"),
        (
            13,
            5,
            "groups[2]",
            "`same: site` and `different: site` contradict each other; keep one of them",
        ),
    ]


def test_groups_and_workloads_of_each_format_are_the_same() -> None:
    """TOML's tables and JSON's objects tie the same volumes as YAML's."""
    document = {
        **json.loads(JSON),
        "workloads": [{"name": "w", "gpu": "H100_80GB", "mounts": ["a"]}],
        "policy": {"max_provider_share": "70%"},
    }
    toml = TOML + (
        '[[workloads]]\nname = "w"\ngpu = "H100_80GB"\nmounts = ["a"]\n'
        "[policy]\nmax_provider_share = 0.7\n"
    )
    yaml = YAML + (
        "workloads:\n  - {name: w, gpu: H100_80GB, mounts: [a]}\n"
        "policy: {max_provider_share: 70%}\n"
    )
    expected = demand_from(document)
    assert read_demand(io.StringIO(toml)) == expected
    assert read_demand(io.StringIO(yaml)) == expected


def test_problems_of_json_and_toml_have_lines_too(refused: Refused) -> None:
    """The same field, each format's own place."""
    rows = refused('{"version": 1,\n "volumes": [{"name": "a",\n  "size": 800}]}', "d.json")
    assert rows[0][:3] == (3, 3, "volumes[0].size")
    rows = refused('version = 1\n[[volumes]]\nname = "a"\nsize = 800\n', "d.toml")
    assert rows[0][:3] == (4, 1, "volumes[0].size")


def test_what_is_missing_stands_at_what_lacks_it(refused: Refused) -> None:
    """A volume without a name has a line, though its name has none."""
    rows = refused("version: 1\nvolumes:\n  - size: 1 GB\n")
    assert rows == [(3, 5, "volumes[0].name", "every volume needs a name")]


def test_the_message_is_what_an_editor_can_follow(tmp_path: Path) -> None:
    """file:line:column: field: what would be right."""
    path = tmp_path / "d.yaml"
    path.write_text("version: 1\nvolumes: []\n", encoding="utf-8")
    with pytest.raises(DemandError) as caught:
        read_demand(path)
    expected = f"{path}:2:1: volumes: the list is empty; name at least one volume"
    assert str(caught.value) == expected
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (b"# only a comment\n", "this is empty"),
        (b"\xff\xfe\x00v", "this is not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n\x00", "this is not UTF-8 text"),
        (b"version: 1\x00", "this is binary, not text"),
        (b"- a\n- b\n", "this is a list"),
        (b"hello", "this is 'hello'"),
        (b"[1, 2]", "this is a list"),
        (b"version: 1\n" + b"#" * (16 * 2**20), "is larger than 16 MiB, which no demand file is"),
        (b"version: 1\nvolumes: [\n", "not valid YAML"),
    ],
)
def test_what_is_no_demand_is_one_clear_error(
    refused: Refused, content: bytes, message: str
) -> None:
    """Junk in, one sentence out."""
    rows = refused(content)
    assert len(rows) == 1
    assert message in rows[0][3]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no-such-file.yaml", "there is no such demand file; check the path"),
        ("/", "is a directory, not a demand file"),
        ("x\0y", "cannot be read"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_a_path_that_cannot_be_read_is_one_clear_error(source: str, message: str) -> None:
    """Never a traceback."""
    with pytest.raises(DemandError, match=message):
        read_demand(source)


def test_no_permission_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patched, because the tests may run as root, whom no mode stops."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(DemandError, match="cannot be read: Permission denied"):
        read_demand(tmp_path / "d.yaml")


def test_an_endless_source_is_not_read_to_its_end() -> None:
    """A device or a pipe may never end; reading does."""
    with pytest.raises(DemandError, match="larger than 16 MiB"):
        read_demand("/dev/zero")


def calls_of(function: Callable[[], Any]) -> int:
    """Return how many calls a function makes: its work, whatever the machine."""
    profile = cProfile.Profile(builtins=False)
    profile.runcall(function)
    return int(sum(entry.callcount for entry in profile.getstats()))


def fleet(count: int) -> dict[str, Any]:
    """Return groups and jobs that name a few of many volumes each."""
    return {
        "version": 1,
        "volumes": [{"name": f"v{n}", "size": "4 TB"} for n in range(count * 4)]
        + [{"name": "s", "size": "1 TB", "count": count}],
        "groups": [
            {"volumes": [f"v{n}", f"v{n + 7}", f"v{n + 3}", f"s-{n // 2 + 1}"], "same": "site"}
            for n in range(count)
        ],
        "workloads": [
            {"name": f"w{n}", "gpu": "H100_80GB", "mounts": [f"v{n}", f"s-{n // 2 + 1}"]}
            for n in range(count)
        ],
    }


@pytest.mark.slow
def test_a_fleet_of_json_costs_what_it_holds(tmp_path: Path) -> None:
    """Twice as many volumes are about twice the work."""
    path = tmp_path / "fleet.json"

    def written(count: int) -> int:
        volumes = [
            {"name": f"v{n}", "size": "4 TB", "replicas": 2, "regions": ["x"]} for n in range(count)
        ]
        path.write_text(json.dumps({"version": 1, "volumes": volumes}), encoding="utf-8")
        return calls_of(lambda: read_demand(path))

    small, large = written(1_000), written(2_000)
    assert large < 2.4 * small


@pytest.mark.slow
def test_groups_of_a_fleet_cost_what_they_name() -> None:
    """Twice as many of everything is about twice the work, not four times."""
    small, large = (calls_of(partial(demand_from, fleet(n))) for n in (200, 400))
    assert large < 2.4 * small


@pytest.mark.slow
def test_misspelt_names_of_a_fleet_cost_no_more_than_a_few() -> None:
    """Each is reported; the nearest name is looked for among the first only."""

    def misspelt(count: int) -> dict[str, Any]:
        volumes = [{"name": f"volume-of-{n}", "size": "4 TB"} for n in range(count * 5)]
        names = (f"volume_of_{n}" for n in range(count))
        groups = [{"volumes": [name, "volume-of-1"], "same": "site"} for name in names]
        return {"version": 1, "volumes": volumes, "groups": groups}

    def refused(count: int) -> None:
        with pytest.raises(DemandError) as caught:
            demand_from(misspelt(count))
        assert len(caught.value.problems) == count
        assert "did you mean volume-of-" in caught.value.problems[0][3]

    small, large = (calls_of(partial(refused, n)) for n in (50, 100))
    assert large < 2.4 * small


@pytest.mark.slow
def test_json_does_not_pay_for_yaml(tmp_path: Path) -> None:
    """Neither does a demand load what only the market, the frames or the solver need."""
    path = tmp_path / "d.json"
    path.write_text(JSON, encoding="utf-8")
    code = (
        "import sys; from planner import read_demand; read_demand(sys.argv[1]);"
        "print([m for m in ('ruamel.yaml', 'pandas', 'httpx', 'pulp') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_demand_read_is_a_demand_written() -> None:
    """What was read survives the plan file."""
    demand = read_demand("shipped:research")
    text = json.dumps(demand.to_document())
    assert Demand.from_document(json.loads(text)) == demand


NAMED_TWICE = """\
version: 1
volumes:
  - {name: corpus, size: 1 TB, disks: [disk-0001]}
  - name: backup
    size: 1 TB
    disks:
      - disk-0001
  - name: ckpt
    size: 1 TB
    disks: [disk-0002, disk-0003]
"""


def test_problems_of_named_disks_have_line_and_column(refused: Refused) -> None:
    """A disk of two volumes, and more disks than replicas, stand where they are written."""
    assert [row[:3] for row in refused(NAMED_TWICE)] == [
        (6, 5, "volumes[1].disks"),
        (10, 5, "volumes[2].disks"),
    ]
