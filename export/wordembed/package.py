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

from export.convert import OPSET, TOLERANCE, ParityError, save
from export.trunk.model import EMBEDDING
from export.wordembed.model import WordEncoder


def export_encoder(
    encoder: WordEncoder,
    path: Path,
    name: str,
    version: str,
    trunk: str,
    probe: npt.NDArray[np.float32],
) -> float:
    """Write the graph and compare it with the network on windows (n, window, 96).

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
            encoder,
            (torch.randn(2, encoder.window, EMBEDDING),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["windows"],
            output_names=["vectors"],
            dynamic_shapes=({0: torch.export.Dim("windows", min=1, max=65536)},),
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
    difference = float(np.abs(session.run(None, {"windows": probe})[0] - expected).max())
    if difference > TOLERANCE:
        raise ParityError(f"{path}: its vectors differ by {difference:.2g} from the network's")
    return difference
