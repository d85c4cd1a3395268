"""A plain detector's graph in whole numbers of eight bits, as processors multiply them fastest.

Values become multiples of a step: each activation has one step for all its channels, found from
what it was on pictures (activations 0 to 255), and the weights have one for every channel that they
make (Nagel et al., arXiv:2106.08295). Weights use seven bits: then no processor's 16-bit sums of
two products can overflow, and all give the same numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from export.convert import save
from export.objects.doubling import copy_instead_of_resize
from export.objects.material import Pictures

QUANTISED = ("Conv", "Relu", "Add", "Concat", "Resize")
STEM = 3
"""Convolutions at the beginning that stay as they are: of few channels, and large maps, where whole
numbers are slower."""
LOOKED_AT = 256
"""Pictures from which steps are found."""

Images = Iterator[npt.NDArray[np.float32]]


def quantise(path: Path, images: Images, described: Mapping[str, Any]) -> None:
    """Turn a detector's file into whole numbers, in place.

    The stem, the last convolutions, whose numbers are boxes and scores, and all that follows them
    stay in floating point.

    Args:
        path: of the graph, which takes `image`.
        images: (1, 3, h, w) each, as the graph takes them.
        described: what the file says about itself.
    """
    logging.disable(logging.WARNING)  # it advises to do what is done here
    try:
        with TemporaryDirectory() as folder:
            prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "made.onnx"
            quant_pre_process(path, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                made,
                _Reader(images),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=list(QUANTISED),
                nodes_to_exclude=_left(onnx.load(prepared)),
            )
            model = onnx.load(made)
            copy_instead_of_resize(model)
            save(model, path, described)
    finally:
        logging.disable(logging.NOTSET)


def seen(pictures: Pictures, multiple: int | None, count: int = LOOKED_AT) -> Images:
    """Some pictures, evenly from all, as a graph takes them.

    Args:
        pictures: stored at the size that the graph is for.
        multiple: of pixels that the sides of its input are; the whole square if None.
        count: at most.
    """
    for place in np.linspace(0, len(pictures) - 1, min(count, len(pictures))).astype(int):
        image = pictures.images[place : place + 1].float()
        if multiple is not None:
            width, height = (int(each) for each in pictures.sizes[place])
            rows, columns = (-(-each // multiple) * multiple for each in (height, width))
            image = image[:, :, :rows, :columns]
        yield image.contiguous(memory_format=torch.contiguous_format).numpy()


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands pictures out one by one."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """The next one, or None after the last."""
        image = next(self._images, None)
        return None if image is None else {"image": image}


def _left(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that stay in floating point."""
    nodes = list(model.graph.node)
    convolutions = [each for each in nodes if each.op_type == "Conv"]
    stem = {each.output[0] for each in convolutions[:STEM]}
    left = [
        each.name
        for each in nodes
        if each in convolutions[:STEM] or (each.op_type == "Relu" and each.input[0] in stem)
    ]
    # What is made of the last convolutions, which the graph has as products of matrices.
    made = {each.output[0] for each in nodes if each.op_type == "Gemm"}
    for each in nodes:
        if made.intersection(each.input):
            made.update(each.output)
            left.append(each.name)
    return left
