"""Drawn faces: people who differ in their features, pictures that differ in light and place."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from daemon.vision.alignment import ARCFACE, similarity, transform
from export.data.faces import COLUMNS

SIDE = 160
Image = np.ndarray


def draw(person: int, picture: int) -> tuple[Image, np.ndarray]:
    """A picture of a person, (160, 160, 3) BGR, with its landmarks (5, 2)."""
    who = np.random.default_rng([1, person])
    face = np.full((112, 112, 3), who.integers(40, 220, 3), np.uint8)
    skin = tuple(int(v) for v in who.integers(60, 250, 3))
    cv2.ellipse(face, (56, 62), (int(who.integers(30, 50)), 54), 0, 0, 360, skin, -1)
    hair, iris, lips = (tuple(int(v) for v in who.integers(0, 256, 3)) for _ in range(3))
    cv2.rectangle(face, (0, 0), (112, int(who.integers(8, 34))), hair, -1)
    wide, open_, brow = who.integers(6, 13), who.integers(3, 8), who.integers(9, 18)
    for x, y in ARCFACE[:2].astype(int):
        cv2.ellipse(face, (x, y), (int(wide), int(open_)), 0, 0, 360, (250, 250, 250), -1)
        cv2.circle(face, (x, y), int(open_), iris, -1)
        cv2.line(face, (x - 11, y - brow), (x + 11, y - brow), hair, int(who.integers(1, 6)))
    nose = tuple(ARCFACE[2].astype(int).tolist())
    cv2.ellipse(face, nose, (int(who.integers(3, 10)), 8), 0, 0, 360, hair, 2)
    mouth = tuple(ARCFACE[3:].mean(0).astype(int).tolist())
    cv2.ellipse(face, mouth, (15, int(who.integers(2, 9))), 0, 0, 360, lips, -1)
    now = np.random.default_rng([2, person, picture])
    angle, scale = now.normal(0, 0.1), now.uniform(0.8, 1.1)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = (ARCFACE - 56) @ turn.T + 80 + now.uniform(-8, 8, 2)
    matrix = similarity(ARCFACE, landmarks)
    image = cv2.warpAffine(face, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    lit = image * now.uniform(0.6, 1.2) + now.normal(0, 6, image.shape)
    return np.clip(lit, 0, 255).astype(np.uint8), transform(matrix, ARCFACE)


def write_set(folder: Path, name: str, people: Sequence[int], pictures: int) -> None:
    """Write NAME.tar and NAME.csv: some pictures of each of some people."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tarfile.open(folder / f"{name}.tar", "w") as tar,
        (folder / f"{name}.csv").open("w", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for person in people:
            for picture in range(pictures):
                image, landmarks = draw(person, picture)
                path = f"{name}/{person:03d}-{picture}.jpg"
                coded = cv2.imencode(".jpg", image)[1].tobytes()
                info = tarfile.TarInfo(path)
                info.size = len(coded)
                tar.addfile(info, io.BytesIO(coded))
                box = [*landmarks.min(0), *np.ptp(landmarks, axis=0)]
                gender, origin = ("f", "m")[person % 2], ("here", "there")[person % 3 == 0]
                facts = [person, 20 + person, gender, origin]
                table.writerow([path, *facts, *box, *landmarks.reshape(-1), 0.9])
