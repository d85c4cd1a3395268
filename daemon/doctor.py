"""Checks that everything Porter needs is there, each with what would put it right.

A check runs to its end whatever it meets: a broken installation is what it is for.
"""

from __future__ import annotations

import grp
import os
import platform
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from daemon.cards import WakeCard, effective_words, load_wake_card
from daemon.config import Config, WakeModelConfig, load_daemon_config
from daemon.errors import PorterError
from daemon.paths import find_config

UNIT = "porter.service"
HOP_LIMIT_MS = 40.0
"""A hop lasts 80 ms; a model that needs half of that leaves too little for the rest."""
_TRIAL_HOPS = 25
REINSTALL = "run pip install --force-reinstall, as in docs/install.md"
SOUND_CARDS = Path("/dev/snd")
SYSTEMD = Path("/run/systemd/system")


@dataclass(frozen=True)
class Check:
    """What was looked at and what was found."""

    group: str
    name: str
    ok: bool | None
    """None: neither good nor bad, only worth knowing."""
    detail: str
    fix: str | None = None
    """What to do, when it is not well."""


def examine(path: Path | None) -> Iterator[Check]:
    """All checks, one after another, for the configuration at `path` or the one in use."""
    yield from _versions()
    used = find_config(path)
    config = Config()
    try:
        config = load_daemon_config(used)
        yield Check("configuration", "file", True, str(used))
    except PorterError as error:
        for line in str(error).splitlines():
            yield Check("configuration", "file", False, line, "correct the line")
        yield Check("configuration", "file", None, "the rest is checked with the defaults")
    yield from _guarded("inference", _inference(config))
    for wanted in config.wake.models:
        yield from _guarded(f"model {wanted.model}", _model(config, wanted))
    yield from _guarded("enrolled words", _words(config))
    yield from _guarded("audio", _audio(config))
    yield from _guarded("camera", _camera(config))
    yield from _guarded("permissions", _permissions(_needs_microphone(config)))
    yield from _service()


def _guarded(group: str, checks: Iterator[Check]) -> Iterator[Check]:
    """The checks, the last of them a failure if a library is missing or broken."""
    try:
        yield from checks
    except Exception as error:  # ONNX Runtime, PortAudio and broken wheels raise what they like
        yield Check(group, "check", False, _line(error), REINSTALL)


def _versions() -> Iterator[Check]:
    python = platform.python_version()
    fix = None if sys.version_info >= (3, 11) else "install Python 3.11 or newer"
    yield Check("versions", "Python", fix is None, f"{python}, {platform.machine()}", fix)
    yield Check("versions", "Porter", True, version("porter"))
    for module in ("numpy", "onnxruntime", "soxr", "cv2"):
        yield _library(module)
    yield _sound_file()


def _library(module: str) -> Check:
    try:
        found = import_module(module)
    except Exception as error:  # whatever a broken wheel raises
        return Check("versions", module, False, _line(error), REINSTALL)
    return Check("versions", module, True, str(found.__version__))


def _sound_file() -> Check:
    try:
        import soundfile
    except Exception as error:  # OSError without the library, ImportError without the module
        fix = "run sudo apt-get install libsndfile1"
        return Check("versions", "libsndfile", False, _line(error), fix)
    return Check("versions", "libsndfile", True, str(soundfile.__libsndfile_version__))


def _inference(config: Config) -> Iterator[Check]:
    import onnxruntime

    from daemon.inference import choose_providers, cuda_obstacle

    obstacle = cuda_obstacle()
    yield Check("inference", "built in", None, ", ".join(onnxruntime.get_available_providers()))
    yield Check("inference", "CUDA", None, f"not used: {obstacle}" if obstacle else "works")
    wanted = config.inference.provider
    try:
        first = choose_providers(wanted)[0]
    except PorterError as error:
        yield Check("inference", "in use", False, _line(error), "set inference.provider to auto")
    else:
        yield Check("inference", "in use", True, f"{first} (inference.provider: {wanted})")


def _model(config: Config, wanted: WakeModelConfig) -> Iterator[Check]:
    group = f"model {wanted.model}"
    try:
        card = load_wake_card(wanted.model)
        words = effective_words(card, wanted.words)
    except PorterError as error:
        fix = "copy the model and its card again, or train it: docs/train.md"
        yield Check(group, "card", False, _line(error), fix)
        return
    yield Check(group, "card", True, f"{card.name} {card.version}, {card.licence}")
    sizes = sum(card.beside(file).stat().st_size for file in card.files())
    yield Check(group, "checksum", True, f"{card.sha256[:12]}, {sizes / 1e6:.2f} MB in all")
    yield from _trial(config, card, group)
    yield _parity(card, group)
    for word in words:
        yield Check(
            group,
            f"word {word.word}",
            None,
            f"threshold {word.threshold:g}, smoothed over {word.smoothing} steps, "
            f"refractory {word.refractory:g} s",
        )


def _trial(config: Config, card: WakeCard, group: str) -> Iterator[Check]:
    """Run the model, and its verifiers, on silence: what the daemon does at its start."""
    import numpy as np

    from daemon.audio.features import HOP
    from daemon.audio.second_look import open_verifier
    from daemon.audio.wake import open_wake_model
    from daemon.inference import choose_providers

    try:
        providers = choose_providers(config.inference.provider)
        model = open_wake_model(card, providers, config.inference.threads)
        silence = np.zeros(HOP, np.float32)
        began = time.perf_counter()
        for _ in range(_TRIAL_HOPS):
            probabilities = model.process(silence)
        milliseconds = (time.perf_counter() - began) / _TRIAL_HOPS * 1000
        for word in card.words:
            if word.verifier:
                open_verifier(card.beside(word.verifier.file), word.verifier, providers)
    except PorterError as error:
        yield Check(group, "runs", False, _line(error), "copy the model and its card again")
        return
    yield Check(group, "metadata", True, "the model and its card agree")
    if not bool(np.isfinite(probabilities).all()):
        fix = "train it again: docs/train.md"
        yield Check(group, "runs", False, "the probability of silence is not a number", fix)
        return
    fits = milliseconds < HOP_LIMIT_MS
    advice = None if fits else "this machine is too slow for it, or too busy"
    yield Check(group, "runs", fits, f"{milliseconds:.2f} ms for a hop of 80 ms", advice)


def _parity(card: WakeCard, group: str) -> Check:
    figures = card.figures.get("parity") if isinstance(card.figures, dict) else None
    if not isinstance(figures, dict):
        return Check(group, "parity", None, "its card does not say")
    said = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in figures.items())
    return Check(group, "parity", None, f"largest difference, from its card: {said}")


def _needs_microphone(config: Config) -> bool:
    return config.audio.enabled and config.audio.source == "microphone"


def _audio(config: Config) -> Iterator[Check]:
    audio, needed = config.audio, _needs_microphone(config)
    if not audio.enabled:
        yield Check("audio", "source", None, "audio is switched off (audio.enabled)")
    elif audio.path is not None:
        there = audio.path.is_file() and os.access(audio.path, os.R_OK)
        fix = None if there else "check audio.path: no such file, or no permission to read it"
        yield Check("audio", "file", there, str(audio.path), fix)
    elif not needed:
        yield Check("audio", "source", True, "pipe: raw sound on standard input")
    from daemon.audio.microphone import find_device, input_devices, portaudio

    try:
        yield Check("audio", "PortAudio", True, portaudio().get_portaudio_version()[1])
        devices = input_devices()
        for each in devices:
            what = f"{each.name} ({each.api}, {each.rate} Hz, channels: {each.channels})"
            yield Check("audio", f"device {each.index}", None, what)
        if needed:
            yield Check("audio", "microphone", True, find_device(audio.device, devices).name)
    except PorterError as error:
        reason = _line(error).partition(", or see `porter")[0]
        fix = "plug in a microphone, set audio.device, or use audio.source: file or pipe"
        yield Check(
            "audio", "microphone", False if needed else None, reason, fix if needed else None
        )


def _words(config: Config) -> Iterator[Check]:
    from daemon.audio.words.doctor import word_checks

    if config.audio.enabled:
        yield from word_checks(config)


def _camera(config: Config) -> Iterator[Check]:
    from daemon.vision.doctor import camera_checks, face_checks, light_checks, object_checks

    yield from camera_checks(config)
    if config.camera.enabled:
        yield from face_checks(config)
        if config.light.enabled:
            yield from light_checks(config)
        if config.objects.enabled:
            yield from object_checks(config)


def _permissions(needed: bool) -> Iterator[Check]:
    nodes = sorted(SOUND_CARDS.glob("pcm*c"))
    user = _user_name()
    if not nodes:
        yield Check("permissions", "sound card", None, f"no capture device in {SOUND_CARDS}")
        return
    may = [os.access(node, os.R_OK | os.W_OK, effective_ids=True) for node in nodes]
    readable = [node for node, allowed in zip(nodes, may) if allowed]
    fits = bool(readable) or not needed
    fix = None if fits else f"run sudo usermod -aG audio {user}, then log in again"
    groups = sorted(_group_name(each) for each in {*os.getgroups(), os.getegid()})
    detail = f"{len(readable)} of {len(nodes)} open to {user} ({', '.join(groups)})"
    yield Check("permissions", "sound card", fits, detail, fix)


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _service() -> Iterator[Check]:
    if shutil.which("systemctl") is None or not SYSTEMD.is_dir():
        yield Check("service", UNIT, None, "systemd does not run here")
        return
    properties = "LoadState,ActiveState,SubState,UnitFileState,NRestarts"
    try:
        shown = subprocess.run(
            ["systemctl", "show", UNIT, f"--property={properties}"],
            capture_output=True, text=True, timeout=5, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        yield Check("service", UNIT, None, f"systemctl does not answer: {_line(error)}")
        return
    state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if state.get("LoadState") != "loaded":
        yield Check("service", UNIT, None, "not installed; sudo scripts/install does it")
        return
    failed = state.get("ActiveState") == "failed"
    detail = f"{state.get('ActiveState')} ({state.get('SubState')}), {state.get('UnitFileState')}"
    fix = f"see why: journalctl -u {UNIT} -e" if failed else None
    yield Check("service", UNIT, False if failed else None, detail, fix)
    restarts = state.get("NRestarts", "0")
    if restarts != "0":
        yield Check("service", "restarts", None, f"{restarts}; see journalctl -u {UNIT}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
