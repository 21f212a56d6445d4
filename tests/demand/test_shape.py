from typing import Any

import pytest
from jsonschema import Draft202012Validator

from planner.demand.read import demand_from
from planner.demand.schema import demand_schema, init
from planner.demand.texts import parse_yaml
from planner.errors import DemandError

TIED: dict[str, Any] = {
    "version": 1,
    "volumes": [{"name": "a", "size": "1 GB"}, {"name": "b", "size": "1 GB"}],
    "groups": [
        {"volumes": ["a", "b"], "same": "site"},
        {"volumes": ["a", "b"], "same": "country", "different": "provider"},
    ],
    "workloads": [
        {"name": "w", "gpu": "A100_80GB", "mounts": ["a"], "socket": None, "spot": None},
        {
            "name": "x",
            "gpu": "A100_80GB",
            "gpus": 8,
            "nodes": 2,
            "socket": "SXM4",
            "spot": True,
            "security": "any",
            "regions": ["canada"],
            "providers": ["p"],
            "hours_per_month": 200,
            "mounts": ["a", "b"],
        },
    ],
    "policy": {
        "max_sites": 3,
        "max_providers": None,
        "max_provider_share": 0.7,
        "sequential": True,
    },
}


@pytest.mark.parametrize("name", ["minimal", "research"])
def test_the_examples_satisfy_the_schema(name: Any) -> None:
    """An editor that checks by the schema finds nothing wrong in what planner ships."""
    document = parse_yaml(init(name)).value
    document["volumes"] = [
        {key: float(value) if key == "max_usd_gb_hr" else value for key, value in entry.items()}
        for entry in document["volumes"]
    ]
    assert list(Draft202012Validator(demand_schema()).iter_errors(document)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2, "volumes": [{"name": "a", "size": "1 GB"}]},
        {"version": 1, "volumes": []},
        {"version": 1, "volumes": [{"name": "a", "size": 800}]},
        {"version": 1, "volumes": [{"name": "a", "size": "800"}]},
        {"version": 1, "volumes": [{"name": "a", "size": "1 GB", "replica": 2}]},
        {"version": 1, "volumes": [{"name": "a", "size": "1 GB", "regions": []}]},
        {"version": 1, "volumes": [{"name": "a", "size": "1 GB"}], "groups": [1]},
        {**TIED, "groups": [{"volumes": ["a", "b"]}]},
        {**TIED, "groups": [{"volumes": [], "same": "site"}]},
        {**TIED, "groups": [{"volumes": ["a", "b"], "same": "none"}]},
        {**TIED, "workloads": [{"name": "w", "gpu": "A100_80GB"}]},
        {**TIED, "workloads": [{"name": "w", "gpu": "A100_80GB", "mounts": ["a"], "gpus": 0}]},
        {**TIED, "workloads": [{"name": "w", "gpu": "A100_80GB", "mounts": ["a"], "count": 2}]},
        {**TIED, "policy": {"max_provider_share": 70}},
        {**TIED, "policy": {"max_sites": 0}},
        {**TIED, "policy": {"sequential": 1}},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(wrong: dict[str, Any]) -> None:
    """An editor marks the commonest mistakes before planner is run."""
    assert not Draft202012Validator(demand_schema()).is_valid(wrong)
    with pytest.raises(DemandError):
        demand_from(wrong)


def test_the_schema_accepts_what_the_reader_accepts() -> None:
    """Groups, workloads and every rule of the policy, nulls included."""
    assert list(Draft202012Validator(demand_schema()).iter_errors(TIED)) == []
    assert len(demand_from(TIED).workloads) == 2


def test_an_editor_completes_live_disks() -> None:
    """The schema knows `disks`, what an id looks like, and that ids are a list."""
    volume = {"name": "a", "size": "1 TB"}
    for disks, is_right in [
        (["disk-0001"], True),
        ([], True),
        (["x"], False),
        ("disk-0001", False),
    ]:
        document = {"version": 1, "volumes": [{**volume, "disks": disks}]}
        assert Draft202012Validator(demand_schema()).is_valid(document) is is_right


@pytest.mark.slow
def test_the_schema_is_sound_and_every_field_is_described() -> None:
    """A field without a description is no help in an editor."""
    schema = demand_schema()
    Draft202012Validator.check_schema(schema)
    models = [schema, *schema["$defs"].values()]
    bare = [
        name
        for model in models
        for name, field in model["properties"].items()
        if "description" not in field
    ]
    assert bare == []
    assert all(model["additionalProperties"] is False for model in models)
