"""Checks of what looking needs: cameras, networks, gallery."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from daemon.errors import PorterError

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.doctor import Check

LIMIT_MS = 100.0
"""A picture for which the networks need longer cannot be looked at ten times a second."""
RETRAIN = "copy the model and its card again, or train it: docs/train.md"


def camera_checks(config: Config) -> Iterator[Check]:
    """The cameras, and whether the one that is configured can be opened."""
    from daemon.doctor import Check
    from daemon.vision.camera import list_cameras
    from daemon.vision.sources import make_source

    for path, name in list_cameras():
        usable = os.access(path, os.R_OK | os.W_OK, effective_ids=True)
        detail = name if usable else f"{name} (no permission: sudo usermod -aG video USER)"
        yield Check("camera", path, None, detail)
    if not config.camera.enabled:
        yield Check("camera", "source", None, "the camera is switched off (camera.enabled)")
        return
    source = make_source(config.camera)
    try:
        source.open()
        frame = source.read()
    except Exception as error:  # a lost camera is no PorterError, and drivers raise what they like
        yield Check("camera", "source", False, " ".join(str(error).split()), "set camera.source")
        return
    finally:
        source.close()
    if frame is None:
        yield Check("camera", "picture", False, f"{source.description} gives no picture", "see it")
        return
    height, width = frame.image.shape[:2]
    level = f"{width} x {height}, mean brightness {frame.image.mean() / 255:.2f}"
    yield Check("camera", "picture", True, f"{source.description}: {level}")


def light_checks(config: Config) -> Iterator[Check]:
    """The network that tells day from night, on a blank picture."""
    from daemon.doctor import Check
    from daemon.inference import choose_providers
    from daemon.vision.light.classifier import open_light

    try:
        providers = choose_providers(config.inference.provider)
        classifier = open_light(config.light.model, providers, config.inference.threads)
    except PorterError as error:
        yield Check("light", "network", False, " ".join(str(error).split()), RETRAIN)
        return
    card = classifier.card
    yield Check("light", "network", True, f"{card.name} {card.version}, {card.licence}")
    picture = np.full((config.camera.height, config.camera.width, 3), 128, np.uint8)
    classifier.probability(picture)
    began = time.perf_counter()
    classifier.probability(picture)
    milliseconds = 1000 * (time.perf_counter() - began)
    yield Check("light", "runs", True, f"{milliseconds:.2f} ms for a picture")


def object_checks(config: Config) -> Iterator[Check]:
    """The network that finds objects, on a blank picture, and the classes that are asked for."""
    from daemon.doctor import Check
    from daemon.errors import ConfigError
    from daemon.inference import choose_providers
    from daemon.vision.objects.detector import check_names, open_object_detector

    wanted, threads = config.objects, config.inference.threads
    try:
        providers = choose_providers(config.inference.provider)
        detector = open_object_detector(wanted.model, providers, threads, wanted.classes)
        check_names(wanted.classes, detector.card, "objects.classes")
    except ConfigError as error:
        yield Check("objects", "classes", False, str(error), "correct the setting")
        return
    except PorterError as error:
        yield Check("objects", "network", False, " ".join(str(error).split()), RETRAIN)
        return
    card = detector.card
    yield Check("objects", "network", True, f"{card.name} {card.version}, {card.licence}")
    yield Check("objects", "classes", True, ", ".join(detector.classes))
    picture = np.full((config.camera.height, config.camera.width, 3), 128, np.uint8)
    detector.detect(picture)
    began = time.perf_counter()
    detector.detect(picture)
    milliseconds = 1000 * (time.perf_counter() - began)
    fits = milliseconds < 1000 * wanted.every_seconds
    advice = None if fits else "raise objects.every_seconds: this machine is too slow, or too busy"
    yield Check("objects", "runs", fits, f"{milliseconds:.1f} ms for a picture", advice)


def face_checks(config: Config) -> Iterator[Check]:
    """The networks on a blank picture, the threshold, and the gallery."""
    from daemon.doctor import Check
    from daemon.inference import choose_providers
    from daemon.people.gallery import gallery_path, open_gallery
    from daemon.people.records import EncoderId
    from daemon.vision.alignment import ARCFACE
    from daemon.vision.detector import open_detector
    from daemon.vision.encoder import open_encoder
    from daemon.vision.settings import CHALLENGE_FPS

    try:
        providers = choose_providers(config.inference.provider)
        detector = open_detector(config.faces.detector, providers, config.inference.threads)
        encoder = open_encoder(config.faces.encoder, providers, config.inference.threads)
        threshold = encoder.card.threshold(config.faces.fmr)
    except PorterError as error:
        yield Check("faces", "networks", False, " ".join(str(error).split()), RETRAIN)
        return
    picture = np.full((config.camera.height, config.camera.width, 3), 128, np.uint8)
    detector.detect(picture)
    began = time.perf_counter()
    detector.detect(picture)
    encoder.embed(picture, ARCFACE)
    milliseconds = 1000 * (time.perf_counter() - began)
    for card in (detector.card, encoder.card):
        yield Check("faces", card.kind, True, f"{card.name} {card.version}, {card.licence}")
    fits = milliseconds < LIMIT_MS
    least = CHALLENGE_FPS if config.faces.liveness.mode == "challenge" else 1
    slow = "this machine is too slow, or too busy"
    advice = None if fits else f"lower camera.fps, to {least:g} at the least: {slow}"
    yield Check("faces", "runs", fits, f"{milliseconds:.1f} ms for a picture with a face", advice)
    said = f"{threshold:.3f} for a false match rate of {config.faces.fmr:g}"
    yield Check("faces", "threshold", None, said)
    place = gallery_path(config.gallery)
    if not place.exists():
        yield Check("faces", "gallery", None, f"{place}: nobody is enrolled yet (porter enroll)")
        return
    try:
        with open_gallery(config.gallery) as gallery:
            people = gallery.people(EncoderId.of(encoder.card))
    except PorterError as error:
        yield Check("faces", "gallery", False, " ".join(str(error).split()), "see docs/people.md")
        return
    stale = sum(each.stale for each in people)
    detail = f"{len(people)} people, {sum(each.templates for each in people)} templates"
    fix = "porter people re-enroll, or enroll them again" if stale else None
    old = f", {stale} of another encoder" if stale else ""
    yield Check("faces", "gallery", not stale, detail + old, fix)
