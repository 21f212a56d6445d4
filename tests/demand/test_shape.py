from typing import Any

import pytest
from jsonschema import Draft202012Validator

from planner.demand import demand_schema, example
from planner.demand.yaml_text import parse_yaml


@pytest.mark.parametrize("name", ["minimal", "research"])
def test_the_examples_satisfy_the_schema(name: Any) -> None:
    """An editor that checks by the schema finds nothing wrong in what planner ships."""
    document = parse_yaml(example(name)).value
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
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(wrong: object) -> None:
    """An editor marks the commonest mistakes before planner is run."""
    assert not Draft202012Validator(demand_schema()).is_valid(wrong)


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
