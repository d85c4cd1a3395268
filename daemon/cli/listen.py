"""`porter listen`: watch a model at work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.options import audio_options, override, override_provider, provider_option

if TYPE_CHECKING:
    from daemon.audio.detector import Detector
    from daemon.audio.sources import Source
    from daemon.cli.views import Block
    from daemon.inference import Provider

EPILOG = """\b
Examples:
  porter listen                                        live, until Ctrl-C
  porter listen --file talk.wav                        in real time
  porter listen --file talk.wav --fast --plot out.png  a picture of it
  porter listen --file talk.wav --fast --json          a line for each step of 80 ms
"""


@click.command(epilog=EPILOG)
@click.option(
    "--config", "path", type=click.Path(path_type=Path), metavar="FILE", help="As in porter run."
)
@audio_options
@click.option("--fast", is_flag=True, help="With --file: as fast as possible, not in real time.")
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PNG",
    help="Draw waveform, spectrogram and probability on one time axis.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line for each step of 80 ms.")
@provider_option
def command(
    path: Path | None,
    file: Path | None,
    device: str | None,
    fast: bool,
    picture: Path | None,
    as_json: bool,
    provider: Provider | None,
) -> None:
    """Show the probability of each wake word, live for a microphone or for a recording.

    Nothing else happens: no events, no commands.
    """
    from daemon.audio.detector import open_detectors
    from daemon.audio.sources import make_source
    from daemon.cli import views
    from daemon.config import load_config

    config = override(load_config(path), file=file, device=device, fast=fast)
    config = override_provider(config, provider)
    if picture is not None:
        from daemon.cli.figures import require_drawable
        from daemon.cli.pictures import check_apart
        from daemon.cli.plot import Picture

        heard = [config.audio.path] if config.audio.path is not None else []
        check_apart({"--plot": picture}, heard, "recordings")
        require_drawable(picture, "--plot")
    detectors = open_detectors(config)
    words = [word for detector in detectors for word in detector.words]
    shown: list[views.View] = [views.JsonSteps(words) if as_json else views.meter(words)]
    if picture is not None:
        shown.append(Picture(words, picture))
    source = make_source(config.audio)
    source.open()
    try:
        for block in _blocks(source, detectors):
            for view in shown:
                view.show(block)
    except KeyboardInterrupt:
        click.echo(err=True)
    finally:
        source.close()
    for view in shown:
        view.finish(source.padding)


def _blocks(source: Source, detectors: list[Detector]) -> Iterator[Block]:
    import numpy as np

    from daemon.audio.features import HOP
    from daemon.audio.sources import AudioLost
    from daemon.cli.views import Block
    from daemon.errors import SourceError

    pcm = np.zeros(source.hops * HOP, np.float32)
    try:
        while source.read(pcm) is not None:
            detections = [found for detector in detectors for found in detector.hear(pcm)]
            steps = np.concatenate([detector.probabilities for detector in detectors], axis=1)
            yield Block(pcm, steps, detections)
    except AudioLost as lost:
        raise SourceError(f"{source.description}: {lost}") from None
