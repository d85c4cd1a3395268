"""What landmarks are worth: labelled pairs with faces found by each detector, one encoder for all.

    python -m bench.face_pairs

The 1,000 pairs of LFW's view 1, development test, as the daemon would see them: its own detector
finds the face, with and without the second look at landmarks, and its own encoder compares. YuNet
finds them once more, as in `bench.face_accuracy`.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import yaml

from bench.common import json_option, machine, need, plain_errors, shared_option, show, table
from daemon.inference import CPU
from daemon.vision.detector import FaceDetector, open_detector
from daemon.vision.encoder import open_encoder
from daemon.vision.tracking import WEAK_SCORE
from export.data.faces import FaceFinder, Image
from export.data.lfw import Finder, read_pairs
from export.embedding.evaluate import as_shipped, pair_scores, verify


class Middle:
    """The face of a detector that is nearest to the middle of a picture."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    def find(self, image: Image) -> npt.NDArray[np.float32] | None:
        """(15,), or None where there is no face."""
        rows = self._detector.rows(image, least=WEAK_SCORE)
        if not len(rows):
            return None
        off = rows[:, :2] + rows[:, 2:4] / 2 - np.array(image.shape[1::-1]) / 2
        nearest: npt.NDArray[np.float32] = rows[int(np.hypot(*off.T).argmin())]
        return nearest


@click.command()
@click.option("--encoder", type=click.Path(path_type=Path), default=Path("face"), show_default=True)
@click.option(
    "--detector", type=click.Path(path_type=Path), default=Path("facedetect"), show_default=True
)
@shared_option
@json_option
def main(encoder: Path, detector: Path, shared: Path, as_json: bool) -> None:
    """Accuracy on labelled pairs, by who finds the landmarks."""
    with plain_errors():
        faces = need(shared / "data/faces", "the shared pictures of faces")
        yunet = need(shared / "teachers/face_detection_yunet_2026may.onnx", "YuNet")
        found = open_detector(detector, [CPU])
        finders: dict[str, Finder] = {
            f"{found.card.name}": Middle(found),
            f"{found.card.name} without its second look": Middle(_plain(found)),
            "YuNet": FaceFinder(yunet),
        }
        compare = open_encoder(encoder, [CPU])
        norm = as_shipped(compare).norm
        measured: dict[str, dict[str, Any]] = {}
        for name, finder in finders.items():
            pictures, pairs = read_pairs(
                faces / "lfw_view1_devtest.tar", faces / "pairsDevTest.txt", finder
            )
            vectors = np.stack([compare.embed(each.read(), each.landmarks) for each in pictures])
            measured[name] = asdict(verify(pair_scores(vectors, pairs, norm), pairs))
    rows = [
        [name, f"{each['accuracy']:.2%}", f"{each['tar_at_1e3']:.2%}", f"{each['auc']:.5f}"]
        for name, each in measured.items()
    ]
    header = ["landmarks by", "view 1 accuracy", "TAR at FAR 1e-3", "AUC"]
    show({"machine": machine(), "systems": measured}, table(header, rows), as_json)


def _plain(detector: FaceDetector) -> FaceDetector:
    """The same detector by a card that names no second look at landmarks."""
    card = detector.card
    with TemporaryDirectory() as folder:
        for name in card.files():
            shutil.copy(card.beside(name), folder)
        told = card.model_dump(mode="json", exclude={"refiner"})
        path = (Path(folder) / card.file).with_suffix(".yaml")
        path.write_text(yaml.safe_dump(told))
        return open_detector(path, [CPU])


if __name__ == "__main__":
    main()
