"""Scenes before a camera, made from one portrait: a head that turns, and pictures of it held up.

Everything is a surface in space with colours, in centimetres, seen by one pinhole camera of 640 x
480: a plane, a cylinder or a crease for a photograph, a plane with a frame for a screen, and for a
person a coarse head: an ellipsoid with nose, mouth and eye sockets under the portrait's landmarks.
Points are splatted, farthest first, so that a nose hides the cheek behind it.

Heads here are rendered, too: no video of real heads is behind them. Their shape is made apart from
the head model of :mod:`daemon.vision.pose`, varies from person to person, and turns about the neck;
still, real heads differ more, and skin, hair and light do what no portrait on an ellipsoid does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]
Colours = npt.NDArray[np.float32]
"""(n, 3) or (height, width, 3): blue, green, red, 0 to 255."""
Rng = np.random.Generator
Side = Literal["left", "right"]

WIDTH, HEIGHT = 640, 480
FOCAL = 600.0
"""Pixels: a field of view of 56 degrees."""
FPS = 10.0
EYE_DISTANCE = 6.3
"""Centimetres between the eyes of an average adult."""
TEXTURE = 320
"""Side in pixels of the square of portrait that a surface carries."""
SPAN = 4.2
"""How many eye distances that square is wide, where the portrait reaches as far."""
_EYES_AT = 0.42
"""Height of the eyes in the square, from the top."""
_NOISE = np.random.default_rng(0).standard_normal((HEIGHT + 64, WIDTH + 64), np.float32)
"""Of a sensor: every frame takes another part of it."""


@dataclass(frozen=True)
class Portrait:
    """A picture of a frontal face."""

    image: Image
    """BGR."""
    landmarks: npt.NDArray[np.float32]
    """(5, 2) pixels, in the order of :data:`daemon.vision.face.LANDMARKS`."""
    identity: str


@dataclass(frozen=True)
class Texture:
    """A portrait turned upright: a square of `TEXTURE` pixels, its size in eye distances known."""

    image: Image
    landmarks: Array
    """(5, 2) eye distances from the middle between the eyes: right, down."""


@dataclass(frozen=True)
class View:
    """One frame of a scene."""

    time: float
    image: Image
    landmarks: Array
    """(5, 2) where the landmarks truly are, in pixels."""


@dataclass(frozen=True)
class Surface:
    """Something with colours, in space."""

    points: Array
    """(n, 3) centimetres from its own middle: right, down, away from the camera. Of a flat picture
    (4, 3): its corners, clockwise from the upper left."""
    paint: Colours | Image
    """(n, 3) colours of the points; or (height, width, 3), the flat picture between its corners."""
    landmarks: Array
    """(5, 3) where the landmarks are on it."""

    @property
    def scattered(self) -> Surface:
        """A flat picture as points, so that it can be bent."""
        height, width = self.paint.shape[:2]
        across, down = np.meshgrid(
            (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
        )
        first, right, low = self.points[0], self.points[1], self.points[3]
        points = (
            first + across.reshape(-1, 1) * (right - first) + down.reshape(-1, 1) * (low - first)
        )
        return Surface(points, self.paint.reshape(-1, 3).astype(np.float32), self.landmarks)


@dataclass(frozen=True)
class Path:
    """How a surface moves: one row a frame."""

    angles: Array
    """(frames, 3) yaw, pitch, roll in degrees, as :class:`daemon.vision.pose.Pose` counts them."""
    places: Array
    """(frames, 3) of its middle, in centimetres from the camera: right, down, away."""


def texture(portrait: Portrait) -> Texture:
    """Cut the upright square around a face out of its portrait."""
    eyes = portrait.landmarks[:2].astype(np.float64)
    middle, across = eyes.mean(0), eyes[1] - eyes[0]
    scale = TEXTURE / SPAN / np.linalg.norm(across)
    c, s = across / np.linalg.norm(across)
    turn = scale * np.array([[c, s], [-s, c]])
    shift = np.array([TEXTURE / 2, TEXTURE * _EYES_AT]) - turn @ middle
    image = cv2.warpAffine(
        portrait.image,
        np.column_stack([turn, shift]),
        (TEXTURE, TEXTURE),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    landmarks = (portrait.landmarks.astype(np.float64) - middle) @ turn.T * SPAN / TEXTURE
    return Texture(np.asarray(image, np.uint8), landmarks)


def head(source: Texture, rng: Rng) -> Surface:
    """A head with this face: its nose, width and depth vary from person to person."""
    nose_height = rng.uniform(0.30, 0.46)
    half_width, half_height = rng.uniform(1.12, 1.28), rng.uniform(1.75, 1.95)
    half_depth = rng.uniform(1.35, 1.6)
    sockets, mouth = rng.uniform(0.03, 0.08), rng.uniform(0.06, 0.14)
    nose, lips = source.landmarks[2], source.landmarks[3:].mean(0)

    def depth(x: Array, y: Array) -> Array:
        radius = (x / half_width) ** 2 + ((y - 0.3) / half_height) ** 2
        skull = half_depth * np.sqrt(np.maximum(1 - radius, 0.02))
        along = np.clip((y - 0.05) / (nose[1] - 0.05), 0, 1)
        below = np.exp(-((np.maximum(y - nose[1], 0) / 0.1) ** 2))
        width = 0.12 + 0.08 * along
        ridge = nose_height * along**1.3 * below * np.exp(-(((x - nose[0] * along) / width) ** 2))
        bulge = mouth * np.exp(-(((x - lips[0]) / 0.5) ** 2) - ((y - lips[1]) / 0.35) ** 2)
        holes = sum(
            sockets * np.exp(-(((x - eye[0]) / 0.22) ** 2) - ((y - eye[1]) / 0.16) ** 2)
            for eye in source.landmarks[:2]
        )
        return np.asarray(skull + ridge + bulge - holes)

    x, y, colours = _samples(source, 1.2)
    inside = (x / (half_width * 1.04)) ** 2 + ((y - 0.3) / (half_height * 0.92)) ** 2 < 1
    x, y, colours = x[inside], y[inside], colours[inside]
    size = EYE_DISTANCE * rng.uniform(0.93, 1.07)
    points = size * np.column_stack([x, y, -depth(x, y)])
    marks = source.landmarks
    return Surface(
        points, colours, size * np.column_stack([marks, -depth(marks[:, 0], marks[:, 1])])
    )


def print_out(source: Texture, rng: Rng) -> Surface:
    """A photograph on paper, with a margin: paler, and with the grain of its ink."""
    image = _margin(source.image, (235, 238, 240), 0.07)
    grain = rng.normal(0, 4, (*image.shape[:2], 1))
    return _flat(image * 0.82 + 30 + grain, source, EYE_DISTANCE * rng.uniform(0.75, 1.1))


def screen(source: Texture, rng: Rng) -> Surface:
    """The face on a phone, filling its screen: a black frame, glare, and a grid that beats."""
    image = _margin(source.image, (12, 12, 12), 0.05)
    y, x = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    grid = 1 + rng.uniform(0.0, 0.06) * np.sin(x * rng.uniform(120, 250)) * np.sin(y * 180)
    spot, width = rng.uniform(-1, 1), rng.uniform(0.15, 0.4)
    glare = rng.uniform(0, 90) * np.exp(-(((x + y - spot) / width) ** 2))
    shown = image * (1.05 * grid)[..., None] + glare[..., None]
    return _flat(shown, source, rng.uniform(2.2, 3.2))


def bent(flat: Surface, radius: float) -> Surface:
    """A flat picture on a cylinder that stands upright and bulges to the camera; centimetres."""

    def bend(points: Array) -> Array:
        angle = points[:, 0] / radius
        away = points[:, 2] + radius * (1 - np.cos(angle))
        return np.column_stack([radius * np.sin(angle), points[:, 1], away])

    surface = flat.scattered
    kept = np.abs(surface.points[:, 0]) < 1.3 * radius
    return Surface(bend(surface.points[kept]), surface.paint[kept], bend(flat.landmarks))


def folded(flat: Surface, degrees: float) -> Surface:
    """A flat picture with an upright crease through the nose, each half bent back so far."""
    crease = float(flat.landmarks[2, 0])
    back = np.radians(degrees)

    def fold(points: Array) -> Array:
        off = points[:, 0] - crease
        away = points[:, 2] + np.abs(off) * np.sin(back)
        return np.column_stack([crease + off * np.cos(back), points[:, 1], away])

    surface = flat.scattered
    return Surface(fold(surface.points), surface.paint, fold(flat.landmarks))


def sway(rng: Rng, frames: int, deviation: float, seconds: float = 0.6) -> Array:
    """(frames,) of what people and hands do when they keep still: noise with a memory."""
    keep = np.exp(-1 / (FPS * seconds))
    steps = rng.normal(0, deviation * np.sqrt(1 - keep**2), frames)
    values = np.empty(frames)
    value = rng.normal(0, deviation)
    for place, step in enumerate(steps):
        values[place] = value = keep * value + step
    return values


def held(rng: Rng, frames: int, distance: float, unrest: float = 1.0) -> Path:
    """Somebody stands there, or holds something up, and is not made of stone."""
    angles = np.stack([sway(rng, frames, each * unrest) for each in (1.6, 1.4, 1.2)], 1)
    places = np.stack([sway(rng, frames, each * unrest) for each in (0.5, 0.4, 0.8)], 1)
    places += (rng.uniform(-0.1, 0.1) * distance, rng.uniform(-0.06, 0.06) * distance, distance)
    angles += (0.0, rng.normal(0, 3), rng.normal(0, 2))
    return Path(angles, places)


def turning(
    rng: Rng, steps: tuple[Side, ...], frames: int, amount: float, wait: float = 0.8
) -> Array:
    """(frames,) yaw of one who waits, turns to each side in this order, and looks back between."""
    yaw = np.zeros(frames)
    times = np.arange(frames) / FPS
    begin = wait + rng.uniform(0, 0.4)
    for side in steps:
        there, back, stay = *rng.uniform(0.7, 1.2, 2), rng.uniform(0.2, 0.5)
        knots = np.cumsum([begin, there, stay, back])
        rising = np.clip((times - knots[0]) / there, 0, 1)
        falling = np.clip((times - knots[2]) / back, 0, 1)
        shape = _smooth(rising) - _smooth(falling)
        yaw += (amount if side == "left" else -amount) * shape
        begin = knots[3] + rng.uniform(0.3, 0.6)
    return yaw


def background(rng: Rng) -> Image:
    """A wall with things on it, out of focus or not."""
    small = rng.uniform(0, 255, (6, 8, 3)).astype(np.float32)
    wall = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    wall = 0.45 * wall + rng.uniform(30, 130)
    for _ in range(int(rng.integers(3, 12))):
        x, y = rng.integers(0, WIDTH), rng.integers(0, HEIGHT)
        w, h = rng.integers(20, 260), rng.integers(20, 300)
        colour = rng.uniform(0, 255, 3).tolist()
        cv2.rectangle(wall, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
    wall += cv2.resize(
        rng.normal(0, 14, (HEIGHT // 4, WIDTH // 4, 3)).astype(np.float32), (WIDTH, HEIGHT)
    )
    blur = float(rng.uniform(0.6, 5))
    return np.asarray(np.clip(cv2.GaussianBlur(wall, (0, 0), blur), 0, 255), np.uint8)


@dataclass(frozen=True)
class Camera:
    """What stands behind the scene, and what the sensor does to it."""

    backdrop: Image
    light: float
    """1: day; 0.2: dusk, and the sensor's noise shows."""
    noise: float
    """Standard deviation at full light, of 255."""

    def take(self, surfaces: Iterable[tuple[Array, Colours | Image]], rng: Rng) -> Image:
        """Picture of surfaces: points in front of the camera and paint, as of a `Surface`."""
        canvas = self.backdrop.astype(np.float32)
        for points, paint in surfaces:
            if paint.ndim == 3:
                _hang(canvas, points, paint)
            else:
                _splat(canvas, points, np.asarray(paint, np.float32))
        canvas = np.asarray(cv2.GaussianBlur(canvas, (3, 3), 0.7), np.float32)
        x, y = rng.integers(0, 64, 2)
        strength = self.noise / np.sqrt(max(self.light, 0.05))
        noise = strength * _NOISE[y : y + HEIGHT, x : x + WIDTH, None]
        brightness = self.light / max(self.light, 0.6)
        return np.asarray(np.clip(canvas * brightness + noise, 0, 255), np.uint8)


def camera(rng: Rng) -> Camera:
    """A camera somewhere; every fifth in low light."""
    light = rng.uniform(0.2, 0.4) if rng.random() < 0.2 else rng.uniform(0.7, 1.1)
    return Camera(background(rng), float(light), float(rng.uniform(1.5, 4)))


def play(
    surface: Callable[[int], Surface],
    path: Path,
    eye: Camera,
    rng: Rng,
    pivot: float = 0.0,
    body: bool = False,
) -> Iterator[View]:
    """The frames of a scene.

    Args:
        surface: what is seen, for the number of a frame.
        path: how it moves.
        eye: who sees it.
        rng: of the sensor's noise.
        pivot: centimetres behind its middle about which it turns: the neck, for a head.
        body: draw shoulders under it.
    """
    clothes = rng.uniform(20, 220, 3)
    for number, (angles, place) in enumerate(zip(path.angles, path.places)):
        shown = surface(number)
        rotation = rotate(*angles)
        centre = np.array([0.0, 0.0, pivot])

        def put(
            points: Array, rotation: Array = rotation, centre: Array = centre, place: Array = place
        ) -> Array:
            return np.asarray((points - centre) @ rotation.T + centre + place)

        layers = [(put(shown.points), shown.paint)]
        if body:
            layers.insert(0, _shoulders(place, clothes))
        yield View(number / FPS, eye.take(layers, rng), project(put(shown.landmarks)))


def rotate(yaw: float, pitch: float, roll: float) -> Array:
    """(3, 3) rotation: degrees; positive yaw to the picture's right, pitch up, roll clockwise."""
    y, p, r = np.radians((yaw, pitch, roll))
    cy, sy, cp, sp, cr, sr = np.cos(y), np.sin(y), np.cos(p), np.sin(p), np.cos(r), np.sin(r)
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


def project(points: Array) -> Array:
    """(n, 3) centimetres in front of the camera to (n, 2) pixels."""
    return np.asarray(
        FOCAL * points[:, :2] / points[:, 2:] + np.array([WIDTH / 2, HEIGHT / 2]), np.float64
    )


def _smooth(share: Array) -> Array:
    return np.asarray(share * share * (3 - 2 * share))


def _samples(source: Texture, density: float) -> tuple[Array, Array, Colours]:
    """Places in eye distances and colours of a texture, `density` squared for each pixel."""
    side = round(TEXTURE * density)
    image = cv2.resize(source.image, (side, side), interpolation=cv2.INTER_LINEAR)
    y, x = np.mgrid[0:side, 0:side].reshape(2, -1) + 0.5
    x, y = SPAN * (x / side - 0.5), SPAN * (y / side - _EYES_AT)
    return x, y, image.reshape(-1, 3).astype(np.float32)


def _margin(image: Image, colour: tuple[int, int, int], share: float) -> Image:
    width = round(share * TEXTURE)
    return np.asarray(
        cv2.copyMakeBorder(image, width, width, width, width, cv2.BORDER_CONSTANT, value=colour),
        np.uint8,
    )


def _flat(image: Array, source: Texture, size: float) -> Surface:
    """A picture, larger than the texture by a margin, with this distance from eye to eye."""
    half = size * SPAN / 2 * image.shape[0] / TEXTURE
    middle = size * SPAN * (0.5 - _EYES_AT)
    corners = half * np.array([(-1.0, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)])
    marks = np.column_stack([source.landmarks, np.zeros(5)])
    paint = np.asarray(np.clip(image, 0, 255), np.uint8)
    corners[:, 1] += middle
    return Surface(corners, paint, size * marks)


def _shoulders(place: Array, colour: Array) -> tuple[Array, Colours]:
    """Neck and shoulders, which stay when the head turns."""
    grid = np.meshgrid(np.linspace(-22, 22, 200), np.linspace(9, 30, 100))
    x, y = (each.ravel() for each in grid)
    inside = (np.abs(x) < 5.5) | (y > 14 + (np.abs(x) / 8) ** 2)
    points = np.column_stack([x, y, 4 + 0 * x])[inside] + place
    shade = 0.8 + 0.2 * np.cos(points[:, 0] / 9)
    return points, (shade[:, None] * colour).astype(np.float32)


def _hang(canvas: Colours, corners: Array, image: Colours | Image) -> None:
    """Draw a flat picture between its corners."""
    height, width = image.shape[:2]
    frame = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(frame, project(corners).astype(np.float32))
    drawn = cv2.warpPerspective(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    inside = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, (WIDTH, HEIGHT))
    shown = inside > 127
    canvas[shown] = drawn[shown]


def _splat(canvas: Colours, points: Array, colours: Colours) -> None:
    """Draw points into a picture, the nearest on top, and close the gaps between them."""
    pixels = project(points).astype(np.int32)
    x, y = pixels[:, 0], pixels[:, 1]
    seen = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT) & (points[:, 2] > 1)
    if not seen.any():
        return
    x, y, depth = x[seen], y[seen], points[seen, 2]
    left, top = int(x.min()), int(y.min())
    width, height = int(x.max()) - left + 1, int(y.max()) - top + 1
    # Steps of a tenth of a millimetre, as 16 bits, which are sorted in linear time.
    far = (np.minimum(depth.max() - depth, 600.0) * 100).astype(np.uint16)
    order = np.argsort(far, kind="stable")
    flat = ((y - top) * width + x - left)[order]
    layer = np.zeros((height, width, 3), np.float32)
    layer.reshape(-1, 3)[flat] = colours[seen][order]
    filled = np.zeros((height, width), np.uint8)
    filled.reshape(-1)[flat] = 1
    kernel = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(filled, cv2.MORPH_CLOSE, kernel, iterations=2) > 0
    gaps = closed & (filled == 0)
    if gaps.any():
        weight = cv2.blur(filled.astype(np.float32), (5, 5))
        near = cv2.blur(layer, (5, 5))[gaps] / np.maximum(weight[gaps], 1e-3)[:, None]
        layer[gaps] = near
    canvas[top : top + height, left : left + width][closed] = layer[closed]
