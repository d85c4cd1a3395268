"""The source of pictures that the configuration asks for."""

from __future__ import annotations

from daemon.vision.frames import FrameSource
from daemon.vision.settings import CameraConfig


def make_source(config: CameraConfig) -> FrameSource:
    """The camera, stream, video or folder that is asked for, not yet open."""
    paced = config.pace == "realtime"
    if config.source == "folder":
        from daemon.vision.folder import FolderSource

        assert config.path is not None, "the configuration is checked for this"
        return FolderSource(config.path, config.fps, config.rotate, paced=paced)
    if config.source == "file":
        from daemon.vision.video import VideoSource

        assert config.path is not None, "the configuration is checked for this"
        return VideoSource(config.path, config.fps, config.rotate, paced=paced)
    from daemon.vision.camera import CameraSource

    return CameraSource(config)
