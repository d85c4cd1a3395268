"""Sound from a microphone, through PortAudio."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daemon.audio.features import HOP, SAMPLE_RATE, STEP_SECONDS
from daemon.audio.resample import Converter
from daemon.audio.ring import Ring
from daemon.audio.sources import AudioLost, Waiting, idle, slices
from daemon.errors import SourceError

if TYPE_CHECKING:
    import sounddevice

Array = npt.NDArray[np.float32]

log = logging.getLogger(__name__)

RING_SECONDS = 4.0
"""How long the model may be late before sound is lost."""
FIRST_SOUND_SECONDS = 5.0
"""How long the first sound of a stream may take: a sound server that was idle fills a block of up
to two seconds before it gives any, and devices by radio connect first."""
_MOST_CHANNELS = 8
"""Microphone arrays have up to eight; a device that offers more is a sound server that mixes."""
_SOUND_SERVERS = ("pulse", "pipewire", "jack")


@dataclass(frozen=True, slots=True)
class Device:
    """An input device, as PortAudio lists it."""

    index: int
    name: str
    api: str
    channels: int
    rate: int
    """Native samples per second."""
    default: bool

    def describe(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return asdict(self)


class MicrophoneSource:
    """A PortAudio input stream, converted to 16 kHz mono.

    PortAudio's thread copies what arrives into a ring and signals; nothing else happens there. The
    reading thread sleeps until then.
    """

    name = "microphone"
    live = True

    def __init__(self, device: int | str | None, hops: int, stall_seconds: float) -> None:
        self.hops = hops
        self._wanted = device
        self._stall = max(stall_seconds, 2 * hops * STEP_SECONDS)
        self._arrived = threading.Lock()  # a binary semaphore: locked means nothing new
        self._stream: sounddevice.RawInputStream | None = None
        self._stopped = False
        self.description = "microphone"
        self.overflows = self.padding = 0

    def open(self) -> None:
        """Open the device at its native rate."""
        sd = portaudio()
        device = find_device(self._wanted, input_devices())
        server = any(each in device.name.lower() for each in _SOUND_SERVERS)
        rate = SAMPLE_RATE if server else device.rate
        channels = device.channels if device.channels <= _MOST_CHANNELS else 1
        # Half blocks when resampling: the resampler holds some back, and waiting for the rest would
        # add a whole block to every answer.
        samples = HOP * self.hops
        block = samples if rate == SAMPLE_RATE else rate * samples // SAMPLE_RATE // 2
        self._chunk = np.zeros((block, channels), np.float32)
        self._converter = (
            None if (rate, channels) == (SAMPLE_RATE, 1) else Converter(rate, channels)
        )
        self._ring = Ring(int(RING_SECONDS * rate), channels)
        self._pending = Ring(2 * SAMPLE_RATE)
        self._rate = rate
        self._arrived_at = time.time()
        self._ended = False
        self._patience = max(self._stall, FIRST_SOUND_SECONDS)
        self.description = f"{device.name} ({device.api}, {rate} Hz, channels: {channels})"
        try:
            self._stream = sd.RawInputStream(
                device=device.index,
                samplerate=rate,
                channels=channels,
                dtype="float32",
                blocksize=block,
                callback=self._callback,
                finished_callback=self._finished,
            )
            self._stream.start()
        except sd.PortAudioError as error:
            self.close()
            raise SourceError(
                f"audio.device: {device.name!r} cannot be opened: {_reason(error)}; is another "
                "program using it? `porter devices` lists the others"
            ) from None

    def read(self, pcm: Array, waiting: Waiting = idle) -> float | None:
        """Wait for a block of sound."""
        late = 0.0
        if self._converter is None:
            self._take(pcm[:, None], waiting)
        else:
            while self._pending.available < len(pcm) and not self._stopped:
                if self._take(self._chunk, waiting):
                    self._pending.write(self._converter(self._chunk)[:, None])
            self._pending.read(pcm[:, None])
            late = self._pending.available / SAMPLE_RATE
        if self._stopped:
            return None
        return self._arrived_at - late - self._ring.available / self._rate

    def wait(self, seconds: float) -> bool:
        """Let time pass; nothing tells that a device is back but an attempt."""
        if not self._stopped:
            self._arrived.acquire(timeout=seconds)
        return False

    def reopen(self) -> bool:
        """Let PortAudio look for devices anew, and open the device."""
        sd = portaudio()
        self.close()
        try:
            # PortAudio lists devices once, when it starts.
            with contextlib.suppress(sd.PortAudioError):  # it did not start the last time
                sd._terminate()
            sd._initialize()
            self.open()
        except (SourceError, sd.PortAudioError) as error:
            log.debug("not back yet: %s", error)
            return False
        return True

    def stop(self) -> None:
        """Wake the reader."""
        self._stopped = True
        self._signal()

    def close(self) -> None:
        """Stop the stream without waiting for what is still in it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(Exception):  # a device that is gone may refuse even this
                stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)

    def _take(self, frames: Array, waiting: Waiting) -> bool:
        """Wait until the device has given as many frames; False when told to stop."""
        while not self._ring.read(frames):
            if self._stopped:
                return False
            if self._ended:
                raise AudioLost("the device ended the stream")
            if not self._wait_for_sound(waiting):
                raise AudioLost(f"no sound from the device for {self._patience:g} s")
        self._patience = self._stall
        return True

    def _wait_for_sound(self, waiting: Waiting) -> bool:
        for seconds in slices(self._patience):
            if self._arrived.acquire(timeout=seconds):
                return True
            waiting()
        return False

    def _callback(self, data: Any, frames: int, when: Any, status: Any) -> None:
        if status.input_overflow:
            self.overflows += 1
        samples = np.frombuffer(data, np.float32).reshape(frames, -1)
        self._arrived_at = time.time()
        if not self._ring.write(samples):
            self.overflows += 1
        self._signal()

    def _finished(self) -> None:
        self._ended = True
        self._signal()

    def _signal(self) -> None:
        # Only the reader locks, and several signals before it wakes are one.
        with contextlib.suppress(RuntimeError):
            self._arrived.release()


def portaudio() -> Any:
    """The sounddevice module, imported late: importing it starts PortAudio.

    Raises:
        SourceError: the library is missing.
    """
    try:
        import sounddevice
    except OSError:
        raise SourceError(
            "the PortAudio library is missing; install it: sudo apt-get install libportaudio2"
        ) from None
    return sounddevice


def input_devices() -> list[Device]:
    """Every device that can record.

    Raises:
        SourceError: PortAudio is missing.
    """
    sd = portaudio()
    apis = sd.query_hostapis()
    default = sd.default.device[0]
    return [
        Device(
            index=each["index"],
            name=each["name"],
            api=apis[each["hostapi"]]["name"],
            channels=each["max_input_channels"],
            rate=int(each["default_samplerate"]),
            default=each["index"] == default,
        )
        for each in sd.query_devices()
        if each["max_input_channels"] > 0
    ]


def find_device(wanted: int | str | None, devices: list[Device]) -> Device:
    """The device with an index, or with a part of its name in any case; None is the default.

    Raises:
        SourceError: there is none, or more than one; the message lists what there is.
    """
    if not devices:
        raise SourceError(
            "no device to record from; plug in a microphone, or see `porter doctor` for permissions"
        )
    if wanted is None:
        return next((each for each in devices if each.default), devices[0])
    if isinstance(wanted, int):
        matches = [each for each in devices if each.index == wanted]
    else:
        part = wanted.lower()
        exact = [each for each in devices if each.name.lower() == part]
        matches = exact or [each for each in devices if part in each.name.lower()]
    if len(matches) == 1:
        return matches[0]
    listed = ", ".join(f"{each.index}: {each.name!r}" for each in matches or devices)
    problem = "several devices match" if matches else "no input device matches"
    raise SourceError(f"audio.device: {problem} {wanted!r}; choose among {listed}")


def _reason(error: Exception) -> str:
    text = str(error.args[0]) if error.args else str(error)
    return text.removeprefix("Error opening RawInputStream: ").split("[PaErrorCode")[0].strip()
