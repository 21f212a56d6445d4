"""``planner where``: the cheapest place for data beside a GPU, and what every other site costs."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import (
    GpusOption,
    MultinodeFilter,
    MultinodeOption,
    OffersOption,
    OutputOption,
    SecurityFilter,
    StockFilter,
    refuse_existing,
)
from planner.cli.render import Output, render, to_stderr
from planner.errors import Infeasible, InputError
from planner.present.progress import working
from planner.present.table import Section, View

if TYPE_CHECKING:
    from planner.marketplace.protocol import ListingName
    from planner.plans.where import WhereAnswer

EPILOG = (
    "JSON: an object with size_gb, replicas, gpu, gpus, gpu_hours_per_month, hours_per_month, "
    "usd_month, status (optimal: proven), plan_id and sites, cheapest first: provider, "
    "data_center, country, region, chosen, offer_id, disks, provision_gb, disk_usd_month (one "
    "replica there), gpu_usd_month, usd_month (the cheapest plan with a replica there), "
    "extra_usd_month, missing (why it cannot be there). Amounts are exact decimals as text, null "
    "is none or unknown. CSV has the sites."
)
_Only = Annotated[list[str] | None, typer.Option(help="Only there; may be given several times.")]


def where(
    size: Annotated[str, typer.Argument(help="How much data, with its unit: 4TB, 800GB.")],
    gpu: Annotated[
        str | None,
        typer.Option(metavar="MODEL[:N]", help="GPU that mounts it, such as A100_80GB:8."),
    ] = None,
    hours: Annotated[
        int | None, typer.Option(min=1, help="Hours the GPU runs in a month; default: all.")
    ] = None,
    multinode: MultinodeFilter = False,
    replicas: Annotated[int, typer.Option(min=1, help="Copies, each in another data centre.")] = 1,
    region: _Only = None,
    country: _Only = None,
    provider: _Only = None,
    data_center: _Only = None,
    security: SecurityFilter = None,
    stock: StockFilter = None,
    offers_file: OffersOption = None,
    gpus_file: GpusOption = None,
    multinode_file: MultinodeOption = None,
    every: Annotated[bool, typer.Option("--all", help="Show every site.")] = False,
    save: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Save the question as a demand file."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    output: OutputOption = Output.table,
) -> None:
    """Show the cheapest place for data, what others cost, and what they lack. Buys nothing."""
    from planner.cli.init import project_of
    from planner.cli.plan import market_for, warn
    from planner.plans.where import WhereQuestion, answer
    from planner.schema import frame_section

    question = WhereQuestion.of(
        size,
        gpu=gpu,
        hours_per_month=hours,
        multinode=multinode,
        replicas=replicas,
        regions=region or (),
        countries=country or (),
        providers=provider or (),
        data_centers=data_center or (),
        security=security,
        stock=stock,
    )
    if gpu is None and (gpus_file or multinode_file):
        raise InputError("GPU files come with --gpu", hint="name a GPU: --gpu MODEL")
    if save in {"", "-"}:
        raise InputError("--save names a file", hint="such as demand.yaml")
    if save is not None:
        refuse_existing(save, force=force)
    files: dict[ListingName, str | None] = {
        "disks": offers_file,
        "gpus": gpus_file,
        "multi-node": multinode_file,
    }
    offers, gpus, target = market_for(question.demand, files)
    try:
        with working("Comparing sites"):
            answered = answer(question, offers, gpus, target=target)
            answered.exact_sites  # noqa: B018 -- worked out here
    except Infeasible as error:
        warn(error.warnings)
        error.hint = "Change the question, or where you ask it; `planner offers` shows the market."
        raise
    if save is not None:
        answered.save(save, project_of(save))
    render(
        View(
            lambda: [_section(answered, every=every, is_saved=save is not None)],
            answered.to_document,
            lambda: frame_section(answered.exact_sites),
        ),
        output,
    )
    warn(answered.plan.warnings)
    if save is not None:
        options = [("--offers", offers_file), ("--gpus-file", gpus_file)]
        options += [("--multinode-file", multinode_file)]
        words = [word for name, file in options if file for word in (name, file)]
        to_stderr(f"Wrote {save}. Next:\n{shlex.join(['planner', 'plan', save, *words])}")


def _section(answered: WhereAnswer, *, every: bool, is_saved: bool) -> Section:
    section = answered.section(every=every)
    if is_saved:
        return section
    words = ["planner", *sys.argv[1:], "--save", "demand.yaml"]
    notes = (*section.notes, "Write it down:")
    return replace(section, notes=notes, commands=(shlex.join(words),))
