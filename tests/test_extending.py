"""The page on extending planner is true: its patches are applied to a copy, which then is used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from planner.shipped import docs, shipped_path
from tests.marketplace.test_contract import OFFER
from tests.shipped_plans import research

ROOT = Path(__file__).parent.parent
PAGE = docs("extending")
PATCHES = {
    title: re.findall(r"^```diff\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for title, _, text in (part.partition("\n") for part in PAGE.split("\n## ")[1:])
    if title.startswith(("A ", "An "))
}
"""Section about something to add → its patches."""

COMMANDS = """
import sys
from planner.__main__ import main
for line in sys.argv[1:]:
    sys.argv = ["planner", *line.split()]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, line
    print(end="\\0", flush=True)
"""

pytestmark = pytest.mark.slow


def _apply(patch: str, folder: Path) -> list[str]:
    """Apply a patch whose context occurs once in its file; return the files it changes."""
    changed = []
    for part in re.split(r"^\+\+\+ ", patch, flags=re.MULTILINE)[1:]:
        name, _, hunks = part.partition("\n")
        path = folder / name
        text = path.read_text(encoding="utf-8")
        for hunk in re.split(r"^@@\n", hunks, flags=re.MULTILINE):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] != "+")
            assert text.count(before) == 1, f"{name}: the context is not there once: {before}"
            text = text.replace(before, "".join(line[1:] for line in lines if line[0] != "-"))
        path.write_text(text, encoding="utf-8")
        changed.append(name)
    return changed


class Copy:
    """A copy of the package, patched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "planner", folder / "planner")  # with what is compiled
        shutil.copytree(ROOT / "data", folder / "data")

    def apply(self, title: str) -> list[str]:
        """Apply the patches of a section."""
        return [name for patch in PATCHES[title] for name in _apply(patch, self.folder)]

    def planner(self, *lines: str) -> list[str]:
        """Run commands in one process of the copy's Python, and return what each prints."""
        return self.run("-c", COMMANDS, *lines).split("\0")[:-1]

    def run(self, *words: str) -> str:
        """Run the copy's Python, and return its standard output."""
        environ = {name: value for name, value in os.environ.items() if name[:6] != "PRIME_"}
        ran = subprocess.run(
            [sys.executable, *words],
            capture_output=True,
            check=False,
            cwd=self.folder,
            encoding="utf-8",
            env={**environ, "PYTHONPATH": str(self.folder), "PYTHONIOENCODING": "utf-8"},
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def copied(tmp_path: Path) -> Copy:
    """Return a copy that nothing has been added to."""
    return Copy(tmp_path)


def test_a_requirement_is_three_files(copied: Copy) -> None:
    """It is in the schema, decides where disks go, and is relaxed where it leaves no plan."""
    assert copied.apply("A requirement") == [
        "planner/demand/model.py",
        "planner/requirements/policy.py",
        "planner/solve/verify_coupling.py",
    ]
    script = """
import planner
offers = planner.read_offers("shipped:disk-offers")
near = {"name": "near", "size": "1 TB", "regions": ["eu_north"], "providers": ["hyperstack"]}
free = {"name": "free", "size": "1 TB"}
def demand(*volumes, **policy):
    return planner.demand_from({"version": 1, "volumes": volumes, "policy": policy})
for policy in ({}, {"max_countries": 1}):
    plan = planner.plan(demand(near, free, **policy), offers)
    print(sorted({placement.country for placement in plan.placements}))
try:
    planner.plan(demand(near, {**free, "countries": ["US"]}, max_countries=1), offers)
except planner.Infeasible as error:
    print(error)
print("max_countries" in str(planner.demand_schema()))
"""
    without, limited, *why_not = copied.run("-c", script).splitlines()
    assert (without, limited) == ("['NO', 'US']", "['NO']")
    assert "  `max_countries: 1`" in why_not
    assert any("raise `max_countries` to 2" in line for line in why_not)
    assert why_not[-1] == "True", "the schema has it"


def test_an_offer_column_is_one_file(copied: Copy) -> None:
    """It is in the table of offers and in plans, and a plan from before it loads."""
    research().save(copied.folder / "before.json")
    assert copied.apply("An offer column") == ["planner/market/offers.py"]
    market = json.loads(shipped_path("disk-offers").read_text(encoding="utf-8"))
    market["items"][0]["latencyMs"] = 7
    (copied.folder / "market.json").write_text(json.dumps(market), encoding="utf-8")
    rows, made, *_ = copied.planner(
        "offers --offers market.json -o json",
        "plan shipped:minimal --offers market.json -o json --out plan.json",
        "report before.json",
        "report plan.json",
    )
    assert sorted({row["latency_ms"] for row in json.loads(rows)}, key=str) == [7, None]
    listed = json.loads(made)["market"]["offers"]
    assert [row["latency_ms"] for row in listed].count(7) == 1


def test_an_output_format_is_one_file(copied: Copy) -> None:
    """Every command that writes tables has it."""
    assert copied.apply("An output format") == ["planner/cli/render.py"]
    market = "--offers shipped:disk-offers -o tsv"
    listed, plan = copied.planner(f"offers {market}", f"plan shipped:minimal {market}")
    offers = listed.splitlines()
    assert "data_center" in offers[0].split("\t")
    assert len(offers) == 14
    assert len({line.count("\t") for line in offers}) == 1
    assert "hyperstack" in plan or "dc_roan" in plan


def test_a_marketplace_is_one_package_and_a_line(copied: Copy) -> None:
    """Connected by its URL, it answers what planner asks of any marketplace."""
    toy = (ROOT / "tests" / "marketplace" / "toy.py").read_text(encoding="utf-8")
    (copied.folder / "planner" / "marketplace" / "toy.py").write_text(
        f"{toy}\n\nOFFERS = [{OFFER!r}]\n", encoding="utf-8"
    )
    assert copied.apply("A marketplace") == ["planner/marketplace/fetch.py"]
    script = """
from pydantic import SecretStr
import planner
account = planner.Credentials(SecretStr("key"), "https://toy.example")
offers = planner.fetch_offers(account)
demand = planner.demand_from({"version": 1, "volumes": [{"name": "corpus", "size": "1 TB"}]})
(placement,) = planner.plan(demand, offers).placements
print(offers["data_center"].tolist(), placement.provider)
"""
    assert copied.run("-c", script) == "['US-1'] runpod\n"


def test_every_section_is_applied() -> None:
    """A section without a patch of its own, or a patch without a test, proves nothing."""
    assert all(PATCHES.values())
    source = Path(__file__).read_text(encoding="utf-8")
    assert [title for title in PATCHES if f'copied.apply("{title}")' not in source] == []


def test_files_that_the_page_names_exist() -> None:
    """A reader who follows a path gets there."""
    names = re.findall(r"`((?:planner|tests)/[\w./]+)`", PAGE)
    assert len(names) > 5
    assert [name for name in names if not (ROOT / name).exists()] == []
