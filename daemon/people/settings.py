"""What a person can set about the gallery, and about strangers at the door."""

from __future__ import annotations

from pydantic import Field

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


class VisitorsConfig(Settings):
    """Strangers at the door: whether their embeddings are kept for a while."""

    enabled: bool = False
    keep_days: float = Field(default=7.0, ge=0.01, le=90)
    """Longer than this no embedding is kept."""
    visit_minutes: float = Field(default=10.0, ge=0, le=1440)
    """A stranger who is seen again within this long is on the same visit."""
    at_most: int = Field(default=1000, ge=1, le=10_000)
    """Embeddings that are kept; the oldest make room."""
