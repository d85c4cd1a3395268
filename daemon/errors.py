"""What can go wrong for a person who runs Porter, and the exit code that scripts see.

Every message is complete in itself: what is wrong, where, and what to do. Codes follow
`sysexits.h`, so that a supervisor can tell a wrong configuration from a missing microphone.
"""

from __future__ import annotations

from typing import ClassVar


def install(extra: str) -> str:
    """How to get an extra. Never by the bare name `porter`, which is somebody else's on PyPI."""
    return f"in Porter's source folder: pip install -c constraints.txt '.[{extra}]'"


class PorterError(Exception):
    """Something that the person can put right; each line of the message stands for itself."""

    exit_code: ClassVar[int] = 1


class MissingExtra(PorterError):
    """A Python package is missing that only an extra installs."""

    def __init__(self, wanted: str, extra: str) -> None:
        """Say what to do.

        Args:
            wanted: what needs which package, for people.
            extra: that brings it.
        """
        super().__init__(f"{wanted}; {install(extra)}")


class Interrupted(PorterError):
    """Somebody pressed Ctrl-C."""

    exit_code = 130
    """As shells give it: 128 and the number of the signal."""


class ModelError(PorterError):
    """A model or its card is missing, damaged, or not what its card says."""

    exit_code = 65
    """EX_DATAERR"""


class SourceError(PorterError):
    """The sound cannot be had: no such file or device, or not audio."""

    exit_code = 66
    """EX_NOINPUT"""


class PersonError(PorterError):
    """Nobody of this name is enrolled, or it cannot be a name."""

    exit_code = 67
    """EX_NOUSER"""


class WordError(PorterError):
    """No such word is enrolled, it cannot be a name, or what is kept of it is damaged."""

    exit_code = 67
    """EX_NOUSER"""


class DoorError(PorterError):
    """The lock cannot be worked."""

    exit_code = 69
    """EX_UNAVAILABLE"""


class ControlError(PorterError):
    """No daemon answers at the control socket, or another one holds it."""

    exit_code = 69
    """EX_UNAVAILABLE"""


class OutputError(PorterError):
    """Events or files cannot be written: full disk, closed pipe, no permission."""

    exit_code = 74
    """EX_IOERR"""


class GalleryError(PorterError):
    """The gallery cannot be used: damaged, another version, a wrong key, or one others can read."""

    exit_code = 77
    """EX_NOPERM"""


class ConfigError(PorterError):
    """The configuration is wrong; one line for each problem."""

    exit_code = 78
    """EX_CONFIG"""
