"""What a camera at a door does to a face: bad light, blur, noise, distance, things in the way.

The student sees pictures after this, its teachers the clean ones.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from daemon.vision.alignment import ARCFACE, ARCFACE_SIZE, align, similarity

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]
Rng = np.random.Generator

MARGIN = 16
"""Pixels around the aligned face that are kept, so that it can be turned and shifted."""
TEMPLATE = ARCFACE + MARGIN
SIZE = (ARCFACE_SIZE[0] + 2 * MARGIN, ARCFACE_SIZE[1] + 2 * MARGIN)
"""Width and height of a kept crop."""


def degrade(crop: Image, rng: Rng, strength: float = 1.0, template: Points = ARCFACE) -> Image:
    """Take a picture of a face again, with a worse camera.

    Args:
        crop: (144, 144, 3) aligned face with its margin, BGR.
        rng: everything is drawn from it.
        strength: 0 only shifts, turns and mirrors; 1 is all that a door has to offer.
        template: (5, 2) where the landmarks shall lie in the result, in pixels.

    Returns:
        (112, 112, 3).
    """
    if rng.random() < 0.3 * strength:
        crop = _cover(crop, rng)
    face = _jitter(crop, rng, template)
    if rng.random() < 0.6 * strength:
        face = _light(face, rng)
    if rng.random() < 0.35 * strength:
        face = _far(face, rng)
    if rng.random() < 0.4 * strength:
        face = _blur(face, rng)
    if rng.random() < 0.35 * strength:
        face = _noise(face, rng)
    if rng.random() < 0.4 * strength:
        face = _jpeg(face, rng)
    return face


def plain(crop: Image, template: Points = ARCFACE) -> Image:
    """The face of a kept crop as the encoder sees it in a clean picture, (112, 112, 3)."""
    return align(crop, TEMPLATE, template)


def _jitter(crop: Image, rng: Rng, template: Points) -> Image:
    """As if the landmarks had been found a little beside their places; or the mirror image."""
    matrix = np.vstack([similarity(TEMPLATE, template), [0, 0, 1]])
    angle, scale = np.radians(rng.normal(0, 3.0)), np.exp(rng.normal(0, 0.03))
    a = scale * np.exp(1j * angle)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    middle = (ARCFACE_SIZE[0] - 1) / 2
    moved = np.array([[a.real * flip, -a.imag, 0], [a.imag * flip, a.real, 0]])
    moved[:, 2] = rng.normal(0, 1.5, 2) + middle - moved[:, :2] @ (middle, middle)
    return np.asarray(cv2.warpAffine(crop, moved @ matrix, ARCFACE_SIZE), np.uint8)


def _cover(face: Image, rng: Rng) -> Image:
    """A mask, dark glasses, a beard, a cap, or a hand or leaf anywhere."""
    covered = face.copy()
    colour = rng.integers(0, 256, 3)
    area = np.zeros(face.shape[:2], np.uint8)
    # Places are those of the kept crop: eyes at a height of 68, the mouth at 108.
    match rng.integers(5):
        case 0:
            top = int(rng.integers(82, 94))
            points = np.array([[30, top], [72, top - 8], [114, top], [106, 144], [38, 144]])
            cv2.fillPoly(area, [points.astype(np.int32)], 255)
        case 1:
            for x, y in TEMPLATE[:2].astype(int):
                axes = (int(rng.integers(10, 17)), int(rng.integers(8, 13)))
                cv2.ellipse(area, (int(x), int(y)), axes, 0, 0, 360, 255, -1)
            cv2.line(area, (54, 66), (90, 66), 255, 3)
            colour //= 5
        case 2:
            cv2.ellipse(area, (72, 120), (34, 26), 0, 0, 360, 255, -1)
            cv2.ellipse(area, (72, 108), (14, 5), 0, 0, 360, 0, -1)
            colour //= 3
        case 3:
            area[: int(rng.integers(36, 54))] = 255
        case _:
            x, y = rng.integers(10, 110, 2)
            w, h = rng.integers(14, 60, 2)
            area[y : y + h, x : x + w] = 255
    soft = cv2.GaussianBlur(area, (0, 0), float(rng.uniform(0.5, 2.5)))[..., None] / 255.0
    texture = colour + _grain(face.shape, rng) * rng.uniform(3, 30)
    mixed = covered + (texture - covered) * soft * rng.uniform(0.75, 1.0)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _light(face: Image, rng: Rng) -> Image:
    """Exposure, contrast, a light from one side, its colour; or the grey of an infrared camera."""
    values = face.astype(np.float32) / 255
    if rng.random() < 0.15:
        values = np.repeat(values.mean(2, keepdims=True), 3, axis=2)
    elif rng.random() < 0.5:
        values *= np.exp(rng.normal(0, 0.15, 3)).astype(np.float32)
    values = np.clip(values, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.4)))
    if rng.random() < 0.4:
        x, y = np.meshgrid(np.linspace(-1, 1, 112), np.linspace(-1, 1, 112))
        turn, steep = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8)
        side = 1 + steep * (np.cos(turn) * x + np.sin(turn) * y)
        values *= np.clip(side, 0.1, 2)[..., None].astype(np.float32)
    if rng.random() < 0.35:
        # Too dark for the camera: few photons, and then the gain turned up.
        dark = rng.uniform(0.04, 0.3)
        grain = _grain(face.shape, rng) * np.sqrt(values * dark + 1e-3) * rng.uniform(0.01, 0.06)
        values = (values * dark + grain) * min(1 / dark, rng.uniform(1, 8))
    middle = values.mean()
    values = (values - middle) * rng.uniform(0.6, 1.3) + middle * rng.uniform(0.7, 1.3)
    return np.asarray(np.clip(values * 255, 0, 255), np.uint8)


def _far(face: Image, rng: Rng) -> Image:
    """As few pixels as a face across the yard has."""
    side = int(np.exp(rng.uniform(np.log(22), np.log(90))))
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    way = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(small, ARCFACE_SIZE, interpolation=way), np.uint8)


def _blur(face: Image, rng: Rng) -> Image:
    """Defocus, or motion in some direction."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(face, (0, 0), float(rng.uniform(0.4, 2.6))), np.uint8)
    length = int(rng.integers(3, 12))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    middle = (length - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * middle
    start, end = (tuple(np.round(middle + sign * reach).astype(int).tolist()) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(cv2.filter2D(face, -1, kernel / kernel.sum()), np.uint8)


def _noise(face: Image, rng: Rng) -> Image:
    grain = _grain(face.shape, rng)
    if rng.random() < 0.4:
        grain = np.repeat(grain[..., :1], 3, axis=2)
    noisy = face + grain * np.float32(np.exp(rng.uniform(np.log(2), np.log(25))))
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _jpeg(face: Image, rng: Rng) -> Image:
    quality = int(rng.integers(12, 85))
    _, coded = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


_GRAIN = (
    np.random.default_rng(0).standard_normal((1 << 18) + SIZE[0] * SIZE[1] * 3).astype(np.float32)
)


def _grain(shape: tuple[int, ...], rng: Rng) -> npt.NDArray[np.float32]:
    """Normal noise, cut from a long strip at some place: drawing it would take most of the time."""
    start = int(rng.integers(1 << 18))
    size = int(np.prod(shape))
    return _GRAIN[start : start + size].reshape(shape)
