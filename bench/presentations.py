"""What is presented to the camera: people who do as asked, and attacks on them, by species.

A species is a "presentation attack instrument species" of ISO/IEC 30107-3: attacks of one kind,
whose error rate is reported apart from that of others. The attacker knows what is asked, and moves
the instrument as a head would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from bench.attacks import (
    FPS,
    Array,
    Path,
    Portrait,
    Rng,
    Side,
    Surface,
    Texture,
    View,
    bent,
    camera,
    folded,
    head,
    held,
    play,
    print_out,
    screen,
    texture,
    turning,
)
from daemon.vision.challenge import DRAWS

NECK = 9.0
"""Centimetres from the middle of the eyes back to where a head turns."""
ARM = (38.0, 55.0)
"""Centimetres at which a print is held before the camera; a phone is held at half of it."""
TURNED = (32.0, 50.0)
"""Degrees by which people turn the head who are asked to turn it well to the side: assumed."""
STAND = (50.0, 85.0)
"""Centimetres at which a person stands before the camera."""


@dataclass(frozen=True)
class Presentation:
    """One sequence of frames, and what the person was asked to do meanwhile."""

    kind: str
    identity: str
    asked: tuple[Side, ...]
    frames: Iterator[View]


@dataclass(frozen=True)
class Person:
    """What is known of one person: a frontal portrait, and others that look aside."""

    frontal: Portrait
    turned: dict[Side, Portrait]


Make = Callable[[Person, tuple[Side, ...], Rng], Iterator[View]]


def present(kind: str, person: Person, rng: Rng) -> Presentation:
    """A presentation of a kind (a key of :data:`PEOPLE` or :data:`ATTACKS`)."""
    asked = DRAWS[int(rng.integers(len(DRAWS)))]
    make = (PEOPLE | ATTACKS)[kind]
    return Presentation(kind, person.frontal.identity, asked, make(person, asked, rng))


def _frames(asked: tuple[Side, ...]) -> int:
    return round(FPS * (1.4 + 3.1 * len(asked)))


def _still(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = head(texture(person.frontal), rng)
    path = held(rng, 30, rng.uniform(*STAND))
    return play(lambda _: seen, path, camera(rng), rng, NECK, body=True)


def _arriving(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = head(texture(person.frontal), rng)
    path = held(rng, 30, 0.0, 2.5)
    near = rng.uniform(*STAND)
    places = path.places + np.linspace((5, -3, near + 50), (0, 0, near), 30)
    return play(lambda _: seen, replace(path, places=places), camera(rng), rng, NECK, body=True)


def _asked(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = head(texture(person.frontal), rng)
    return play(lambda _: seen, _turned(asked, rng), camera(rng), rng, NECK, body=True)


def _turned(steps: tuple[Side, ...], rng: Rng) -> Path:
    frames = _frames(steps)
    path = held(rng, frames, rng.uniform(*STAND))
    yaw = turning(rng, steps, frames, rng.uniform(*TURNED))
    angles = path.angles + np.column_stack([yaw, 0.15 * yaw * rng.normal(0, 0.7), 0 * yaw])
    return replace(path, angles=angles)


def _print_held(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = print_out(texture(person.frontal), rng)
    path = held(rng, _frames(asked), rng.uniform(*ARM), 1.5)
    return play(lambda _: seen, path, camera(rng), rng)


def _print_moved(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    """Shifted aside where a head would turn, nearer and farther."""
    seen = print_out(texture(person.frontal), rng)
    return play(lambda _: seen, _shifted(asked, rng, rng.uniform(*ARM)), camera(rng), rng)


def _shifted(asked: tuple[Side, ...], rng: Rng, distance: float) -> Path:
    frames = _frames(asked)
    path = held(rng, frames, distance, 1.5)
    aside = turning(rng, asked, frames, 0.18 * distance)
    nearer = sway(rng, frames) * 0.12 * distance
    return replace(path, places=path.places + np.column_stack([aside, 0 * aside, nearer]))


def sway(rng: Rng, frames: int) -> Array:
    """(frames,) a slow wave of height 1."""
    return np.asarray(np.sin(np.arange(frames) / FPS * rng.uniform(1.5, 4) + rng.uniform(0, 6)))


def _tilted(path: Path, asked: tuple[Side, ...], rng: Rng, most: float) -> Path:
    """Turned about the vertical as a head would, and mostly about the horizontal, too."""
    frames = len(path.angles)
    yaw = turning(rng, asked, frames, rng.uniform(25, most))
    pitch = rng.uniform(0, 15) * sway(rng, frames)
    return replace(path, angles=path.angles + np.column_stack([yaw, pitch, 0 * yaw]))


def _print_tilted(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = print_out(texture(person.frontal), rng)
    path = held(rng, _frames(asked), rng.uniform(*ARM))
    return play(lambda _: seen, _tilted(path, asked, rng, 60), camera(rng), rng)


def _print_bent(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = bent(print_out(texture(person.frontal), rng), rng.uniform(4, 12))
    path = held(rng, _frames(asked), rng.uniform(*ARM))
    return play(lambda _: seen, _tilted(path, asked, rng, 50), camera(rng), rng)


def _print_folded(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = folded(print_out(texture(person.frontal), rng), rng.uniform(15, 45))
    path = held(rng, _frames(asked), rng.uniform(*ARM))
    return play(lambda _: seen, _tilted(path, asked, rng, 45), camera(rng), rng)


def _phone_held(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = screen(texture(person.frontal), rng)
    path = held(rng, _frames(asked), rng.uniform(*ARM) / 2, 1.5)
    return play(lambda _: seen, path, camera(rng), rng)


def _phone_moved(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = screen(texture(person.frontal), rng)
    return play(lambda _: seen, _shifted(asked, rng, rng.uniform(*ARM) / 2), camera(rng), rng)


def _phone_tilted(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    seen = screen(texture(person.frontal), rng)
    path = held(rng, _frames(asked), rng.uniform(*ARM) / 2)
    return play(lambda _: seen, _tilted(path, asked, rng, 60), camera(rng), rng)


def _slides(person: Person, asked: tuple[Side, ...], rng: Rng, fade: float) -> Iterator[View]:
    """Pictures of the same person on a phone: frontal, turned as asked, frontal."""
    looks = {0: texture(person.frontal)}
    looks |= {1 if side == "left" else -1: texture(each) for side, each in person.turned.items()}
    frames = _frames(asked)
    state = rng.bit_generator.state

    def show(number: int) -> Surface:
        rng.bit_generator.state = state
        share = shown[number]
        beside = looks.get(int(np.sign(share)), looks[0])
        return screen(_mixed(looks[0], beside, abs(share)), rng)

    shown = turning(rng, asked, frames, 1.0)
    # A crossfade lasts as long as a turn; a cut shows one or the other.
    shown = shown if fade else np.round(shown)
    path = held(rng, frames, rng.uniform(*ARM) / 2)
    eye = camera(rng)
    return play(show, path, eye, np.random.default_rng(rng.integers(2**32)))


def _mixed(one: Texture, other: Texture, share: float) -> Texture:
    image = cv2.addWeighted(one.image, 1 - share, other.image, share, 0)
    landmarks = (1 - share) * one.landmarks + share * other.landmarks
    return Texture(np.asarray(image, np.uint8), landmarks)


def _slides_cut(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    return _slides(person, asked, rng, 0.0)


def _slides_faded(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    return _slides(person, asked, rng, 1.0)


def _replay_any(person: Person, asked: tuple[Side, ...], rng: Rng) -> Iterator[View]:
    """A video of the person who followed some challenge, played to a camera without loss."""
    seen = head(texture(person.frontal), rng)
    recorded = DRAWS[int(rng.integers(len(DRAWS)))]
    return play(lambda _: seen, _turned(recorded, rng), camera(rng), rng, NECK, body=True)


TURNING = "person, turning as asked"
PEOPLE: dict[str, Make] = {
    "person, still": _still,
    "person, arriving": _arriving,
    TURNING: _asked,
}
"""Bona fide presentations."""
ATTACKS: dict[str, Make] = {
    "print, held": _print_held,
    "print, moved and zoomed": _print_moved,
    "print, tilted as asked": _print_tilted,
    "print, bent, turned as asked": _print_bent,
    "print, folded at the nose, turned as asked": _print_folded,
    "phone, held": _phone_held,
    "phone, moved and zoomed": _phone_moved,
    "phone, tilted as asked": _phone_tilted,
    "phone, pictures switched as asked": _slides_cut,
    "phone, pictures cross-faded as asked": _slides_faded,
    "replay of some other challenge": _replay_any,
}
"""Attack presentations."""
