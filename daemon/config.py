"""What a person can set: the settings of `config.yaml` as frozen, checked values.

`config.yaml` in the repository lists every setting with a comment and holds the same defaults as
the classes here. Durations are in seconds. Relative paths in a file are relative to its folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from daemon.cards import WakeCard, find_card, read_card
from daemon.documents import Document
from daemon.door.settings import ControlConfig, DoorConfig
from daemon.errors import ConfigError, ModelError
from daemon.events import CATALOGUE
from daemon.fields import Backoff, CommandHook, FilePath, ModelName
from daemon.paths import find_config
from daemon.people.settings import GalleryConfig, VisitorsConfig
from daemon.validation import Settings, Text, load, or_empty, problem, suggest
from daemon.vision.light.settings import LightConfig
from daemon.vision.objects.settings import ObjectsConfig
from daemon.vision.settings import CHALLENGE_FPS, CameraConfig, FacesConfig

_EVENT_TYPES = [kind.type for kind in CATALOGUE]


def _event_type(name: str) -> str:
    if name not in _EVENT_TYPES:
        raise problem(f"no such event type; {suggest(name, _EVENT_TYPES)}")
    return name


EventType = Annotated[str, AfterValidator(_event_type)]


class AudioConfig(Settings):
    """Where sound comes from, and what counts as losing it."""

    enabled: bool = True
    source: Literal["microphone", "file", "pipe"] = "microphone"
    device: Annotated[int, Field(ge=0)] | Text | None = None
    """Index of an input device or part of its name; None is the system's default."""
    path: FilePath | None = None
    pace: Literal["realtime", "fast"] = "realtime"
    steps_per_wakeup: int = Field(default=4, ge=1, le=10)
    """Steps of 80 ms that are heard at a time: more cost less processor, fewer answer sooner."""
    stall_seconds: float = Field(default=2.0, ge=0.2, le=60)
    reopen_backoff: Backoff = Backoff()

    @model_validator(mode="after")
    def _fits_source(self) -> AudioConfig:
        if self.source == "file" and self.path is None:
            raise problem("source is file, so a path is needed: set path", "path")
        if self.source != "file" and self.path is not None:
            raise problem(
                f"used only with source: file, but source is {self.source}; "
                "set source: file or remove path",
                "path",
            )
        if self.source != "microphone" and self.device is not None:
            raise problem(
                f"used only with source: microphone, but source is {self.source}; remove device",
                "device",
            )
        return self


class WordOverride(Settings):
    """What to decide differently from a model's card for one word; None keeps the card's."""

    threshold: float | None = Field(default=None, gt=0, lt=1)
    smoothing: int | None = Field(default=None, ge=1, le=50)
    """Steps of 80 ms over which the probability is averaged."""
    refractory: float | None = Field(default=None, ge=0, le=60)


class WakeModelConfig(Settings):
    """One wake-word model."""

    model: ModelName
    """Name of a model in the models folder, or path of its card or ONNX file."""
    words: Annotated[dict[Text, WordOverride], BeforeValidator(or_empty)] = Field(
        default_factory=dict
    )


class EnrolledConfig(Settings):
    """Words that were enrolled from recordings, listened for beside the trained ones."""

    enabled: bool = True
    encoder: ModelName = "wordembed"
    """The network that compares words."""
    words: Annotated[dict[Text, WordOverride], BeforeValidator(or_empty)] = Field(
        default_factory=dict
    )


class WakeConfig(Settings):
    """The wake words to listen for."""

    models: list[WakeModelConfig] = Field(
        default_factory=lambda: [WakeModelConfig(model="activate")], min_length=1
    )
    enrolled: EnrolledConfig = EnrolledConfig()
    second_look: bool = True
    """Let a model's larger network confirm a detection, where its card has one."""

    @model_validator(mode="after")
    def _distinct(self) -> WakeConfig:
        names = [each.model for each in self.models]
        for name in names:
            if names.count(name) > 1:
                raise problem(f"{name} is listed twice; keep one", "models")
        return self


class InferenceConfig(Settings):
    """How models run."""

    provider: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=1, ge=1, le=64)


class EventsConfig(Settings):
    """Where events go besides standard output."""

    path: FilePath | None = None


class LogConfig(Settings):
    """Diagnostics on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Settings):
    """The whole configuration."""

    audio: AudioConfig = AudioConfig()
    wake: WakeConfig = WakeConfig()
    camera: CameraConfig = CameraConfig()
    faces: FacesConfig = FacesConfig()
    light: LightConfig = LightConfig()
    objects: ObjectsConfig = ObjectsConfig()
    gallery: GalleryConfig = GalleryConfig()
    visitors: VisitorsConfig = VisitorsConfig()
    door: DoorConfig = DoorConfig()
    control: ControlConfig = ControlConfig()
    inference: InferenceConfig = InferenceConfig()
    on: Annotated[dict[EventType, CommandHook], BeforeValidator(or_empty)] = Field(
        default_factory=dict
    )
    events: EventsConfig = EventsConfig()
    log: LogConfig = LogConfig()


class LockConfig(Settings):
    """The part of a configuration with which a door is locked."""

    model_config = ConfigDict(extra="ignore")

    door: DoorConfig = DoorConfig()
    control: ControlConfig = ControlConfig()


def load_config(path: Path | None = None) -> Config:
    """Read and check a configuration; None takes the one in use (:func:`find_config`).

    Raises:
        ConfigError: a line for each problem, with file, line, field and what would be right.
    """
    config, document = _load(path)
    if problems := list(_unknown_words(config, document)):
        raise ConfigError("\n".join(problems))
    return config


def load_lock_config(path: Path | None = None) -> LockConfig:
    """What locking needs of a configuration, however wrong the rest of it may be.

    Raises:
        ConfigError: it cannot be read at all, or what locking needs is wrong.
    """
    config, _ = load(find_config(path), LockConfig, ConfigError)
    return config


def load_daemon_config(
    path: Path | None = None, change: Callable[[Config], Config] | None = None
) -> Config:
    """The same for the daemon, whose parts must have what they need of each other.

    Other commands do without: they reach a daemon that was given its camera on the command line.

    Args:
        path: of the file.
        change: what the command line says over it. Needs are looked at after that: `--camera`
            gives the door the camera that the file lacks.

    Raises:
        ConfigError: as above.
    """
    config, document = _load(path)
    if change is not None:
        config = change(config)
    if problems := [*_unmet_needs(config, document), *_unknown_words(config, document)]:
        raise ConfigError("\n".join(problems))
    return config


def _load(path: Path | None) -> tuple[Config, Document]:
    return load(find_config(path), Config, ConfigError)


def _unmet_needs(config: Config, document: Document) -> Iterator[str]:
    def unmet(section: str, field: str, need: str) -> str:
        line = document.line((section, field))
        return f"{document.path}:{line}: {section}.{field}: {need}"

    mode = config.door.mode
    if config.objects.enabled and not config.camera.enabled:
        yield unmet(
            "objects",
            "enabled",
            "needs a camera: set camera.enabled: true, or objects.enabled: false",
        )
    if mode != "wake" and not config.camera.enabled:
        yield unmet(
            "door", "mode", f"{mode} needs a camera: set camera.enabled: true, or door.mode: wake"
        )
    if mode == "wake+face" and not config.audio.enabled:
        yield unmet(
            "door", "mode", f"{mode} needs sound: set audio.enabled: true, or door.mode: face"
        )
    fps, agreed, liveness = config.camera.fps, config.faces.consensus, config.faces.liveness
    if config.camera.enabled and liveness.mode == "challenge" and fps < CHALLENGE_FPS:
        yield unmet(
            "camera",
            "fps",
            f"must be {CHALLENGE_FPS:g} or more with faces.liveness.mode: challenge, not {fps:g}: "
            "the turn of a head would be lost between two pictures",
        )
    if config.camera.enabled and (agreed.frames - 1) / fps > agreed.seconds:
        yield unmet(
            "faces",
            "consensus",
            f"{agreed.frames} pictures never come within {agreed.seconds:g} s with camera.fps: "
            f"{fps:g}; lower frames, or raise seconds",
        )


def _unknown_words(config: Config, document: Document) -> Iterator[str]:
    for index, each in enumerate(config.wake.models):
        if not each.words:
            continue
        try:
            known = [word.word for word in read_card(find_card(each.model), WakeCard).words]
        except ModelError:
            continue  # to be reported when the model is opened, with the exit code of models
        for word in each.words:
            if word not in known:
                line = document.line(("wake", "models", index, "words", word))
                yield (
                    f"{document.path}:{line}: wake.models[{index}].words.{word}: the model "
                    f"{each.model} has no such word; {suggest(word, known)}"
                )
