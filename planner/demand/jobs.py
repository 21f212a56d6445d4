"""What ties volumes together: groups of them, and the GPU jobs that mount them."""

from typing import Self

from pydantic import model_validator

from planner.demand.fields import (
    Allowed,
    GpuCount,
    JobHours,
    Level,
    Members,
    Name,
    Security,
    Switch,
    Text,
    Value,
    wrong_levels,
)


class Group(Value):
    """Volumes that must share a place, or must not.

    Attributes
    ----------
    volumes : tuple of str
        Names of two volumes or more, each once; a demand puts them in its order of volumes.
    same : str | None
        Level at which they must all be in one place; None does not ask for it.
    different : str | None
        Level at which no two may be in one place; None does not ask for it.

    Examples
    --------
    >>> Group(volumes=("corpus", "backup"), different="provider").same is None
    True
    """

    volumes: Members
    same: Level | None = None
    different: Level | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if wrong := wrong_levels(self.same, self.different):
            raise ValueError(wrong)
        if len(self.volumes) < 2:  # noqa: PLR2004 -- a group is two or more
            raise ValueError("a group has at least two volumes")
        return self


class Workload(Value):
    """A GPU job that mounts volumes.

    Attributes
    ----------
    name : str
        Unique among the workloads of its demand.
    gpu : str
        GPU type, as the market calls it.
    gpus : int
        GPUs of one offer; ``1 ≤ g ≤ 10000``.
    nodes : int
        How many of that offer are rented; ``1 ≤ n ≤ 10000``.
    socket : str | None
        Socket of the GPU; None accepts every one.
    spot : bool
        Whether spot offers are accepted.
    security : str
        ``secure_cloud``, ``community_cloud`` or ``any``.
    regions, providers : tuple of str | None
        The only ones allowed, sorted; None allows every one. Neither these nor the security come
        from the volumes or their defaults.
    hours_per_month : int | None
        Hours it runs in a month; ``1 ≤ h ≤ 744``, and never more than the policy's month. None
        is all of them; see `Demand.hours_of`.
    mounts : tuple of str
        Names of one volume or more, each once; a demand puts them in its order of volumes.

    Examples
    --------
    >>> Workload(name="finetune", gpu="A100_80GB", mounts=("corpus",)).nodes
    1
    """

    name: Name
    gpu: Text
    gpus: GpuCount = 1
    nodes: GpuCount = 1
    socket: Text | None = None
    spot: Switch = False
    security: Security = "any"
    regions: Allowed | None = None
    providers: Allowed | None = None
    hours_per_month: JobHours | None = None
    mounts: Members
