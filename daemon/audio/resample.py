"""From a device's rate and channels to 16 kHz mono."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daemon.audio.features import SAMPLE_RATE

Array = npt.NDArray[np.float32]


class Converter:
    """Converts a stream, chunk by chunk, with libsoxr: the same samples however it is cut."""

    def __init__(self, rate: int, channels: int) -> None:
        import soxr

        self.channels = channels
        self._stream = (
            None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32")
        )

    def __call__(self, frames: Array, last: bool = False) -> Array:
        """Convert the next frames.

        Args:
            frames: (n, channels), in [-1, 1].
            last: whether the stream ends here, so that the resampler gives what it holds back.

        Returns:
            (m,) at 16 kHz, the mean of the channels; m varies around n * 16000 / rate.
        """
        mono = frames[:, 0] if self.channels == 1 else frames.mean(1, dtype=np.float32)
        if self._stream is None:
            return mono
        out: Array = self._stream.resample_chunk(np.ascontiguousarray(mono), last=last)
        return out
