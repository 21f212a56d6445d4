"""Several demand files as one demand, under one policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.demand.fields import MAX_NAME
from planner.demand.model import Demand, Policy
from planner.errors import DemandError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CAPS = tuple(name for name in Policy.model_fields if name.startswith("max_"))
_MERGED = frozenset({*_CAPS, "budget_usd_month", "budgets", "attach_limits"})
_HINT = "write it in the file of --policy, where it holds for all of them"


def fleet(
    demands: Sequence[Demand], policy: Policy | None = None, *, project: str | None = None
) -> Demand:
    """Return one demand for several, so that they are planned together.

    A volume `corpus` of the project `llama-run` becomes `llama-run.corpus`, and workloads and
    groups follow. A volume without an owner belongs to its project.

    Parameters
    ----------
    demands : sequence of Demand
        With a project each.
    policy : Policy | None
        What holds for all of them together: budgets, caps, a share.
    project : str | None
        Name of the whole; None joins the projects' names.

    Raises
    ------
    InputError
        Where two demands contradict each other, name one disk, or one has a cap of its own: caps
        and a budget that is not an owner's hold for all volumes of a plan.

    Examples
    --------
    >>> from planner import read_demand
    >>> whole = fleet([read_demand("shipped:minimal")], project="all")
    >>> [volume.name for volume in whole.volumes]
    ['my-first-plan.corpus', 'my-first-plan.checkpoints']
    """
    names = [demand.project for demand in demands]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(
            f"two demand files are of the project {min(twice)}",
            hint="give each its own name (`project:`)",
        )
    owned = [_named(demand) for demand in demands]
    together: dict[str, Any] = {
        section: tuple(each for demand in owned for each in getattr(demand, section))
        for section in ("volumes", "workloads", "groups")
    }
    together["project"] = project or "-".join(sorted(names))[:MAX_NAME]
    together["policy"] = _policy(owned, policy or Policy())
    try:
        return Demand.from_document(together, path="planned together")
    except DemandError as error:
        error.hint = "change one of the files, or plan it alone"
        raise


def _named(demand: Demand) -> Demand:
    """Return a demand whose names have its project's before them."""

    def name(short: str) -> str:
        long = f"{demand.project}.{short}"
        if len(long) > MAX_NAME:
            raise InputError(
                f"'{long}' is longer than {MAX_NAME} characters",
                hint="planned together, a name has its project's before it; shorten one of them",
            )
        return long

    def names(members: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(name, members))

    return demand.model_copy(
        update={
            "volumes": tuple(
                each.model_copy(
                    update={"name": name(each.name), "owner": each.owner or demand.project}
                )
                for each in demand.volumes
            ),
            "workloads": tuple(
                each.model_copy(update={"name": name(each.name), "mounts": names(each.mounts)})
                for each in demand.workloads
            ),
            "groups": tuple(
                each.model_copy(update={"volumes": names(each.volumes)}) for each in demand.groups
            ),
        }
    )


def _policy(demands: Sequence[Demand], shared: Policy) -> Policy:
    """Return the policy of all: what is shared, the owners' budgets, settings that agree."""
    budgets, limits = dict(shared.budgets), dict(shared.attach_limits)
    for demand in demands:
        own = demand.policy
        for field in _CAPS:
            if getattr(own, field) is not None:
                raise InputError(
                    f"{demand.project}: policy.{field} is for this file alone", hint=_HINT
                )
        stated = dict(own.budgets)
        if own.budget_usd_month is not None:
            stated[_sole_owner(demand, demands)] = own.budget_usd_month
        _merge(budgets, stated, f"{demand.project}: another budget of")
        _merge(limits, own.attach_limits, f"{demand.project}: another attach limit of")
    settings = {
        field: _agreed(field, demands, shared)
        for field in Policy.model_fields
        if field not in _MERGED
    }
    return shared.model_copy(update={"budgets": budgets, "attach_limits": limits, **settings})


def _sole_owner(demand: Demand, demands: Sequence[Demand]) -> str:
    """Return whose budget a file's own is: the only owner in it, who has nothing elsewhere."""
    owners = {volume.owner for volume in demand.volumes}
    others = {each.owner for other in demands if other is not demand for each in other.volumes}
    owner = min(owners, key=str)
    if len(owners) > 1 or owner in others or owner in demand.policy.budgets or owner is None:
        raise InputError(
            f"{demand.project}: policy.budget_usd_month is for this file alone",
            hint="write `budgets`, by owner, instead; or a budget for all in the file of --policy",
        )
    return owner


def _merge(whole: dict[str, Any], part: dict[str, Any], what: str) -> None:
    for name, value in part.items():
        if whole.setdefault(name, value) != value:
            raise InputError(f"{what} {name} is given elsewhere", hint="give it once")


def _agreed(field: str, demands: Sequence[Demand], shared: Policy) -> Any:  # noqa: ANN401 -- a field's
    """Return a setting of the policy file, else what all demands agree on."""
    default = getattr(Policy(), field)
    given = getattr(shared, field)
    values = [getattr(demand.policy, field) for demand in demands]
    wanted = values[0] if given == default else given
    for demand, value in zip(demands, values, strict=True):
        if value != wanted and (given == default or value != default):
            raise InputError(
                f"{demand.project}: policy.{field} is {value}, elsewhere it is {wanted}", hint=_HINT
            )
    return wanted
