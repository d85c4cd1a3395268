"""Command-line options that several verbs share: where sound and pictures come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.inference import Provider

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


provider_option = click.option(
    "--provider",
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="What computes; without it, inference.provider of the configuration.",
)


def override_provider(config: Config, provider: Provider | None) -> Config:
    """The configuration with what the command line says about what computes.

    Raises:
        ConfigError: CUDA is asked for and does not work here; the message names the option.
    """
    from daemon.inference import choose_providers

    if provider is None:
        return config
    if provider == "cuda":  # else the setting would be blamed for it later
        choose_providers(provider, "--provider")
    inference = config.inference.model_copy(update={"provider": provider})
    return config.model_copy(update={"inference": inference})


def audio_options(command: CommandT) -> CommandT:
    """Add `--file` and `--device`."""
    file = click.option(
        "--file", type=click.Path(path_type=Path), metavar="FILE", help="Listen to a sound file."
    )
    device = click.option(
        "--device", metavar="NAME", help="Listen to this microphone: its index or part of its name."
    )
    return file(device(command))


def camera_option(command: CommandT) -> CommandT:
    """Add `--camera`."""
    return click.option(
        "--camera",
        metavar="SOURCE",
        help="Look at a camera (its number or /dev path), a stream (URL), a video or a folder.",
    )(command)


def override_camera(config: Config, source: str | None, *, fast: bool = False) -> Config:
    """The configuration with what the command line says about the camera.

    Raises:
        click.UsageError: an empty name, or what cannot be an address.
    """
    from pydantic import ValidationError

    if source is None:
        return config
    if not source:
        raise click.UsageError("--camera is empty; give a number, a path or a URL")
    camera: dict[str, Any] = config.camera.model_dump()
    camera |= {"enabled": True, "url": None, "path": None}
    if source.isdecimal():
        camera |= {"source": "device", "device": int(source)}
    elif "://" in source:
        camera |= {"source": "stream", "url": source}
    elif source.startswith("/dev/"):
        camera |= {"source": "device", "device": source}
    else:
        path = Path(source)
        camera |= {"source": "folder" if path.is_dir() else "file", "path": path}
    if fast:
        camera["pace"] = "fast"
    try:
        checked = type(config.camera).model_validate(camera)
    except ValidationError as error:
        raise click.UsageError(f"--camera {source}: {error.errors()[0]['msg']}") from None
    return config.model_copy(update={"camera": checked})


def override(
    config: Config,
    *,
    file: Path | None = None,
    device: str | None = None,
    pipe: bool = False,
    fast: bool = False,
) -> Config:
    """The configuration with what the command line says about the source.

    Raises:
        click.UsageError: options that exclude each other.
    """
    if sum((file is not None, device is not None, pipe)) > 1:
        raise click.UsageError("--file, --device and --pipe exclude each other; give one of them")
    if device == "":
        raise click.UsageError("--device is empty; give an index or a part of a name")
    if fast and file is None and config.audio.enabled and config.audio.source != "file":
        raise click.UsageError(
            f"--fast works with files only, and the sound comes from the {config.audio.source}; "
            "give --file, too, or set audio.enabled to false"
        )
    audio: dict[str, Any] = config.audio.model_dump()
    if file is not None:
        audio |= {"source": "file", "path": file, "device": None}
    elif device is not None:
        wanted = int(device) if device.isdecimal() else device
        audio |= {"source": "microphone", "device": wanted, "path": None}
    elif pipe:
        audio |= {"source": "pipe", "device": None, "path": None}
    if fast:
        audio["pace"] = "fast"
    return config.model_copy(update={"audio": type(config.audio).model_validate(audio)})
