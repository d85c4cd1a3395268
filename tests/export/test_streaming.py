"""The trunk and the graph give the same numbers however the sound is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.audio.features import HOP, log_mel
from export import convert
from export.trunk.model import INNER, RECEPTIVE_FRAMES, Spectrogram, Trunk, centred
from export.wake.model import Committee, Head, WakeGraph


def lively(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Give batch norms statistics other than the initial ones, so that none is a no-op."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            part.running_mean = torch.randn_like(part.running_mean) * 0.1
            part.running_var = torch.rand_like(part.running_var) + 0.5
    return module.eval()


@pytest.fixture(scope="module")
def graph() -> WakeGraph:
    torch.manual_seed(1)
    model = WakeGraph(Trunk(), [Committee([Head(), Head()]), Committee([Head()])])
    lively(model, 2)
    return model


def noise(hops: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, hops * HOP, generator=generator) * 0.1


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_any_cutting_of_a_stream_gives_the_same_probabilities_and_columns(
    graph: WakeGraph, cuts: list[int], seed: int
) -> None:
    samples = noise(sum(cuts), seed)
    with torch.inference_mode():
        whole, columns, *_ = graph(samples, graph.initial_state())
        state, parts, at = graph.initial_state(), [], 0
        for cut in cuts:
            probability, column, *state = graph(samples[:, at : at + cut * HOP], state)
            parts.append(torch.cat([probability, column], 2))
            at += cut * HOP
    assert whole.shape == (1, sum(cuts), 2)
    assert columns.shape == (1, sum(cuts), 96 + 2 * 64 * 2)
    assert torch.cat(parts, 1) == pytest.approx(torch.cat([whole, columns], 2), abs=1e-5)


def test_a_stream_is_a_sliding_window(graph: WakeGraph) -> None:
    """After the receptive field has filled, streamed embeddings are those of whole windows."""
    samples = noise(20)
    trunk = graph.trunk
    with torch.inference_mode():
        streamed, _ = trunk.stream(samples, trunk.initial_state())
        whole = trunk(torch.cat([torch.zeros(1, 240), samples], 1))
    assert whole.shape[1] == (20 * 8 - RECEPTIVE_FRAMES) // 8 + 1
    assert streamed[:, -whole.shape[1] :] == pytest.approx(whole, abs=1e-5)


def test_a_hypercolumn_is_the_embedding_and_what_the_inner_stage_gave(graph: WakeGraph) -> None:
    samples = noise(20)
    trunk = graph.trunk
    with torch.inference_mode():
        columns, _ = trunk.hear(samples, trunk.initial_state())
        embeddings, _ = trunk.stream(samples, trunk.initial_state())
        inner = trunk.spectrogram(torch.cat([torch.zeros(1, 240), samples], 1))
        for stage in trunk.stages[: INNER + 1]:
            inner = stage(inner)
    assert torch.equal(columns[..., :96], embeddings)
    last = columns[0, -1, 96:].reshape(64, 2, 2)
    assert last == pytest.approx(inner[0, :, :, -2:], abs=1e-5), "channel, band, place in time"


def test_the_frozen_layers_are_the_spectrogram_of_the_runtime() -> None:
    samples = noise(5, 3)
    theirs = Spectrogram()(samples)[0, 0].numpy()
    ours = centred(torch.from_numpy(log_mel(samples[0].numpy()))).numpy()
    assert pytest.approx(ours, abs=1e-4) == theirs.T


def test_a_tone_lights_up_its_mel_band() -> None:
    time = np.arange(16_000) / 16_000
    levels = [
        log_mel(np.sin(2 * np.pi * hertz * time).astype(np.float32)) for hertz in (300, 2_500)
    ]
    low, high = (int(level.mean(0).argmax()) for level in levels)
    assert low < 6 < 20 < high


def test_the_exported_file_equals_the_network(graph: WakeGraph, tmp_path: Path) -> None:
    path = tmp_path / "two.onnx"
    convert.export_wake(graph, path, "two", ["one", "other"], "1")
    parity = convert.check_parity(graph, path, noise(25, 4)[0].numpy())
    assert max(parity.onnx_to_torch, parity.hop_to_clip) <= convert.TOLERANCE
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert "one" in session.get_modelmeta().custom_metadata_map["porter"]
    assert [path.name for path in tmp_path.iterdir()] == ["two.onnx"], (
        "no half-written file is left"
    )


def test_a_file_of_another_network_fails_the_parity_check(graph: WakeGraph, tmp_path: Path) -> None:
    path = tmp_path / "two.onnx"
    convert.export_wake(graph, path, "two", ["one", "other"], "1")
    other = WakeGraph(lively(Trunk(), 9), [Committee([Head()]), Committee([Head()])]).eval()
    with pytest.raises(convert.ParityError, match=r"two\.onnx"):
        convert.check_parity(other, path, noise(12)[0].numpy())
