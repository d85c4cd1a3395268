"""What the trunk's command lets it hear, and what it is measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from export.cli import cli
from export.data import databases
from export.data.databases import Recordings, for_trunk
from export.data.mixing import CLIP
from export.data.pools import Pool
from export.data.speech import SpeechCache
from export.data.vocabulary import TESTED
from export.trunk.cli import spoken_by


@pytest.mark.parametrize("words", [(), ("jaguar",)])
def test_it_hears_no_tested_word_and_is_measured_on_nothing_it_heard(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("export.data.casting.kokoro_voices", lambda: ["af_one", "am_two"])
    spoken, checked = spoken_by(words, 40, 2, seed=0)
    assert not set(spoken) & set(checked)
    heard = {each for utterance in spoken for each in utterance.text.lower().strip(".!?,").split()}
    assert not heard & {*TESTED, "computers"}
    assert "yesterday" in heard
    assert ("jaguar" in heard) == bool(words)


def test_prompts_and_music_are_learnt_from_but_not_measured_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noise = Pool()
    noise.add([np.random.default_rng(0).standard_normal(CLIP).astype(np.float32)])
    monkeypatch.setattr(databases, "telephone_prompts", lambda _: [(1.5, noise)])
    monkeypatch.setattr(databases.pools, "music", lambda minutes, _: noise.sounds * bool(minutes))
    cache = SpeechCache(tmp_path)
    learnt, measured = (
        for_trunk(Recordings(None), [], cache, 0, 1, held_out=each) for each in (False, True)
    )
    assert len(learnt.negatives) == 2
    assert len(learnt.backgrounds) == 1
    assert noise not in [pool for _, pool in measured.negatives]
    assert measured.backgrounds == []


def test_a_trunk_is_not_shaped_over_itself(tmp_path: Path) -> None:
    (tmp_path / "trunk.pt").write_bytes(b"weights")
    (tmp_path / "teacher.onnx").touch()
    given = ["trunk", "--teacher", tmp_path / "teacher.onnx", "--shape", tmp_path / "trunk.pt"]
    done = CliRunner().invoke(cli, [*map(str, given), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "name another folder" in " ".join(done.stderr.split())
    assert (tmp_path / "trunk.pt").read_bytes() == b"weights"
