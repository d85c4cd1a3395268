"""A public ImageNet classifier, SqueezeNet (Iandola et al., 2016), as a teacher.

Its middle layers tell day from night better than so few pictures can teach a small network. What
they see in any picture needs no label, so that a small network can learn to see alike from pictures
that nobody has labelled (Romero et al., "FitNets", 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from daemon.vision.frames import Image
from daemon.vision.light.prepare import as_input
from export import squeezenet
from export.daynight.train import Values

SIDE = 224
HINTS = 64
PENALTY = 3e-3
"""Inverse strength of the probe's regularisation, chosen by cross-validation."""


class Teacher:
    """SqueezeNet, whose maps are described by the mean and deviation of each channel."""

    def __init__(self, path: Path) -> None:
        """Load the classifier (`squeezenet_fp16.onnx` of Windows-Machine-Learning).

        Raises:
            ModelError: it is not that file.
        """
        self._network = squeezenet.load(path)

    def features(self, images: Sequence[Image], mirrored: bool = True) -> Values:
        """(n, 2, d): of each picture (height, width, 3) BGR and of its mirror image.

        Without the mirror image (n, 1, d).
        """
        rows = []
        for image in tqdm(images, desc="teacher", unit="picture", leave=False):
            way = cv2.INTER_AREA if image.shape[0] > SIDE else cv2.INTER_LINEAR
            small = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=way), np.uint8)
            x = torch.from_numpy(as_input(small))
            rows.append(self._describe(torch.stack([x, x.flip(2)] if mirrored else [x])))
        return np.stack(rows)

    def _describe(self, x: torch.Tensor) -> Values:
        with torch.inference_mode():
            maps = [each.flatten(2) for each in self._network(x)]
            seen = torch.cat([f for m in maps for f in (m.mean(2), m.std(2, correction=0))], 1)
        return np.asarray(seen.numpy(), np.float32)


def hints(features: Values, count: int = HINTS) -> Values:
    """(n, k) what a small network shall echo of the features: their principal components, scaled.

    Args:
        features: (n, d).
        count: k, or fewer where there are fewer pictures.
    """
    scaled = (features - features.mean(0)) / (features.std(0) + 1e-3)
    _, axes = np.linalg.eigh(scaled.T @ scaled)
    found = scaled @ axes[:, ::-1][:, : min(count, len(features))]
    return np.asarray(found / (found.std(0) + 1e-6), np.float32)


def cross_validated(features: Values, labels: Values, folds: npt.NDArray[np.intp]) -> Values:
    """(n,) probability of night of each picture, by a probe that was fitted without its fold."""
    night = np.zeros(len(labels), np.float32)
    for fold in np.unique(folds):
        asked = folds == fold
        night[asked] = judge(fit(features[~asked], labels[~asked]), features[asked])
    return night


def fit(features: Values, labels: Values) -> Pipeline:
    """A linear probe on features (n, 2, d)."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=1000))
    return probe.fit(features.reshape(-1, features.shape[2]), np.repeat(labels, 2))


def judge(probe: Pipeline, features: Values) -> Values:
    """(n,) probability of night: the mean of picture and mirror image."""
    asked = probe.predict_proba(features.reshape(-1, features.shape[2]))[:, 1]
    return np.asarray(asked.reshape(-1, 2).mean(1), np.float32)
