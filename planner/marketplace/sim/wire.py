"""A request as it arrived, the answer to it, and a refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import simplejson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from planner.formats import JsonError, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


Dialect = Literal["guide", "openapi"]
Manner = Literal["whole", "drop", "cut", "drip"]


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes
    ----------
    token : str | None
        The bearer token, None where it is missing.
    """

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: bytes = b""
    token: str | None = field(default=None, repr=False)
    other_headers: str = field(default="", repr=False)
    base_url: str = ""


@dataclass
class SimResponse:
    """What is sent, and how.

    Attributes
    ----------
    document : Any
        JSON value, unless ``body`` has the bytes.
    manner : str
        ``whole``; ``drop``: the connection closes without an answer; ``cut``: in the middle of
        the body; ``drip``: a byte at a time, without end.
    wait_s : float
        Real seconds before anything is sent.
    created, deleted, renamed : list of str
        Ids of the disks and pods that the request changed.
    moved : list of str
        Ids of the disks that it attached or detached.
    """

    status: int
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    manner: Manner = "whole"
    wait_s: float = 0.0
    created: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)

    @property
    def changed(self) -> list[str]:
        """Return the ids of everything that the request changed."""
        return [*self.created, *self.renamed, *self.deleted, *self.moved]

    @property
    def content(self) -> bytes:
        """Return the bytes of the body."""
        return to_json(self.document).encode("ascii") if self.body is None else self.body


class Refused(Exception):
    """What the marketplace does not do.

    Attributes
    ----------
    problems : list of (tuple of str, str)
        Where in the request, and what.
    """

    def __init__(self, status: int, message: str, *where: str) -> None:
        super().__init__(message)
        self.status = status
        self.problems = [(where, message)]

    def answer(self, dialect: Dialect) -> SimResponse:
        """Return it as an answer of the marketplace."""
        return refusal(self.status, self.problems, dialect)


def bearer(authorization: str) -> str | None:
    """Return the token of an ``Authorization`` header, None where there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def refusal(
    status: int, problems: Sequence[tuple[Sequence[str], str]], dialect: Dialect
) -> SimResponse:
    """Return a refusal: fields at fault in a 422, a sentence otherwise."""
    document: dict[str, Any]
    if status != 422:  # noqa: PLR2004 -- the one status with fields
        document = {"detail": problems[0][1]}
    elif dialect == "openapi":
        named = [(".".join(where), text) for where, text in problems]
        document = {"errors": [{"param": param, "details": text} for param, text in named]}
    else:
        document = {"detail": [{"loc": list(where), "msg": text} for where, text in problems]}
    return SimResponse(status, document)


class StrictBody(BaseModel):
    """The body of a request: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")


class ProviderPart(StrictBody, strict=True):
    """The part of a create request that names the provider."""

    type: str


class TeamPart(StrictBody, strict=True):
    """The part of a create request that names the team that pays."""

    team_id: str = Field(alias="teamId")


_Shape = TypeVar("_Shape", bound=StrictBody)


def read_body(shape: type[_Shape], body: bytes) -> _Shape:
    """Return a body that has its documented shape, or refuse with every problem."""
    try:
        return shape.model_validate(parse(body))
    except JsonError as error:
        raise Refused(422, f"The body is {error}", "body") from error
    except ValidationError as error:
        refused = Refused(422, "The body is not what is documented", "body")
        refused.problems = [
            (("body", *map(str, problem["loc"])), problem["msg"])
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise refused from error


def to_json(value: Any) -> str:  # noqa: ANN401 -- a JSON value
    """Return JSON in ASCII, decimals with every digit."""
    return str(simplejson.dumps(value, use_decimal=True, allow_nan=True))
