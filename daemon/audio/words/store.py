"""Where enrolled words live: a file for each in the state directory, for Porter alone to read.

What is kept of a voice are vectors that tell words apart. Recordings are kept only on request, in a
folder beside the file, so that another encoder can be taken later.
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationError

from daemon.audio.words.cards import EncoderId
from daemon.documents import one_line
from daemon.errors import WordError
from daemon.paths import state_directory
from daemon.people.files import drafted, make_folder, plain_failures, publish
from daemon.validation import Settings, Text, problem

Array = npt.NDArray[np.float32]

LONGEST_NAME = 40
_NAME = re.compile(r"[^\W_]+(?:[ '-][^\W_]+)*")
_STORED = "<f4"


def clean_name(name: str) -> str:
    """A word's name, spaces made single.

    Raises:
        WordError: it cannot be one.
    """
    cleaned = " ".join(name.split())
    if not _NAME.fullmatch(cleaned) or len(cleaned) > LONGEST_NAME:
        raise WordError(
            f"{one_line(name)!r} cannot be a word's name: letters and digits, with single spaces, "
            f"hyphens or apostrophes between them, {LONGEST_NAME} characters at most"
        )
    return cleaned


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        flat = np.frombuffer(base64.b64decode(value, validate=True), _STORED)
    except ValueError:
        raise problem("must be base64 of 32-bit floats") from None
    if not np.isfinite(flat).all():
        raise problem("must hold numbers only")
    return flat


def _encoded(vectors: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(vectors, _STORED).tobytes()).decode()


Floats = Annotated[Any, BeforeValidator(_decoded), PlainSerializer(_encoded)]


class Take(Settings):
    """One recording that a word was enrolled from."""

    source: Text
    """The name of a file, or the microphone."""
    seconds: float = Field(gt=0, le=10)
    """Length of the word in it."""
    likeness: float
    """Its score against the other takes."""


class Word(Settings):
    """An enrolled word."""

    name: Annotated[Text, AfterValidator(clean_name)]
    encoder: EncoderId
    """What made the templates; those of different encoders are never compared."""
    created: Text
    """RFC 3339."""
    takes: list[Take] = Field(min_length=1)
    templates: Floats
    """(templates * dimension,) float32: unit vectors, one after the other."""
    threshold: float = Field(gt=0, lt=1)
    """Score that counts as heard."""
    duration: float = Field(gt=0, le=10)
    """Median length of the word, in seconds."""

    def vectors(self, dimension: int) -> Array:
        """The templates, (n, dimension).

        Raises:
            WordError: they have another dimension.
        """
        flat = np.asarray(self.templates, np.float32)
        if not len(flat) or len(flat) % dimension:
            raise WordError(f"{self.name}: its templates are damaged; enrol it again")
        return flat.reshape(-1, dimension)


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file that should hold a word."""

    name: str
    """Of the word, after its file."""
    path: Path
    message: str
    """The file, what is wrong with it, and what to do."""


class Store:
    """The folder of enrolled words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """The words that are there, as they were named; a damaged one after its file."""
        words, damaged = self.read()
        return sorted([*(word.name for word in words), *(each.name for each in damaged)])

    def read(self) -> tuple[list[Word], list[Damaged]]:
        """The words, and the files that hold none though they should."""
        words, damaged = [], []
        for path in self._files():
            try:
                words.append(self._read(path))
            except WordError as error:
                damaged.append(Damaged(path.stem.replace("_", " "), path, str(error)))
        return words, damaged

    def get(self, name: str) -> Word:
        """One word.

        Raises:
            WordError: it is not enrolled, or its file is damaged.
        """
        return self._read(self.require(name))

    def require(self, name: str) -> Path:
        """The file of a word that is there, damaged or not.

        Raises:
            WordError: there is none of this name.
        """
        path = self.path(name)
        if not path.exists():
            raise WordError(f"{name}: {self._unknown()}")
        return path

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def _read(self, path: Path) -> Word:
        if not path.is_file():
            raise WordError(f"{path}: not a file; remove it")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WordError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            word = Word.model_validate_json(content)
        except ValidationError as invalid:
            what = _damage(invalid) if content else "empty"
            raise WordError(f"{path}: {what}; enrol the word again, or remove the file") from None
        if path != self.path(word.name):
            own = self.path(word.name).name
            raise WordError(f"{path}: holds {word.name}, whose file is {own}; remove this one")
        return word

    def put(self, word: Word, recordings: Sequence[bytes] = ()) -> None:
        """Keep a word, in place of what was known of it.

        Args:
            word: what to keep.
            recordings: sound files of its takes, if they shall be kept.

        Raises:
            OutputError: it cannot be written.
        """
        make_folder(self.folder)
        # What is kept of the word before is given up only when all that is new is there.
        kept = self.recordings(word.name)
        draft = drafted(kept)
        try:
            if recordings:
                make_folder(draft)
            for number, content in enumerate(recordings, 1):
                publish(draft / f"{number}.wav", content)
            publish(self.path(word.name), word.model_dump_json(indent=1).encode(), replace=True)
            self._forget_recordings(word.name)
            if recordings:
                with plain_failures(kept):
                    draft.rename(kept)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Erase a word and its recordings, damaged or not.

        Raises:
            WordError: there is none of this name, or a folder in its place.
            OutputError: it cannot be erased.
        """
        path = self.require(name)
        if path.is_dir():
            raise WordError(f"{path}: a folder, which Porter did not make; remove it by hand")
        with plain_failures(path):
            path.unlink()
        self._forget_recordings(name)
        # What was on its way when the machine went down.
        for draft in self.folder.glob(f".{escape(self.recordings(name).name)}.*"):
            shutil.rmtree(draft, ignore_errors=True)

    def path(self, name: str) -> Path:
        """The file of a word."""
        return self.folder / f"{_file_name(name)}.json"

    def recordings(self, name: str) -> Path:
        """The folder of a word's recordings, if they were kept."""
        return self.folder / _file_name(name)

    def _forget_recordings(self, name: str) -> None:
        folder = self.recordings(name)
        if folder.is_dir():
            with plain_failures(folder):
                shutil.rmtree(folder)

    def _unknown(self) -> str:
        known = ", ".join(self.names())
        return f"no such enrolled word; there is {known}" if known else "no word is enrolled"


def open_store() -> Store:
    """The enrolled words of this machine."""
    return Store(state_directory() / "words")


def shown(name: str) -> str:
    """A name as it is typed in a shell."""
    return f'"{name}"' if " " in name or "'" in name else name


def _damage(invalid: ValidationError) -> str:
    first = invalid.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "file"
    return f"damaged ({where}: {one_line(first['msg'])[:80]})"


def _file_name(name: str) -> str:
    return clean_name(name).casefold().replace(" ", "_")
