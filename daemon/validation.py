"""Checks a YAML file against a pydantic model and says in one line each what is wrong."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from daemon import documents
from daemon.documents import Document, DocumentError, Location, one_line
from daemon.errors import PorterError

MOST_PROBLEMS = 20
"""More lines than this help nobody."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def or_empty(value: Any) -> Any:
    """An empty mapping for nothing: a section whose settings are all commented out."""
    return {} if value is None else value


class Settings(BaseModel):
    """Base of everything that is read from YAML: frozen, strict, no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_default(cls, value: Any) -> Any:
        return or_empty(value)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul", "must not hold a NUL character")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_without_nul)]
"""Text that is not empty and that the operating system can take as a name or argument."""


def problem(message: str, field: str | None = None) -> PydanticCustomError:
    """An error for a validator to raise; `field` is the field at fault inside its model."""
    return PydanticCustomError("problem", "{message}", {"message": message, "field": field})


def load(path: Path, model: type[ModelT], error: type[PorterError]) -> tuple[ModelT, Document]:
    """Read a YAML file as a model; an empty file is an empty mapping.

    Paths in it can be taken relative to its folder: `info.context["folder"]` in a validator.

    Raises:
        error: not readable as YAML, or not what the model allows; a line for each problem.
    """
    try:
        document = documents.read(path)
    except DocumentError as unreadable:
        raise error(str(unreadable)) from None
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise error(f"{path}:1: must be a mapping (name: value lines), not {shown(data)}")
    try:
        context = {"folder": path.absolute().parent}
        return model.model_validate(data, context=context), document
    except ValidationError as invalid:
        raise error("\n".join(describe(invalid, model, document))) from None


def describe(invalid: ValidationError, model: type[BaseModel], document: Document) -> list[str]:
    """One line for each problem: file, line, field, what is wrong and what would be right."""
    found: dict[Location, list[ErrorDetails]] = {}
    for details in invalid.errors(include_url=False):
        found.setdefault(_place(details, document.data), []).append(details)
    lines = [
        (document.line(place), field_name(place), _explain(errors, place, model))
        for place, errors in found.items()
    ]
    lines.sort(key=lambda line: line[0])
    report = [f"{document.path}:{line}: {field}: {what}" for line, field, what in lines]
    if len(report) > MOST_PROBLEMS:
        rest = len(report) - MOST_PROBLEMS
        report = [*report[:MOST_PROBLEMS], f"{document.path}: and {rest} more problems"]
    return report


def suggest(name: object, known: Sequence[str]) -> str:
    """`did you mean ...?` when a known name is close, else the list of known names."""
    if close := get_close_matches(str(name), known, n=1):
        return f"did you mean {close[0]!r}?"
    return "known here: " + ", ".join(known) if known else "nothing can be set here"


def shown(value: object) -> str:
    """A value as a person wrote it, short, on one line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str() if value == "":
            return "an empty text"
        case dict():
            return "a mapping"
        case list():
            return "a list" if value else "an empty list"
    return reprlib.repr(value)


def _place(details: ErrorDetails, data: Any) -> Location:
    """The part of pydantic's location that exists in the file, without its names of types."""
    place: list[str | int] = []
    for part in details["loc"]:
        inside = dict(enumerate(data)) if isinstance(data, list) else data
        if isinstance(inside, Mapping) and part in inside:
            # A name such as 5 is a name still; only places in a list are numbers.
            place.append(part if isinstance(data, list) else str(part))
            data = inside[part]
    if details["type"] == "missing":
        place.append(details["loc"][-1])
    elif field := details.get("ctx", {}).get("field"):
        place.append(field)
    return tuple(place)


def field_name(place: Location) -> str:
    """A field as messages name it: `wake.models[0].model`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return one_line(text.removeprefix(".")) or "top level"


def _explain(errors: list[ErrorDetails], place: Location, model: type[BaseModel]) -> str:
    kinds = {details["type"] for details in errors}
    first = errors[0]
    if "extra_forbidden" in kinds:
        return f"unknown setting; {suggest(place[-1], _names(model, place[:-1]))}"
    if "missing" in kinds:
        return "is missing; it has no default"
    if "invalid_key" in kinds:
        return "names must be text; put the name in quotes"
    needed = list(dict.fromkeys(wanted(details) for details in errors))
    if first["type"] in ("problem", "nul"):
        return first["msg"]
    hint = ""
    if first["type"] == "literal_error":
        allowed = [word.strip("'") for word in first["ctx"]["expected"].split("'")[1::2]]
        if close := get_close_matches(str(first["input"]), allowed, n=1):
            hint = f"; did you mean {close[0]!r}?"
    return f"must be {' or '.join(needed)}, not {shown(first['input'])}{hint}"


_KINDS = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "string_unicode": "text in UTF-8",
    "too_short": "a list that is not empty",
    "is_instance_of": "a path",
    "list_type": "a list",
    "dict_type": "a mapping (name: value)",
    "model_type": "a mapping (name: value)",
    "model_attributes_type": "a mapping (name: value)",
}


def wanted(details: ErrorDetails) -> str:
    """What a value should have been, as in `must be text that is not empty`."""
    if details["type"] in _KINDS:
        return _KINDS[details["type"]]
    if details["type"] == "literal_error":
        return "one of " + str(details["ctx"]["expected"]).replace(" or ", ", ")
    text = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _names(model: Any, place: Location) -> list[str]:
    """Names of the settings of the model that is found at a place inside another."""
    for part in place:
        model = _inside(model, part)
    fields = getattr(_models(model)[0], "model_fields", {}) if _models(model) else {}
    return list(fields)


def _inside(annotation: Any, part: str | int) -> Any:
    models = _models(annotation)
    if models and isinstance(part, str) and part in models[0].model_fields:
        return models[0].model_fields[part].annotation
    arguments = get_args(annotation)
    if get_origin(annotation) in (dict, list, tuple):
        return arguments[-1]
    return next((_inside(one, part) for one in arguments if get_args(one)), None)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (dict, list, tuple):
        return []
    return [found for one in get_args(annotation) for found in _models(one)]
