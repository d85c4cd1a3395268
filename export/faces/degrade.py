"""What cameras at doors do to pictures: darkness, blur, noise, compression.

Every function takes and returns (h, w, 3) uint8 BGR and draws from the generator it is given.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Generator = np.random.Generator


def degrade(image: Image, smallest_face: float, rng: Generator) -> Image:
    """All of it, each with its probability, but never so much that a face is a mere blob.

    Args:
        image: the picture.
        smallest_face: width in pixels of the smallest face: blur that would erase it is no lesson.
        rng: drawn from.
    """
    gain = 1.0
    if rng.random() < 0.6:
        gain = rng.uniform(0.1, 0.5) if rng.random() < 0.25 else rng.uniform(0.6, 1.35)
        image = light(image, gain, rng)
    if rng.random() < 0.12:
        image = shade(image, rng)
    if rng.random() < 0.35:
        image = blur(image, float(np.clip(0.035 * smallest_face, 0.5, 4.0)), rng)
    if rng.random() < 0.15 and smallest_face > 24:
        image = coarsen(image, max(0.35, 20 / smallest_face), rng)
    if rng.random() < 0.35:
        # In the dark the same noise hides more.
        image = noise(image, 20 * min(1.0, gain) * min(1.0, smallest_face / 40), rng)
    if rng.random() < 0.08:
        image = colourless(image)
    if rng.random() < 0.35:
        image = compress(image, 15 if smallest_face > 40 else 40, rng)
    return image


def colourless(image: Image) -> Image:
    """As an infrared camera shows it."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def light(image: Image, gain: float, rng: Generator) -> Image:
    """Exposure, contrast curve and colour of the light."""
    gamma = np.exp(rng.normal(0, 0.3))
    colour = np.exp(rng.normal(0, 0.1, 3))
    levels = np.arange(256)[:, None] / 255
    curve = 255 * gain * colour[None] * levels**gamma + rng.uniform(0, 12) * (rng.random() < 0.3)
    table = np.clip(curve, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table.reshape(1, 256, 3)), np.uint8)


def shade(image: Image, rng: Generator) -> Image:
    """Light from one side."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    ramp = 1 + rng.uniform(0.3, 0.8) * (np.cos(angle) * x[None] + np.sin(angle) * y[:, None]) / 1.4
    shaded: Image = np.clip(image * ramp[..., None].astype(np.float32), 0, 255).astype(np.uint8)
    return shaded


def blur(image: Image, largest: float, rng: Generator) -> Image:
    """Out of focus, or moved.

    Args:
        image: the picture.
        largest: standard deviation in pixels.
        rng: drawn from.
    """
    sigma = rng.uniform(0.4, largest)
    if rng.random() < 0.7:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    length = max(3, int(sigma * 3) | 1)
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), rng.uniform(0, 180), 1)
    turned = cv2.warpAffine(kernel, turn, (length, length))
    return np.asarray(cv2.filter2D(image, -1, turned / turned.sum()), np.uint8)


def coarsen(image: Image, smallest: float, rng: Generator) -> Image:
    """Fewer pixels than the picture seems to have."""
    height, width = image.shape[:2]
    factor = rng.uniform(smallest, 0.95)
    # A size, not a factor: or what is left over at the far edges is stretched on the way back.
    size = max(1, round(width * factor)), max(1, round(height * factor))
    way = (cv2.INTER_AREA, cv2.INTER_LINEAR)[rng.integers(2)]
    small = cv2.resize(image, size, interpolation=way)
    back = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[rng.choice(3, p=(0.6, 0.3, 0.1))]
    return np.asarray(cv2.resize(small, (width, height), interpolation=back), np.uint8)


def noise(image: Image, strongest: float, rng: Generator) -> Image:
    """A sensor's noise, grey or coloured, fine or as coarse as after demosaicing.

    Args:
        image: the picture.
        strongest: standard deviation at most, in grey levels; at least 2.
        rng: drawn from.
    """
    field = _field(int(rng.integers(4)))
    height, width = image.shape[:2]
    top, left = (int(rng.integers(len(field) - size + 1)) for size in (height, width))
    part = field[top : top + height, left : left + width]
    strength = float(np.exp(rng.uniform(np.log(1.5), np.log(max(2.0, strongest)))))
    noisy = cv2.addWeighted(image, 1.0, part, strength, 0, dtype=cv2.CV_8U)
    return np.asarray(noisy, np.uint8)


@cache
def _field(kind: int) -> npt.NDArray[np.float32]:
    """Unit noise, (1100, 1100, 3): kinds 0 and 1 fine, 2 and 3 coarse; odd ones grey."""
    rng = np.random.default_rng(kind)
    field = rng.standard_normal((1100, 1100, 1 if kind % 2 else 3), np.float32)
    field = np.broadcast_to(field, (1100, 1100, 3)).copy()
    if kind > 1:
        field = np.asarray(cv2.GaussianBlur(field, (0, 0), 0.9), np.float32)
        field /= field.std()
    return field


def compress(image: Image, worst: int, rng: Generator) -> Image:
    """Through JPEG at some quality, from `worst` (1 to 100) on."""
    quality = int(rng.integers(worst, 93))
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
