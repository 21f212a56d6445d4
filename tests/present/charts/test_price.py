"""Market prices by site: what is sold is drawn, what is not is counted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner import read_offers
from planner.errors import InputError
from planner.market.offers import offers_frame
from planner.present.charts.bars import MOST_ROWS
from planner.present.charts.price import price_chart
from tests.market.rows import disk
from tests.present.charts.drawn import HOSTILE, is_empty, kinds, pieces, rows, subtitle


def chart(*offers: dict[str, Any], size_gb: int = 1000) -> Any:
    return price_chart(offers_frame(offers), size_gb)


def priced(price: str | None, data_center: str | None = "A-1", **more: Any) -> dict[str, Any]:
    spec = {"pricePerUnit": None if price is None else Decimal(price), **more.pop("spec", {})}
    return disk(dataCenter=data_center, spec=spec, **more)


@pytest.mark.slow
def test_the_cheapest_site_comes_first() -> None:
    """1,000 GB at 0.0001 USD an hour are 73.00 a month; sizes stand beside the name."""
    drawn = chart(
        priced("0.0002", "B-1", region="eu_north", country="NO"),
        priced("0.0001"),
        priced("0.00015", None, spec={"maxCount": None, "minCount": 10}),
    )
    assert rows(drawn) == [
        ("alpha A-1 (US), 1 to 1,000 GB", "$73.00"),
        ("alpha unnamed (US), from 10 GB", "$109.50"),
        ("alpha B-1 (NO), 1 to 1,000 GB", "$146.00"),
    ]
    assert [(p["start"], p["end"], p["kind"], p["price"]) for p in pieces(drawn)] == [
        (0, 73, "united_states", "0.0001"),
        (0, 109.5, "united_states", "0.00015"),
        (0, 146, "eu_north", "0.0002"),
    ]
    assert list(kinds(drawn)) == ["united_states", "eu_north"]


@pytest.mark.slow
def test_the_smallest_disk_that_holds_it_is_priced() -> None:
    """A site that sells 400, 800, 1,200 GB asks for 1,200; its tooltip says so."""
    drawn = chart(priced("0.0001", spec={"minCount": 400, "step": 400, "maxCount": 2000}))
    assert rows(drawn)[0][1] == "$87.60"
    assert pieces(drawn)[0]["disk"] == "1,200 GB"


@pytest.mark.slow
def test_what_cannot_be_bought_is_counted() -> None:
    """Unpriced, unbelievable and too small are three reasons, and none is a bar."""
    drawn = chart(
        priced("0.0001"),
        priced(None, "B-1"),
        priced("0", "B-2"),
        priced("0.0001", "C-1", spec={"minCount": "ten"}),
        priced("0.0001", "D-1", spec={"maxCount": 999}),
    )
    assert [label for label, _ in rows(drawn)] == ["alpha A-1 (US), 1 to 1,000 GB"]
    assert subtitle(drawn) == (
        "USD, 730 hours a month. 1 offer not drawn: no one disk holds 1,000 GB. "
        "1 offer not drawn: the listing cannot be used. 2 offers not drawn: unpriced."
    )


@pytest.mark.slow
def test_a_site_with_several_offers_has_one_bar() -> None:
    """It ends at the cheapest that is available; the amounts of both ends stand beside it."""
    drawn = chart(
        priced("0.0003", cloudId="x"),
        priced("0.0002", cloudId="y"),
        priced("0.0001", cloudId="z", stockStatus="Unavailable"),
    )
    assert rows(drawn) == [("alpha A-1 (US), 1 to 1,000 GB", "$146.00 to $219.00")]
    assert [(p["end"], p["pale"], p["stock"]) for p in pieces(drawn)] == [(146, False, "Available")]


@pytest.mark.slow
def test_what_is_unavailable_is_outlined() -> None:
    """Its price is known, and that it cannot be had is said."""
    drawn = chart(priced("0.0001"), priced("0.0002", "B-1", stockStatus="Unavailable"))
    assert [p["pale"] for p in pieces(drawn)] == [False, True]
    assert "Outlined: unavailable now" in subtitle(drawn)
    assert "Outlined" not in subtitle(chart(priced("0.0001")))


@pytest.mark.slow
def test_of_many_sites_the_cheapest_are_drawn() -> None:
    """50 sites: 20 bars, and what the others begin at."""
    drawn = chart(*(priced(f"0.00{at:02}", f"S-{at}") for at in range(1, 51)))
    assert len(rows(drawn)) == MOST_ROWS == 20
    assert rows(drawn)[0] == ("alpha S-1 (US), 1 to 1,000 GB", "$73.00")
    assert "The 20 cheapest of 50 sites. 30 more from $1,533.00." in subtitle(drawn)


@pytest.mark.slow
def test_many_regions_share_a_colour() -> None:
    """Beyond five, the rarest are one; a region that nobody names is one of its own."""
    regions = ["a", "a", None, None, "b", "c", "d", "e", "f"]
    drawn = chart(*(priced("0.0001", f"S-{at}", region=r) for at, r in enumerate(regions)))
    assert list(kinds(drawn)) == ["a", "(no region)", "b", "c", "d", "2 more regions"]


@pytest.mark.slow
def test_names_of_any_kind_stay_apart() -> None:
    """Two sites that read alike are two bars."""
    drawn = chart(
        priced("0.0001", "b c", provider="a"),
        priced("0.0001", "c", provider="a b"),
        *(priced("0.0001", name, country=None, provider=f"p{n}") for n, name in enumerate(HOSTILE)),
    )
    labels = [label for label, _ in rows(drawn)]
    assert "a b c (US), 1 to 1,000 GB" in labels
    assert "a b c (US) (2), 1 to 1,000 GB" in labels
    assert len(set(labels)) == len(labels) == len({p["row"] for p in pieces(drawn)})


@pytest.mark.slow
def test_the_shipped_market() -> None:
    """13 sites from 51.10 USD (1,000 x 0.00007 x 730) to 84.28."""
    drawn = price_chart(read_offers("shipped:disk-offers"))
    assert len(rows(drawn)) == 13
    assert rows(drawn)[0] == ("dc_roan unnamed (US), 1 to 8,192 GB", "$51.10")
    assert rows(drawn)[-1][1] == "$84.28"


def test_an_empty_market_and_an_empty_disk() -> None:
    """The one is a chart that says so, the other no question."""
    assert is_empty(chart())
    assert subtitle(chart()) == "There are no offers."
    with pytest.raises(InputError, match="0 GB is no size"):
        chart(size_gb=0)
