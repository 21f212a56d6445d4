"""What was adopted, as a commented demand file.

What the marketplace says is data here: texts are quoted by the YAML writer, comments show control
and direction characters as visible escapes, and the file is read back before it is handed out.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from planner.demand import read_demand
from planner.errors import Defect, DemandError
from planner.text import visible
from planner.units import money

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.account.adopt import Adopted, Found, Row

_SHOWN = 120
_WIDE = 100_000
"""Lines are not folded: a long name stays one text."""

_HEADER = """\
The disks that this account has, as a demand for planner.
Read from {source}: {disks} disks, {size_gb} GB, {usd_hr} USD/h.
Each volume names its disks by id: planner plan keeps them and buys none of them again.
Add what you need, or take out what planner should not count. An allow-list says where a disk
is now; it binds whatever is bought for that volume later."""
_LEFT_OUT = "Disks that exist, and are billed until deleted, but cannot be relied on:"


def to_yaml(adopted: Adopted) -> str:
    """Return a demand file (YAML) of everything that was adopted.

    Raises
    ------
    Defect
        When planner could not read back what it would write.
    """
    document = CommentedMap()
    document["version"] = 1
    document["project"] = _text(adopted.project)
    document["volumes"] = volumes = CommentedSeq()
    document.yaml_set_start_comment(
        _HEADER.format(
            source=_shown(adopted.source),
            disks=len(adopted.disks),
            size_gb=f"{sum(disk['size_gb'] for disk in adopted.disks):,}",
            usd_hr=money(adopted.usd_hr, 4),
        )
    )
    for index, volume in enumerate(adopted.volumes):
        volumes.append(_volume(volume))
        about = "\n".join(_about(volume))
        volumes.yaml_set_comment_before_after_key(index, before=about, indent=2)
    if adopted.left_out:
        lines = (f"{_disk(row)}: {reason}" for row, reason in adopted.left_out)
        before = "\n".join([_LEFT_OUT, *lines])
        document.yaml_set_comment_before_after_key("volumes", before=before, indent=0)
    return _checked(_dumped(document), adopted)


def _volume(volume: Found) -> CommentedMap:
    entry = CommentedMap()
    entry["name"] = _text(volume.name)
    entry["size_gb"] = volume.size_gb
    if len(volume.disks) > 1:
        entry["replicas"] = len(volume.disks)
    if volume.spread is not None:
        entry["spread"] = volume.spread
    entry["disks"] = _list(disk["id"] for disk in volume.disks)
    for field, values in volume.allowed().items():
        entry[field] = _list(values)
    if volume.multinode:
        entry["multinode"] = True
    return entry


def _about(volume: Found) -> Iterable[str]:
    if volume.known_as is not None:
        yield f"bought by planner as {_shown(volume.known_as)}"
    if volume.spread is not None:
        yield "its copies lie in one data centre, or nobody says that they do not"
    for row in volume.disks:
        yield _disk(row)


def _disk(row: Row) -> str:
    """Return one disk in words; what the marketplace says is shown, not repeated."""
    price = "price unknown" if row["usd_hr"] is None else f"{money(row['usd_hr'], 4)} USD/h"
    place = " ".join(_shown(row[name] or "?") for name in ("provider", "data_center", "country"))
    size = "size unknown" if row["size_gb"] is None else f"{row['size_gb']:,} GB"
    parts = [row["id"] or "no id", f"'{_shown(row['name'] or '')}'", place, size, price]
    parts.append(_shown(row["status"]))
    if row["attached"]:
        parts.append("attached to " + ", ".join(_shown(one) for one in row["attached"][:3]))
    return ", ".join(parts)


def _shown(text: str) -> str:
    """Return text for a comment: one line, nothing invisible, not too long."""
    shown = visible(text[:_SHOWN])
    return shown + ("…" if len(text) > _SHOWN else "")


def _text(value: str) -> DoubleQuotedScalarString:
    """Return a text that no reader of YAML takes for anything else: `NO` is a country."""
    quoted: DoubleQuotedScalarString = DoubleQuotedScalarString(value)
    return quoted


def _list(values: Iterable[str]) -> CommentedSeq:
    listed = CommentedSeq(_text(value) for value in values)
    listed.fa.set_flow_style()
    return listed


def _dumped(document: CommentedMap) -> str:
    yaml = YAML()
    yaml.width = _WIDE
    yaml.allow_unicode = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _checked(text: str, adopted: Adopted) -> str:
    """Return the text, once it reads as what was meant."""
    try:
        demand = read_demand(io.StringIO(text))
    except DemandError as error:
        raise Defect(f"the demand that was to be written is not one: {error}") from error
    meant: list[Any] = [
        (one.name, one.size_gb, tuple(disk["id"] for disk in one.disks), one.allowed())
        for one in adopted.volumes
    ]
    read: list[Any] = []
    for volume in demand.volumes:
        lists = {name: getattr(volume, name) for name in ("providers", "data_centers", "countries")}
        allowed = {name: values for name, values in lists.items() if values is not None}
        read.append((volume.name, volume.size_gb, volume.disks, allowed))
    if read != meant or demand.project != adopted.project:
        raise Defect("the demand that was to be written reads as another one")
    return text
