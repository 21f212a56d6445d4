"""What a create can meet, by name, as faults of the simulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.project.world import World


def _body(content: bytes | str) -> str:
    return f"body={quote(content)}"


def _echo(**changes: Any) -> Callable[[World, Any], str]:
    """Create what was asked, and answer with something else; None leaves a field out."""

    def fault(world: World, body: Any) -> str:
        disk = {
            "id": world.next_id(),
            "name": body["disk"]["name"],
            "size": body["disk"]["size"],
            "status": "PROVISIONING",
            "providerType": body["provider"]["type"],
            **changes,
        }
        return _body(json.dumps({key: value for key, value in disk.items() if value is not None}))

    return fault


def _foreign_echo(world: World, body: Any) -> str:
    """Answer with the id of a disk that existed before."""
    return _echo(id=next(iter(world.disks), world.next_id()))(world, body)


def _ghost(world: World, body: Any) -> str:
    """Create nothing, and answer as if."""
    return "status=201+" + _echo(id="ghost" + "0" * 20)(world, body)


FAULTS: dict[str, str | Callable[[World, Any], str]] = {
    "ok": "",
    "ok_201": "status-after=201",
    "ok_202": "status-after=202",
    "listed_late": "late=40",
    "lost_before": "drop-before",
    "lost_after": "drop-after",
    "lost_after_late": "late=60+drop-after",
    "lost_after_very_late": "late=600+drop-after",
    "timeout_after": "hang-after=99",
    "truncated_after": "truncate",
    "refused_connection": "",
    "500_before": "status=500",
    "500_after": "status-after=500",
    "502_after": "status-after=502",
    "503_told": "status=503+retry-after=7",
    "503_after_told": "status-after=503+retry-after=7",
    "504_after": "status-after=504",
    "408_after": "status-after=408",
    "425_before": "status=425",
    "418_after": "status-after=418",
    "499_before": "status=499",
    "429": "429",
    "429_told": "429=20",
    "429_long": "429=1800",
    "429_after": "status-after=429",
    "400": "status=400",
    "401": "401",
    "401_after": "status-after=401",
    "402": "402",
    "403": "403",
    "404": "404",
    "405": "status=405",
    "413": "status=413",
    "415": "status=415",
    "422": "422",
    "422_stock": "out-of-stock=422",
    "422_after": "status-after=422",
    "409_stock": "409",
    "409_own": "status-after=409",
    "307": "redirect=https://elsewhere.test/api/v1/disks/",
    "204_after": "status-after=204",
    "empty_after": "empty-body",
    "empty_before": "status=201+empty-body",
    "html_after": "garbage",
    "cut_after": _body('{"id": "disk00000000000'),
    "nan_after": "nan",
    "twice_key_after": "dupkeys",
    "deep_after": "deep",
    "list_after": _body("[]"),
    "large_after": "huge",
    "echo_no_id": "no-id",
    "echo_bad_id": "hostile-id",
    "echo_no_name": "no-name",
    "echo_other_name": "wrong-name",
    "echo_other_size": "wrong-size",
    "echo_size_text": _echo(size="100"),
    "echo_other_provider": "wrong-provider",
    "echo_other_place": "wrong-place",
    "echo_no_place": _echo(),
    "echo_no_price": "no-price",
    "echo_foreign_id": _foreign_echo,
    "ghost": _ghost,
    "made_other_name": "made-name",
    "made_other_size": "made-size",
    "made_other_place": "made-place",
    "made_dearer": "made-price=900",
    "made_no_price": "no-price",
    "made_error": "error-status",
    "made_terminated": _echo(status="TERMINATED"),
    "lost_other_name": "made-name+drop-after",
    "lost_dearer": "made-price=900+drop-after",
    "twice": "double",
}
