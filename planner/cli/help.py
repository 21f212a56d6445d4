"""What ``--help`` shows beside a command's own texts: examples, panels, words for types.

It is laid down by the names of parameters, so that what several commands share looks the same.
"""

from __future__ import annotations

import re
from copy import copy
from enum import EnumType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo, ParameterInfo

from planner.cli.complete import COMPLETIONS

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = {
    "where": (
        "planner where 4TB --gpu A100_80GB --hours 200",
        "planner where 500GB --replicas 2 --region united_states --save demand.yaml",
    ),
    "offers": (
        "planner offers --region eu_north --size 4TB",
        "planner offers --group-by provider",
        "planner offers --save market.json --save-gpus gpus.json",
    ),
    "gpus": (
        "planner gpus --gpu H100_80GB:8 --no-spot",
        "planner gpus --group-by model",
    ),
    "history": (
        "planner history",
        "planner history --provider runpod --since 2026-10-01",
    ),
    "watch": (
        "planner watch demand.yaml",
        "planner watch demand.yaml --until cheaper:5% --every 10m",
    ),
    "providers": ("planner providers", "planner providers runpod -o json"),
    "init": ("planner init", "planner init research.yaml --example research"),
    "validate": ("planner validate demand.yaml", "planner validate *.yaml -o github"),
    "plan": (
        "planner plan demand.yaml --out plan.json",
        "planner plan shipped:research --offers shipped:disk-offers",
        "planner plan vision.yaml search.yaml --policy fleet.yaml",
    ),
    "explain": (
        "planner explain plan.json",
        "planner explain plan.json --volume corpus",
        "planner explain plan.json --alternatives 3",
    ),
    "diff": (
        "planner diff old.json new.json",
        "planner diff old.json new.json --fail-on-increase 10%",
    ),
    "emit": (
        "planner emit plan.json",
        "planner emit plan.json --format prime",
        "planner emit plan.json --pods",
    ),
    "report": (
        "planner report plan.json",
        "planner report plan.json --html report.html",
        "planner report plan.json --fail-above 90%",
    ),
    "apply": (
        "planner apply plan.json",
        "planner apply plan.json --rehearse",
        "planner apply demand.yaml --yes --wait --max-usd-hr 2.50",
    ),
    "status": ("planner status", "planner status llama-run"),
    "resolve": (
        "planner resolve corpus/1/1 --id fdb5205f",
        "planner resolve corpus/1/1 --give-up",
    ),
    "rename": (
        "planner rename llama-run/corpus corpus-v2",
        "planner rename fdb5205f corpus-old",
    ),
    "retire": ("planner retire llama-run", "planner retire llama-run --yes --confirm llama-run"),
    "destroy": (
        "planner destroy llama-run",
        "planner destroy llama-run --volume scratch-1",
    ),
    "doctor": ("planner doctor",),
    "adopt": ("planner adopt demand.yaml", "planner adopt - --disks disks.json"),
    "schema": ("planner schema > demand.schema.json",),
    "sim": ("planner sim --port 8765", "planner sim --fault list"),
    "mcp": ("planner mcp",),
    "docs": ("planner docs", "planner docs demand-file"),
}
"""Command → lines that work as they are typed."""

_PANELS = {
    "Filters": "region country provider data_center security stock multinode spot max_price since",
    "Rows": "sort desc group_by every",
    "Inputs": "policy offers_file gpus_file multinode_file disks_file wallet_file state live month "
    "as_of",
    "Solver": "time_limit accept_gap cost_slack full_program",
    "Limits": "max_usd_hr price_tolerance max_age min_runway failover over_budget_ok budget "
    "warn_above fail_above fail_on_increase",
    "Confirmation": "yes confirm dry_run rehearse again",
    "Waiting": "until interval wait parallel settle quarantine timeout",
    "Output": "output out save save_gpus save_multinode force section why html charts chart_format "
    "compare events detailed_exitcode",
}
_PANEL_OF = {name: panel for panel, names in _PANELS.items() for name in names.split()}
_COMMANDS = {
    "Market": "where offers gpus history watch providers",
    "Plan": "init validate plan explain diff emit schema",
    "Buy": "apply status resolve rename retire destroy adopt",
    "Costs": "report",
}
COMMAND_PANELS = {name: panel for panel, names in _COMMANDS.items() for name in names.split()}
"""Command → where it stands in the help of planner; under "Help" where nothing is said."""
HELP = ["-h", "--help"]
_TYPES = {str: "TEXT", int: "NUMBER", float: "NUMBER", bool: ""}
_METAVARS = {"PCT": "PERCENT"}
_SECONDS = frozenset({"settle", "quarantine", "timeout", "time_limit"})


def helped(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command whose parameters have panels, words for types, and completion."""
    hints = get_type_hints(command, include_extras=True)
    for name, hint in hints.items():
        if get_origin(hint) is not Annotated:
            continue
        kind, info, *_ = get_args(hint)
        if isinstance(info, ParameterInfo):
            hints[name] = Annotated[kind, _info(name, kind, copy(info))]
    command.__annotations__ = hints
    return command


def _info(name: str, kind: Any, info: ParameterInfo) -> ParameterInfo:  # noqa: ANN401 -- a type
    info.autocompletion = COMPLETIONS.get(name)
    if not isinstance(info, OptionInfo):
        info.metavar = info.metavar or name.upper()
        return info
    info.rich_help_panel = _PANEL_OF.get(name)
    inner = [part for part in get_args(kind) if part is not type(None)]
    items = [*map(_item, inner)]
    plain = {part for part in (kind, *inner, *items) if part in _TYPES}
    choices = [part for part in items if isinstance(part, EnumType)]
    if info.metavar is None and plain:
        info.metavar = "SECONDS" if name in _SECONDS else _TYPES[plain.pop()]
    elif info.metavar is None and choices:
        info.metavar = "|".join(choices[0])
    info.metavar = _METAVARS.get(info.metavar or "", info.metavar)
    return info


def _item(kind: Any) -> Any:  # noqa: ANN401 -- a type
    """Return what a list has, None for anything else."""
    return get_args(kind)[0] if get_origin(kind) is list else None


def unlabelled(command: Any) -> None:  # noqa: ANN401 -- click's, which typer may carry itself
    """Take Python's types from arguments and flags: an argument's name says what it is."""
    for param in command.get_params(typer.Context(command, help_option_names=HELP)):
        if param.param_type_name == "argument" or param.is_flag:
            param.display_type_rich = lambda ctx: ""  # noqa: ARG005 -- as typer calls it


def epilog(name: str, more: str | None) -> str:
    """Return what stands below a command's options: its examples, each on a line of its own."""
    examples = "\n".join(["Examples:", *(f"  {line}" for line in EXAMPLES[name])])
    # Typer would read [#N] as a style of the text, and leave it out.
    return examples + "\n\n" + re.sub(r"\[(?=[#/@a-z])", r"\\[", more) if more else examples
