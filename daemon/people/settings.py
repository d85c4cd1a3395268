"""What a person can set about the gallery."""

from __future__ import annotations

from daemon.fields import FilePath
from daemon.validation import Settings


class GalleryConfig(Settings):
    """Where the people live whom Porter was shown."""

    path: FilePath | None = None
    """None: gallery.db in the state directory."""
    key: FilePath | None = None
    """None: the systemd credential porter.key, else gallery.key in the state directory."""
    keep_pictures: bool = False
    """Keep the pictures of enrolment, encrypted, so that another encoder can be taken later."""
