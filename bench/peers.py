"""openWakeWord, run from its own package, and the same networks run as a stream.

`pip install --no-deps openwakeword && pip install requests scikit-learn scipy tqdm`
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from bench.common import need
from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.errors import ModelError
from export.data.manifests import Audio
from export.trunk.teacher import SpeechTeacher

MEL_FRAMES, EMBEDDINGS, STRIDE = 76, 16, 8
"""Mel frames behind an embedding, embeddings behind a score, mel frames from one to the next."""
MEL_OVERLAP = 480
"""Samples before a chunk that its mel frames need."""
WARM_UP_SECONDS = 2.5
"""Sound that fills all of openWakeWord's views; before it, its scores mean nothing."""
BLOCK = 64 * HOP


def package_model(shared: Path) -> Any:
    """openWakeWord's own streaming model for "alexa".

    Raises:
        ModelError: the package is not installed.
        SourceError: its networks are not in the shared folder.
    """
    try:
        from openwakeword.model import Model
    except ImportError as error:
        raise ModelError(f"openWakeWord cannot be imported ({error}); see {__name__}") from error
    word, mel, embedding = _networks(shared)
    return Model(
        wakeword_models=[str(word)],
        inference_framework="onnx",
        melspec_model_path=str(mel),
        embedding_model_path=str(embedding),
    )


def package_scores(model: Any, pcm: Audio) -> Audio:
    """Scores of openWakeWord's own code, 80 ms at a time: (1280 k,) to (k,)."""
    chunks = np.clip(pcm * 32_768, -32_768, 32_767).astype(np.int16).reshape(-1, HOP)
    return np.array([next(iter(model.predict(chunk).values())) for chunk in chunks], np.float32)


class OpenWakeWord:
    """The same three networks over long blocks: the same scores at a tenth of the time.

    Every layer of the embedding network is valid in time, so one run over many mel frames gives
    the embeddings of all its 76-frame windows.
    """

    def __init__(self, shared: Path) -> None:
        word, mel, embedding = _networks(shared)
        self._mel = _session(onnx.load(mel))
        self._embedding = SpeechTeacher(embedding)
        self._word = _session(_relaxed(word))
        self.reset()

    def reset(self) -> None:
        """Start from quiet that fills every view."""
        self._samples = np.zeros(MEL_OVERLAP, np.float32)
        self._levels = np.ones((MEL_FRAMES - STRIDE, 32), np.float32)
        self._embedded = np.zeros((EMBEDDINGS - 1, 96), np.float32)
        hops = round(WARM_UP_SECONDS * SAMPLE_RATE / HOP)
        quiet = np.random.default_rng(0).standard_normal(hops * HOP, np.float32)
        self.process(quiet * np.float32(10 ** (-75 / 20)))

    def process(self, pcm: Audio) -> Audio:
        """(1280 k,) samples that follow the ones before, to (k,) probabilities of the word."""
        return np.concatenate(
            [self._block(pcm[at : at + BLOCK]) for at in range(0, len(pcm), BLOCK)]
        )

    def _block(self, pcm: Audio) -> Audio:
        whole = np.clip(pcm * 32_768, -32_768, 32_767).astype(np.int16).astype(np.float32)
        samples = np.concatenate([self._samples, whole])
        # The mel network clamps levels below the loudest of its input: only chunks as long as the
        # package's give the package's levels.
        heard = np.lib.stride_tricks.sliding_window_view(samples, MEL_OVERLAP + HOP)[::HOP]
        new = [_run(self._mel, chunk[None]).reshape(-1, 32) / 10 + 2 for chunk in heard]
        levels = np.concatenate([self._levels, *new])
        embedded = np.concatenate([self._embedded, self._embedding(levels)])
        windows = np.lib.stride_tricks.sliding_window_view(embedded, EMBEDDINGS, axis=0)
        scores = _run(self._word, np.ascontiguousarray(windows.transpose(0, 2, 1)))
        self._samples = samples[-MEL_OVERLAP:]
        self._levels = levels[-(MEL_FRAMES - STRIDE) :]
        self._embedded = embedded[-(EMBEDDINGS - 1) :]
        return scores.reshape(-1)


def _networks(shared: Path) -> tuple[Path, Path, Path]:
    return (
        need(shared / "peers/openwakeword/alexa_v0.1.onnx", "openWakeWord's model"),
        need(shared / "teachers/speech_melspectrogram.onnx", "openWakeWord's mel network"),
        need(shared / "teachers/speech_embedding.onnx", "openWakeWord's embedding network"),
    )


def _relaxed(path: Path) -> onnx.ModelProto:
    """A network that takes any number of inputs at once."""
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "many"
    for node in (*model.graph.output, *model.graph.value_info):
        node.type.tensor_type.ClearField("shape")
    return model


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _run(session: onnxruntime.InferenceSession, x: Audio) -> Audio:
    result: Audio = session.run(None, {session.get_inputs()[0].name: x})[0]
    return result
