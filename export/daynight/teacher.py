"""A public ImageNet classifier, SqueezeNet (Iandola et al., 2016), as a teacher.

Its middle layers tell day from night better than so few pictures can teach a small network. What
they see in any picture needs no label, so that a small network can learn to see alike from pictures
that nobody has labelled (Romero et al., "FitNets", 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from daemon.errors import ModelError
from daemon.vision.frames import Image
from export.daynight.train import Values

SIDE = 224
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's pixels. The file was trained on BGR less Caffe's means instead; a trial of that,
with other maps and a weaker penalty, bettered the probe, not the network that learns from it."""
LAYERS = ("pool1_1", "pool3_1", "pool5_1", "fire6/concat_1")
"""Their channels, by mean and deviation, are the features; later ones know things, not light."""
HINTS = 64
PENALTY = 3e-4
"""Inverse strength of the probe's regularisation, chosen by cross-validation."""


class Teacher:
    """SqueezeNet up to the layers that are looked at."""

    def __init__(self, path: Path) -> None:
        """Load the classifier (`squeezenet_fp16.onnx` of Windows-Machine-Learning).

        Raises:
            ModelError: it is not that file.
        """
        try:
            model = _up_to(onnx.load(str(path)), LAYERS)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        # ONNX and ONNX Runtime have no common base class for what may be wrong with a file.
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{path}: not SqueezeNet as this recipe knows it: {reason}") from None
        self._input: str = self._session.get_inputs()[0].name

    def features(self, images: Sequence[Image], mirrored: bool = True) -> Values:
        """(n, 2, d): of each picture (height, width, 3) BGR and of its mirror image.

        Without the mirror image (n, 1, d).
        """
        rows = []
        for image in tqdm(images, desc="teacher", unit="picture", leave=False):
            shrunk = image.shape[0] > SIDE
            way = cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
            rgb = cv2.resize(image, (SIDE, SIDE), interpolation=way)[..., ::-1]
            scaled = (rgb.astype(np.float32) / 255 - MEAN) / DEVIATION
            x: Values = scaled.transpose(2, 0, 1).astype(np.float32)
            views = (x, x[..., ::-1]) if mirrored else (x,)
            rows.append([self._describe(each[None]) for each in views])
        return np.array(rows, np.float32)

    def _describe(self, x: Values) -> Values:
        maps = self._session.run(None, {self._input: np.ascontiguousarray(x)})
        return np.concatenate([f(each[0], axis=(1, 2)) for each in maps for f in (np.mean, np.std)])


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


def _up_to(model: onnx.ModelProto, layers: Sequence[str]) -> onnx.ModelProto:
    """The graph in single precision, with these layers as outputs and what follows cut off."""
    graph = model.graph
    last = max(i for i, node in enumerate(graph.node) if set(node.output) & set(layers))
    del graph.node[last + 1 :]
    del graph.output[:], graph.value_info[:]
    graph.output.extend(
        helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in layers
    )
    used = {name for node in graph.node for name in node.input}
    weights: list[Any] = [
        numpy_helper.from_array(numpy_helper.to_array(each).astype(np.float32), each.name)
        for each in graph.initializer
        if each.name in used
    ]
    names = {each.name for each in weights}
    del graph.initializer[:]
    graph.initializer.extend(weights)
    inputs = [each for each in graph.input if each.name in used - names]
    del graph.input[:]
    for each in inputs:
        each.type.tensor_type.elem_type = TensorProto.FLOAT
    graph.input.extend(inputs)
    return model
