"""Model cards: what a model file is, and whether the file is the one that its card describes.

A model is two files side by side: `NAME.onnx` and its card, `NAME.yaml`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from daemon import documents
from daemon.errors import ConfigError, ModelError, PorterError
from daemon.paths import model_folders
from daemon.validation import Settings, Text, load, problem, shown, suggest

if TYPE_CHECKING:
    from daemon.config import WordOverride

METADATA_KEY = "porter"
"""Key of the ONNX metadata that holds the model's own description, as JSON."""


def _file_name(name: str) -> str:
    if Path(name).name != name:
        raise problem("must be the name of a file beside the card, without folders")
    return name


def _sha256(digits: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise problem("must be 64 lower-case hexadecimal digits")
    return digits


FileName = Annotated[Text, AfterValidator(_file_name)]
Sha256 = Annotated[str, AfterValidator(_sha256)]


class ModelCard(Settings):
    """What the card of every kind of model says."""

    kind: Text
    name: Text
    version: Text
    file: FileName
    sha256: Sha256
    """SHA-256 of the ONNX file, in lower-case hexadecimal."""
    licence: Text
    summary: Text
    seed: int | None = None
    data: Any = None
    recipe: Any = None
    figures: Any = None

    _folder: Path = PrivateAttr(default=Path())

    @model_validator(mode="before")
    @classmethod
    def _of_this_kind(cls, value: Any) -> Any:
        """In a card of another kind hardly a line is right; the one reason says it all."""
        known = get_args(cls.model_fields["kind"].annotation)
        kind = value.get("kind") if isinstance(value, dict) else None
        if kind is not None and known and kind not in known:
            wanted = " or ".join(map(repr, known))
            raise problem(
                f"must be {wanted} here, not {shown(kind)}; this is another kind of model", "kind"
            )
        return value

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self.beside(self.file)

    def beside(self, file: str) -> Path:
        """Path of another file of the model, which lies beside the card."""
        return self._folder / file

    def files(self) -> dict[str, str]:
        """Every file of the model, by name, with its SHA-256."""
        return {self.file: self.sha256}

    def described(self) -> dict[str, Any]:
        """What the model file's own metadata must say."""
        return {"kind": self.kind, "name": self.name, "version": self.version}


class AudioInput(Settings):
    """What the model takes: mono sound in hops."""

    sample_rate: Literal[16000]
    hop: Literal[1280]
    """Samples from one probability to the next."""


class Verifier(Settings):
    """A larger network that looks once at the last two seconds before a word counts as heard."""

    file: FileName
    sha256: Sha256
    loose_threshold: float = Field(gt=0, lt=1)
    """Smoothed probability of the small network at which the large one is asked."""
    threshold: float = Field(gt=0, lt=1)
    """Probability of the large network that counts as heard."""


class WakeWord(Settings):
    """How to decide that one word was said."""

    word: Text
    threshold: float = Field(gt=0, lt=1)
    """On the smoothed probability."""
    smoothing: int = Field(ge=1, le=50)
    """Steps of 80 ms over which the probability is averaged."""
    refractory: float = Field(ge=0, le=60)
    """Seconds after a detection in which the word cannot fire again."""
    duration: float = Field(gt=0, le=10)
    """Median length of the word, in seconds."""
    delay: float = Field(ge=-2, le=2)
    """Median time from the end of the word to the crossing of the threshold, in seconds."""
    verifier: Verifier | None = None


class WakeCard(ModelCard):
    """The card of a streaming wake-word model."""

    kind: Literal["wake"]
    input: AudioInput
    words: list[WakeWord] = Field(min_length=1)
    """In the order of the model's outputs."""

    @model_validator(mode="after")
    def _distinct(self) -> WakeCard:
        names = [each.word for each in self.words]
        for name in names:
            if names.count(name) > 1:
                raise problem(f"{name} is listed twice; keep one", "words")
        return self

    @property
    def trunk(self) -> str | None:
        """Fingerprint of the trunk that it was trained on, if its recipe names one."""
        named = self.recipe.get("trunk") if isinstance(self.recipe, dict) else None
        return named if isinstance(named, str) else None

    def files(self) -> dict[str, str]:
        """Every file of the model, by name, with its SHA-256."""
        verifiers = [each.verifier for each in self.words if each.verifier]
        return super().files() | {each.file: each.sha256 for each in verifiers}

    def described(self) -> dict[str, Any]:
        """What the model file's own metadata must say."""
        return super().described() | {
            "words": [each.word for each in self.words],
            "sample_rate": self.input.sample_rate,
            "hop": self.input.hop,
        }


CardT = TypeVar("CardT", bound=ModelCard)


def load_wake_card(model: Path | str) -> WakeCard:
    """Find a wake-word model and check that its files are the ones that its card describes.

    Args:
        model: path of a card or an ONNX file, or a bare name from the folders of models.

    Raises:
        ModelError: no such model, a wrong card, or a file that is missing or not as the card says.
    """
    return load_card(model, WakeCard)


def load_card(model: Path | str, kind: type[CardT]) -> CardT:
    """The same for a model of any kind."""
    card = read_card(find_card(model), kind)
    check_files(card)
    return card


def find_card(model: Path | str) -> Path:
    """Path of the card of a model that is given by path or by bare name.

    Raises:
        ModelError: there is none; the message says where it was looked for.
    """
    path = Path(model)
    if path.suffix in (".yaml", ".onnx") or path.name != str(model):
        card = path.with_suffix(".yaml")
        if card.is_file():
            return card
        if path.with_suffix(".onnx").is_file():
            raise ModelError(f"{model}: there is no model card {card}; copy both files")
        hint = f"; did you mean {path.stem!r}?" if path.stem in _known() else ""
        raise ModelError(f"{model}: no such file{hint}")
    folders = model_folders()
    for folder in folders:
        if (card := folder / f"{model}.yaml").is_file():
            return card
    known = _known()
    looked = ", ".join(map(str, folders))
    hint = suggest(str(model), known) if known else "there is none at all; see docs/train.md"
    raise ModelError(f"{model}: no such model in {looked}; {hint}")


def _known() -> list[str]:
    """Names of the models that can be given by name alone."""
    return sorted({file.stem for folder in model_folders() for file in folder.glob("*.onnx")})


def read_card(path: Path, kind: type[CardT]) -> CardT:
    """Read a card without a look at the model's files.

    Raises:
        ModelError: a line for each problem of the card, with file, line and field.
    """
    card, _ = load(path, kind, ModelError)
    card._folder = path.absolute().parent
    return card


def check_files(card: ModelCard) -> None:
    """Compare the SHA-256 of every file of a model with its card.

    Raises:
        ModelError: a file is missing, unreadable, or not the one that the card describes.
    """
    for name, expected in card.files().items():
        path = card.beside(name)
        try:
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
            size = path.stat().st_size
        except FileNotFoundError:
            raise ModelError(f"{path}: missing; its card is there: copy the model too") from None
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
        if actual != expected:
            raise ModelError(_mismatch(path, size, actual, expected))


def check_metadata(card: ModelCard, metadata: Mapping[str, str]) -> None:
    """Compare what an ONNX file says about itself with its card.

    Args:
        card: the card.
        metadata: the custom metadata of the ONNX file.

    Raises:
        ModelError: the file is another kind of model, or differs from its card.
    """
    try:
        own = json.loads(metadata[METADATA_KEY])
    except (KeyError, ValueError):
        own = None
    if not isinstance(own, dict):
        raise ModelError(f"{card.path}: not a Porter model: it has no {METADATA_KEY!r} metadata")
    for name, value in card.described().items():
        if own.get(name) != value:
            raise ModelError(
                f"{card.path}: its {name} is {own.get(name)!r}, but its card says {value!r}; "
                "model and card belong to different models"
            )


def effective_words(card: WakeCard, overrides: Mapping[str, WordOverride]) -> list[WakeWord]:
    """The words of a card with what the configuration decides differently.

    Raises:
        ConfigError: an override of a word that the model does not have.
    """
    known = [each.word for each in card.words]
    for word in overrides:
        if word not in known:
            raise ConfigError(
                f"wake.models.words.{word}: model {card.name} has no such word; "
                f"{suggest(word, known)}"
            )
    return [
        each.model_copy(update=overrides[each.word].model_dump(exclude_none=True))
        if each.word in overrides
        else each
        for each in card.words
    ]


def _mismatch(path: Path, size: int, actual: str, expected: str) -> str:
    if size == 0:
        return f"{path}: empty; copy the model again"
    for other in sorted(path.parent.glob("*.yaml")):
        try:
            data = documents.read(other).data
        except PorterError:
            continue
        if isinstance(data, dict) and data.get("sha256") == actual:
            return f"{path}: this is the model of {other.name}; copy the right one in its place"
    return (
        f"{path}: damaged or not the file that its card describes (SHA-256 {actual[:12]}..., "
        f"the card says {expected[:12]}...); copy model and card again"
    )
