"""What is wrong with the fields of a demand, in plain English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from planner.demand.fields import MAX_NAME, FieldPath, shown
from planner.text import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Problem = tuple[FieldPath, str]

_MISSING = {
    ("version",): "missing; write `version: 1`",
    ("volumes",): "missing; list what is to be stored under `volumes:` "
    "(a policy of several files is for `planner plan --policy`)",
    ("volumes", "name"): "every volume needs a name",
    ("workloads", "name"): "every workload needs a name",
    ("workloads", "gpu"): "missing; name the GPU, such as `gpu: A100_80GB`",
    ("workloads", "mounts"): "missing; list the volumes it mounts, such as `mounts: [corpus]`",
    ("groups", "volumes"): "missing; list the volumes of the group",
}
_EXPECTED = {
    "int_type": "a whole number was expected, not {value}",
    "bool_type": "true or false was expected, not {value}",
    "string_type": "text was expected, not {value}",
    "dict_type": "a mapping was expected, not {value}",
    "model_type": "a mapping was expected, not {value}",
    "model_attributes_type": "a mapping was expected, not {value}",
    "tuple_type": "a list was expected, not {value}",
    "list_type": "a list was expected, not {value}",
    "string_pattern_mismatch": "{value} is not a name; use 1 to 64 letters (A to Z), digits, "
    "`-`, `_` or `.`",
    "string_too_short": "the text is empty; leave it out",
    "string_too_long": "{value} is longer than {max_length} characters",
    "string_unicode": "this is not valid Unicode text",
    "greater_than_equal": "at least {ge:,} was expected, not {value}",
    "less_than_equal": "at most {le:,} is possible, not {value}",
    "too_long": "at most {max_length} are possible",
    "invalid_key": "a key must be text; write it in quotes",
}


def plain_problems(error: ValidationError, root: type[BaseModel]) -> Iterator[Problem]:
    """Yield the path and the sentence of every failure.

    Parameters
    ----------
    root : type of BaseModel
        The model that was validated; its fields are what a misspelt key is compared with.
    """
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        yield path, _sentence(detail, path, root)


def invalid(title: str, problems: Iterable[Problem]) -> ValidationError:
    """Return problems as a failed validation, each at its place."""
    return ValidationError.from_exception_data(
        title,
        [
            {"type": "value_error", "loc": path, "input": None, "ctx": {"error": ValueError(text)}}
            for path, text in problems
        ],
    )


def _sentence(detail: Any, path: FieldPath, root: type[BaseModel]) -> str:  # noqa: ANN401 -- pydantic's ErrorDetails
    kind, value = detail["type"], detail["input"]
    context: dict[str, Any] = detail.get("ctx", {})
    special: dict[str, Callable[[], str]] = {
        "value_error": lambda: str(context["error"]),
        "missing": lambda: _MISSING.get(_keys(path), "missing"),
        "extra_forbidden": lambda: _unknown(str(path[-1]), _model_at(root, path[:-1])),
        "literal_error": lambda: _not_one_of(value, _choices(root, path)),
        "too_short": lambda: _too_short(path),
    }
    if kind in special:
        return special[kind]()
    if kind in {"list_type", "tuple_type"} and isinstance(value, str):
        return f"a list was expected; write a list: [{shown(value).strip(chr(39))}]"
    if kind == "string_pattern_mismatch" and "disks" in path:
        return (
            f"{shown(value)} is not the id of a disk; ids have 8 to 64 letters, digits, `-` or "
            "`_`: paste the whole id, as `planner report` shows it"
        )
    if kind == "string_pattern_mismatch" and len(value) > MAX_NAME:
        return f"{shown(value)} has {len(value)} characters; at most {MAX_NAME} are possible"
    template = _EXPECTED.get(kind)
    if template is None:
        return f"{shown(value)} is not understood here"
    return template.format(value=shown(value), **context) + _advice(kind, value)


def _advice(kind: str, value: object) -> str:
    if kind == "string_type" and not isinstance(value, (list, tuple, dict, type(None))):
        return "; write it in quotes"
    if kind == "int_type" and isinstance(value, str) and value.strip().isdecimal():
        return "; write it without quotes"
    return ""


def _keys(path: FieldPath) -> tuple[str, ...]:
    return tuple(part for part in path if isinstance(part, str))


def _too_short(path: FieldPath) -> str:
    if path[-1] in {"volumes", "mounts"}:
        return "the list is empty; name at least one volume"
    return "an empty list allows nothing; leave it out, or null, to allow everything"


def _unknown(key: str, model: type[BaseModel] | None) -> str:
    known = list(model.model_fields) if model else []
    meant = nearest(key[:100], known)
    return f"no such field; did you mean `{meant}`?" if meant else "no such field here"


def _not_one_of(value: object, choices: tuple[str, ...]) -> str:
    sentence = f"{shown(value)} is not one of {', '.join(choices)}"
    meant = nearest(value[:100], choices) if isinstance(value, str) else None
    return f"{sentence}; did you mean {meant}?" if meant else sentence


def _model_at(root: type[BaseModel], path: FieldPath) -> type[BaseModel] | None:
    """Return the model whose fields are the keys at a path."""
    model: type[BaseModel] | None = root
    for part in path:
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = _inner_model(field.annotation) if field else None
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 -- any type form
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_inner_model(argument) for argument in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def _choices(root: type[BaseModel], path: FieldPath) -> tuple[str, ...]:
    model = _model_at(root, path[:-1])
    field = model.model_fields.get(str(path[-1])) if model else None
    return tuple(_texts(field.annotation)) if field else ()


def _texts(annotation: Any) -> Iterator[str]:  # noqa: ANN401 -- any type form
    for argument in get_args(annotation):
        if isinstance(argument, str):
            yield argument
        else:
            yield from _texts(argument)
