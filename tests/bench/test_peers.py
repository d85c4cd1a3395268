"""The fast way through openWakeWord's networks gives the scores of its own package."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench.common import ROOT
from daemon.audio.features import HOP

SHARED = Path(os.environ.get("PORTER_SHARED", ROOT.parent / "shared"))


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "peers/openwakeword").is_dir(), reason="no openWakeWord networks")
def test_blocks_score_as_the_package_does() -> None:
    pytest.importorskip("openwakeword", reason="openWakeWord is not installed")
    from bench.peers import OpenWakeWord, package_model, package_scores
    from export.data.manifests import select
    from export.wake.conditions import Condition

    clips = select([f"{SHARED}/data/audio/words/manifest.csv:alexa"])[:2]
    pcm = np.concatenate([Condition().surround(clip.read(), clip.name) for clip in clips])
    model = package_model(SHARED)
    package_scores(model, np.zeros(32 * HOP, np.float32))
    theirs = package_scores(model, pcm)
    assert theirs.max() > 0.5
    # Their views fill up with the quiet before the first word, from another kind of quiet.
    difference = np.abs(OpenWakeWord(SHARED).process(pcm) - theirs)[12:]
    assert difference.max() < 1e-3
