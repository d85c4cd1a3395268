"""YAML files that people edit: read with line numbers, checked whole, every problem in one line.

The YAML is that of version 1.2's core schema: only `true` and `false` are booleans (so `on:` is a
plain key), `1e-3` is a number and `12:30` is text. A key given twice is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from daemon.errors import PorterError

try:
    from yaml import CSafeDumper as BaseDumper
    from yaml import CSafeLoader as BaseLoader
except ImportError:  # a PyYAML without libyaml: slower, otherwise the same
    from yaml import SafeDumper as BaseDumper  # type: ignore[assignment]
    from yaml import SafeLoader as BaseLoader  # type: ignore[assignment]

MAXIMUM_BYTES = 1 << 20
"""A larger file is not a configuration (`/dev/zero`, a recording)."""
MAXIMUM_DEPTH = 50
LONGEST = 160
"""Characters of a name or a reason that a message quotes."""

Location = tuple[str | int, ...]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_CORE = {
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "tag:yaml.org,2002:int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "tag:yaml.org,2002:merge": (r"<<", "<"),
}


class _Loader(BaseLoader):
    pass


class _Dumper(BaseDumper):
    pass


for _class in (_Loader, _Dumper):
    _class.yaml_implicit_resolvers = {}
    for _tag, (_pattern, _first) in _CORE.items():
        _class.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


class DocumentError(PorterError):
    """A file that is not readable YAML; the message names file, line and column."""


@dataclass(frozen=True)
class Document:
    """A YAML file with the place of everything in it."""

    path: Path
    data: Any
    """The content as Python values; None when the file is empty."""
    root: yaml.Node | None

    def line(self, location: Location) -> int:
        """Line (from 1) of a field, or of the deepest part of its path that the file has."""
        node, line = self.root, 1
        for part in location:
            found = next((place for key, place in _children(node) if _same(key, part)), None)
            if found is None:
                break
            node, line = found
        return line


def read(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        DocumentError: missing, unreadable, not UTF-8, not YAML, or a key given twice.
    """
    text = _text(path)
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise DocumentError(f"{path}:{line}: control character U+{ord(control[0]):04X}; remove it")
    try:
        loader = _Loader(text)
        try:
            _check_depth(path, text)
            root = loader.get_single_node()
            if root is None:
                return Document(path, None, None)
            _check_keys(path, root)
            return Document(path, loader.construct_document(root), root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise DocumentError(_syntax(path, text, error)) from None
    except (ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        reason = one_line(str(error)) or type(error).__name__
        raise DocumentError(f"{path}:1: cannot be read as YAML: {reason}") from None


def dump(data: Any) -> str:
    """YAML text that :func:`read` reads back to the same data; keys in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def one_line(text: str) -> str:
    """Text of any kind, fit for one line of a message."""
    text = "".join(each if each.isprintable() else " " for each in text[:LONGEST])
    return " ".join(text.split())


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAXIMUM_BYTES + 1)
    except FileNotFoundError:
        raise DocumentError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DocumentError(f"{path}: cannot be read: {reason}") from None
    if len(raw) > MAXIMUM_BYTES:
        raise DocumentError(f"{path}: larger than {MAXIMUM_BYTES >> 20} MiB; is it the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DocumentError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from None


def _check_depth(path: Path, text: str) -> None:
    """Refuse deep nesting from the event stream: composing it would exhaust the C stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAXIMUM_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise DocumentError(f"{path}:{line}: nested deeper than {MAXIMUM_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_keys(path: Path, root: yaml.Node) -> None:
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
            continue
        lines: dict[str, int] = {}
        for key, value in node.value:
            waiting.append(value)
            if not isinstance(key, yaml.ScalarNode):
                raise DocumentError(
                    f"{path}:{key.start_mark.line + 1}: a name must be text, not a list or mapping"
                )
            line = key.start_mark.line + 1
            if key.value in lines and key.value != "<<":
                raise DocumentError(
                    f"{path}:{line}: {one_line(key.value)}: given twice "
                    f"(first in line {lines[key.value]}); keep one"
                )
            lines[key.value] = line


def _children(node: yaml.Node | None) -> Iterator[tuple[str | int, tuple[yaml.Node, int]]]:
    if isinstance(node, yaml.MappingNode):
        # Last first: merged keys come first and a key written out overrides them.
        for key, value in reversed(node.value):
            yield key.value, (value, key.start_mark.line + 1)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield index, (value, value.start_mark.line + 1)


def _same(written: str | int, part: str | int) -> bool:
    """Whether a name as it is written is a name as it was read: `0x10` aside, also a number."""
    return written == part or str(written).casefold() == str(part).casefold()


def _syntax(path: Path, text: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    what = error.problem or error.context or "not YAML"
    if mark is None:
        return f"{path}:1: {what}"
    lines = text.splitlines()
    # An error at the end of the file is marked on the line after the last.
    line = min(mark.line, max(len(lines) - 1, 0))
    shown = lines[line] if lines else ""
    if "\t" in shown[: len(shown) - len(shown.lstrip())]:
        what = "a tab in the indentation; indent with spaces"
    return f"{path}:{line + 1}:{mark.column + 1}: not valid YAML: {one_line(what)}"
