"""The trunk: raw samples to a 96-D embedding of speech every 80 ms, as an exact stream.

A 2-D convolutional network over a log-mel spectrogram, padded in frequency only and valid in time,
so that each stage needs just its last columns from the past: those columns are the state. The shape
is that of Google's speech embedding network, two thirds as wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from daemon.audio import features

EMBEDDING = 96
WIDTHS = (16, 32, 48, 64, 64)
"""Channels of the five stages."""
BLOCK = 80
"""Samples of half a spectrogram frame; windows and frames are whole numbers of blocks."""
PAST = 4
"""Columns of its input that a stage keeps in a stream."""
INNER = 3
"""Which stage's output is a part of a hypercolumn: the last but one, which still knows two bands of
frequency and two places in time apart."""
INNER_COLUMNS = 2
"""Columns that it gives in a step."""
CENTRE, SPREAD = 6.0, 2.0
"""Mean and spread of speech among the levels, roughly: what the first layer should not learn."""
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
        # A band sums the squares of both parts, so its filter is there twice.
        mel = torch.from_numpy(features.mel_filters()).T.repeat(1, 2)[:, :, None].contiguous()
        self.register_buffer("kernel", blocks, persistent=False)
        self.register_buffer("mel", mel, persistent=False)
        self.kernel: Tensor
        self.mel: Tensor

    def forward(self, samples: Tensor) -> Tensor:
        """(batch, n) samples to (batch, 1, 32, frames) centred levels (see :func:`centred`)."""
        whole = samples[:, : samples.shape[1] // BLOCK * BLOCK]
        blocks = whole.reshape(len(samples), -1, BLOCK)
        stride = features.FRAME // BLOCK
        spectrum = nn.functional.conv1d(blocks.transpose(1, 2), self.kernel, stride=stride)
        power = nn.functional.conv1d(spectrum * spectrum, self.mel)
        # log10 + 2, centred: one multiplication and one addition.
        levels = power.clamp(min=features.FLOOR_POWER).log()
        levels = levels * (1 / (math.log(10) * SPREAD)) + (2 - CENTRE) / SPREAD
        return levels[:, None]


def centred(levels: Tensor) -> Tensor:
    """Levels of :func:`daemon.audio.features.log_mel`, which lie around 3 to 9, around zero."""
    return (levels - CENTRE) / SPREAD


class Column(nn.Module):
    """Convolution, batch norm and leaky ReLU; `time` columns wide, valid in time."""

    def __init__(self, before: int, after: int, time: int, frequency: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            before, after, (frequency, time), bias=False, padding=(frequency // 2, 0)
        )
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, before, bands, columns) to (batch, after, bands, columns - time + 1)."""
        return nn.functional.leaky_relu(self.norm(self.convolution(x)), 0.2)


class Stage(nn.Sequential):
    """Convolutions that look at `PAST` columns more than they give, then a pooling.

    In a stream the stage keeps the last columns of its input and computes the few in between
    again: that is cheaper than to keep the past of each of its layers.
    """

    def __init__(self, columns: list[Column], pool: tuple[int, int]) -> None:
        super().__init__(*columns, nn.MaxPool2d(pool))
        self.channels = columns[0].convolution.in_channels


class Trunk(nn.Module):
    """Samples to embeddings; `stream` takes and returns the state, `forward` takes whole clips."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        self.spectrogram = Spectrogram()
        first, *others = widths
        opening = [Column(1, first, 3, 3), Column(first, first, 1, 3), Column(first, first, 3, 1)]
        stages = [Stage(opening, (2, 2))]
        before = first
        # Stages two and four halve only the bands, stages three and five time as well.
        for width, pool in zip(others, [(2, 1), (2, 2), (2, 1), (2, 2)], strict=True):
            layers: list[Column] = []
            for _ in range(2):
                layers += [Column(before, width, 1, 3), Column(width, width, 3, 1)]
                before = width
            stages.append(Stage(layers, pool))
        self.stages = nn.ModuleList(stages)
        self.embed = nn.Conv2d(before, EMBEDDING, (1, 3))

    def forward(self, samples: Tensor) -> Tensor:
        """Whole clips: (batch, n) to (batch, steps, 96); the first step follows 775 ms."""
        return self._embedded(self.spectrogram(samples))

    def columns(self, levels: Tensor) -> Tensor:
        """(batch, 1, 32, frames) levels to (batch, (frames - 76) // 8 + 1, 96) embeddings."""
        return self._embedded(centred(levels))

    def _embedded(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        return self._steps(x)

    def initial_state(self) -> State:
        """Zero state: samples before the first window, then the past columns of each stage."""
        state = [torch.zeros(1, features.WINDOW - features.FRAME)]
        bands = features.MEL_BANDS
        for stage in self._stages():
            state.append(torch.zeros(1, stage.channels, bands, PAST))
            bands //= 2
        state.append(torch.zeros(1, self.widths[-1], bands, 2))
        return state

    def stream(self, samples: Tensor, state: State) -> tuple[Tensor, State]:
        """One or more hops: (1, 1280 k) and the state to (1, k, 96) and the next state."""
        columns, following = self.hear(samples, state)
        return columns[..., :EMBEDDING], following

    def hear(self, samples: Tensor, state: State) -> tuple[Tensor, State]:
        """As :meth:`stream`, with what an inner stage gives beside each embedding.

        Hypercolumns (Hariharan et al., CVPR 2015): the embedding, shaped to tell words from each
        other, has lost some of how a word sounds that the stage below still has.

        Returns:
            (1, k, width), of which the first 96 are the embedding; and the next state.
        """
        past = iter(state)
        following: State = []
        samples = torch.cat([next(past), samples], dim=1)
        following.append(samples[:, -(features.WINDOW - features.FRAME) :])
        x = inner = self.spectrogram(samples)
        for number, stage in enumerate(self._stages()):
            x = torch.cat([next(past), x], dim=3)
            following.append(x[..., -PAST:])
            x = stage(x)
            if number == INNER:
                inner = x
        x = torch.cat([next(past), x], dim=3)
        following.append(x[..., -2:])
        beside = inner.flatten(1, 2).unflatten(2, (-1, INNER_COLUMNS)).transpose(1, 2).flatten(2)
        return torch.cat([self._steps(x), beside], dim=2), following

    def _steps(self, x: Tensor) -> Tensor:
        """The last convolution: (batch, channels, 1, columns) to (batch, columns - 2, 96)."""
        embedded: Tensor = self.embed(x)
        return embedded.squeeze(2).transpose(1, 2)

    def layers(self) -> Iterator[nn.Module]:
        """Convolutions and poolings before the last convolution, in the order of the data."""
        for stage in self._stages():
            yield from stage

    def _stages(self) -> list[Stage]:
        return [stage for stage in self.stages if isinstance(stage, Stage)]
