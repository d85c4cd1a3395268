"""The published schema of events as the tests hold Porter to it."""

from __future__ import annotations

from typing import Any


def closed(schema: Any) -> Any:
    """A schema without room for what a later Porter may add: of this one every field is known."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(each) for name, each in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        found["additionalProperties"] = False
    return found
