"""Templates as JSON: in an exported gallery, and from a daemon that took the pictures."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

import numpy as np

from daemon.people.records import EncoderId, Template
from daemon.vision.events import Quality


def to_json(template: Template) -> dict[str, Any]:
    """A template without its place in a gallery."""
    return {
        "vector": _text(template.vector.astype("<f4").tobytes()),
        "encoder": asdict(template.encoder),
        "source": template.source,
        "role": template.role,
        "quality": asdict(template.quality) if template.quality else None,
        "picture": _text(template.picture) if template.picture else None,
        "created": template.created,
    }


def from_json(facts: dict[str, Any]) -> Template:
    """The template that :func:`to_json` was given.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    vector = np.frombuffer(_raw(facts["vector"]), "<f4").astype(np.float32)
    if not np.isclose(np.linalg.norm(vector), 1, atol=1e-3):
        raise ValueError("a vector is not of length 1")
    if facts["role"] not in ("own", "decoy"):
        raise ValueError(f"no such role: {facts['role']}")
    return Template(
        vector=vector,
        encoder=EncoderId(**facts["encoder"]),
        source=str(facts["source"]),
        role=facts["role"],
        quality=Quality(**facts["quality"]) if facts["quality"] else None,
        picture=_raw(facts["picture"]) if facts["picture"] else None,
        created=str(facts["created"]),
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
