"""Fleets of volumes that are alike: a question about one of them is asked of that one alone."""

from __future__ import annotations

import numpy as np
import pytest

from planner.analysis.changes import forbid
from planner.analysis.evaluator import Evaluator
from planner.analysis.explain import choices
from planner.solve.optimum import optimum
from planner.solve.presolve import presolve
from tests.solve.hand import demanded, instance_of, row, volume

MARKET = [row("alpha", "0.0001"), row("beta", "0.00011"), row("gamma", "0.0002")]
FLEET = demanded(
    *(volume(f"v{n}", 100) for n in range(6)),
    volume("last", 70),
    policy={"max_provider_share": 0.5},
)


def test_a_volume_that_lost_a_candidate_is_not_alike_any_more() -> None:
    """Where v3 must not be at alpha, it is decided apart from the five others."""
    instance = instance_of(FLEET, MARKET)
    asked = forbid(instance, 3, [0])
    units = {unit.members for unit in presolve(asked, asked.whole).units}
    assert units == {(0, 1, 2, 4, 5), (3,), (6,)}


@pytest.mark.slow
def test_the_chosen_offer_is_never_its_own_alternative() -> None:
    """Under a provider share, every volume of a fleet is somewhere else in the plan without."""
    instance = instance_of(FLEET, MARKET)
    found = optimum(instance)
    assert found is not None
    frame = choices(Evaluator(instance, found.chosen, found.rented), range(7))
    assert (frame["next_offer_id"] != frame["offer_id"]).all()
    assert frame["next_offer_id"].notna().all()
    for v, more in enumerate(frame["extra_usd_month"]):
        asked = forbid(instance, v, found.chosen[v])
        full = optimum(asked, full=True)
        assert full is not None
        assert full.usd_month - found.usd_month == more
        assert not np.isin(found.chosen[v], full.chosen[v]).any()
