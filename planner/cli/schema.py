"""``planner schema``: the demand file's JSON Schema."""

from __future__ import annotations

import json

from planner.cli.render import result


def schema() -> None:
    """Print the JSON Schema of the demand file, for editors."""
    from planner.demand import demand_schema

    result(json.dumps(demand_schema(), indent=2))
