"""From PyTorch to the ONNX file of the network that compares words."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import Tensor, nn

from export.convert import OPSET, TOLERANCE, ParityError, save
from export.wordembed.model import WordEncoder


def export_encoder(
    encoder: WordEncoder,
    path: Path,
    name: str,
    version: str,
    trunk: str,
    probe: npt.NDArray[np.float32],
) -> float:
    """Write the graph and compare what it gives with the network's vectors of windows.

    The graph takes steps, not windows: the daemon computes each once and puts the windows together.

    Args:
        encoder: the network.
        path: of the file.
        name: of the model.
        version: of the model.
        trunk: fingerprint of the trunk that it listens to.
        probe: (n, window, width) to compare on.

    Returns:
        The largest difference.

    Raises:
        ParityError: it is above 1e-4.
    """
    encoder = encoder.cpu().eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Steps(encoder),
            (torch.randn(2, encoder.width),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["columns"],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("steps", min=1, max=1 << 24)},),
            verbose=False,
        )
    assert program is not None
    save(
        program.model_proto,
        path,
        {
            "kind": "word-encoder",
            "name": name,
            "version": version,
            "trunk": trunk,
            "window": encoder.window,
            "dimension": encoder.dimension,
        },
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = encoder(torch.from_numpy(probe)).numpy()
    steps = np.concatenate(list(probe))
    given = session.run(None, {"columns": steps})[0].reshape(len(probe), -1)
    given /= np.linalg.norm(given, axis=1, keepdims=True)
    difference = float(np.abs(given - expected).max())
    if difference > TOLERANCE:
        raise ParityError(f"{path}: its vectors differ by {difference:.2g} from the network's")
    return difference


class _Steps(nn.Module):
    """The part of the encoder that ships: from columns to features."""

    def __init__(self, encoder: WordEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, columns: Tensor) -> Tensor:
        """(n, width) to (n, features)."""
        return self.encoder.features(columns)
