"""The trunk: raw samples to a 96-D embedding of speech every 80 ms, as an exact stream.

A 2-D convolutional network over a log-mel spectrogram, padded in frequency only and valid in time,
so that each layer needs just its last columns from the past: those columns are the state. The shape
is that of Google's speech embedding network, two thirds as wide.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from daemon.audio import features

EMBEDDING = 96
WIDTHS = (16, 32, 48, 64, 64)
"""Channels of the five stages."""
BLOCK = 80
"""Samples of half a spectrogram frame; windows and frames are whole numbers of blocks."""
RECEPTIVE_FRAMES = 76
"""Spectrogram frames behind one embedding (775 ms of sound)."""

State = list[Tensor]


class Spectrogram(nn.Module):
    """Frozen log-mel front end; keeps the samples that the next window overlaps."""

    def __init__(self) -> None:
        super().__init__()
        cosine, sine = features.window_dft()
        kernel = torch.cat([torch.from_numpy(cosine), torch.from_numpy(sine)])
        # The windows as blocks of half a frame: the same sums, which run in half the time, since a
        # convolution over many channels is a matrix product and one over a single channel is not.
        blocks = kernel.reshape(len(kernel), -1, BLOCK).transpose(1, 2).contiguous()
        self.register_buffer("kernel", blocks, persistent=False)
        self.register_buffer("mel", torch.from_numpy(features.mel_filters()), persistent=False)
        self.kernel: Tensor
        self.mel: Tensor

    def forward(self, samples: Tensor) -> Tensor:
        """(batch, n) samples to (batch, 1, frames, 32) levels."""
        whole = samples[:, : samples.shape[1] // BLOCK * BLOCK]
        blocks = whole.reshape(len(samples), -1, BLOCK)
        stride = features.FRAME // BLOCK
        spectrum = nn.functional.conv1d(blocks.transpose(1, 2), self.kernel, stride=stride)
        cosine, sine = spectrum.square().chunk(2, dim=1)
        power = (cosine + sine).transpose(1, 2) @ self.mel
        levels = power.clamp(min=features.FLOOR_POWER).log() / 2.302585093 + 2.0
        return levels[:, None]


class Column(nn.Module):
    """Convolution, batch norm and leaky ReLU; `time` columns high, valid in time."""

    def __init__(self, before: int, after: int, time: int, frequency: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            before, after, (time, frequency), bias=False, padding=(0, frequency // 2)
        )
        self.norm = nn.BatchNorm2d(after)
        self.past = time - 1
        """Columns of its input that the layer keeps for the next step."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, before, columns, bands) to (batch, after, columns - past, bands)."""
        return nn.functional.leaky_relu(self.norm(self.convolution(x)), 0.2)


class Trunk(nn.Module):
    """Samples to embeddings; `stream` takes and returns the state, `forward` takes whole clips."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        self.spectrogram = Spectrogram()
        first, *others = widths
        layers: list[nn.Module] = [
            Column(1, first, 3, 3),
            Column(first, first, 1, 3),
            Column(first, first, 3, 1),
            nn.MaxPool2d((2, 2)),
        ]
        before = first
        # Stages two and four halve only the bands, stages three and five time as well.
        pools: list[tuple[int, int]] = [(1, 2), (2, 2), (1, 2), (2, 2)]
        for width, pool in zip(others, pools, strict=True):
            for _ in range(2):
                layers += [Column(before, width, 1, 3), Column(width, width, 3, 1)]
                before = width
            layers.append(nn.MaxPool2d(pool))
        self.layers = nn.ModuleList(layers)
        self.embed = nn.Conv2d(before, EMBEDDING, (3, 1))
        # Levels come around 3 to 9; centring them lets the first layer start in a useful range.
        self.centre = nn.BatchNorm2d(1)

    def forward(self, samples: Tensor) -> Tensor:
        """Whole clips: (batch, n) to (batch, steps, 96); the first step follows 775 ms."""
        return self.columns(self.spectrogram(samples))

    def columns(self, levels: Tensor) -> Tensor:
        """(batch, 1, frames, 32) levels to (batch, (frames - 76) // 8 + 1, 96) embeddings."""
        x = self.centre(levels)
        for layer in self.layers:
            x = layer(x)
        embedded: Tensor = self.embed(x)
        return embedded.squeeze(3).transpose(1, 2)

    def initial_state(self) -> State:
        """Zero state: samples before the first window, then each layer's past columns."""
        state = [torch.zeros(1, features.WINDOW - features.FRAME)]
        levels = torch.zeros(1, 1, 8, features.MEL_BANDS)
        for layer in self.layers:
            if isinstance(layer, Column) and layer.past:
                state.append(torch.zeros(1, levels.shape[1], layer.past, levels.shape[3]))
                levels = torch.zeros(1, layer.convolution.out_channels, *levels.shape[2:])
            elif isinstance(layer, Column):
                levels = torch.zeros(1, layer.convolution.out_channels, *levels.shape[2:])
            else:
                levels = layer(levels)
        state.append(torch.zeros(1, levels.shape[1], 2, levels.shape[3]))
        return state

    def stream(self, samples: Tensor, state: State) -> tuple[Tensor, State]:
        """One or more hops: (1, 1280 k) and the state to (1, k, 96) and the next state."""
        past = iter(state)
        following: State = []
        samples = torch.cat([next(past), samples], dim=1)
        following.append(samples[:, -(features.WINDOW - features.FRAME) :])
        x = self.centre(self.spectrogram(samples))
        for layer in self.layers:
            if isinstance(layer, Column) and layer.past:
                x = torch.cat([next(past), x], dim=2)
                following.append(x[:, :, -layer.past :])
            x = layer(x)
        x = torch.cat([next(past), x], dim=2)
        following.append(x[:, :, -2:])
        embedded: Tensor = self.embed(x)
        return embedded.squeeze(3).transpose(1, 2), following
