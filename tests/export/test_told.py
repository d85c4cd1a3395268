"""Cards tell of the pictures and recordings that the options named, and claim no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from export.convert import OWN_TERMS
from export.faces import recipe as detector
from export.faces import sketches
from export.faces.composition import Material
from export.faces.material import Sources, told_of
from export.landmarks.material import told_of as told_of_faces
from export.wake import recipe as wake


def recordings(folder: Path, *labels: str) -> Path:
    folder.mkdir(parents=True)
    sf.write(folder / "a.wav", np.ones(1_600, np.float32), 16_000)
    rows = [
        "path,label,source,split",
        *(f"{folder.name}/a.wav,{each},ann,train" for each in labels),
    ]
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder


def test_a_word_of_own_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "audio"
    recordings(root / "speech", *["kitchen talk"] * 9)
    recordings(root / "negative_words", *["hello_porter"] * 9, *["potter"] * 9)
    recordings(root / "noise", *["fridge"] * 9)
    said = recordings(tmp_path / "said", "hello_porter")
    sources = wake.Sources(
        root, {"hello porter": said}, None, tmp_path, "a teacher", terms=("spoken by me",)
    )
    monkeypatch.setattr("export.data.pools.tunes", list)
    lines = wake.describe_data(wake.quick(("hello porter",), 0), sources, "hello porter")
    assert lines[1:] == [
        "positives, real: 1 recordings of said",
        "negatives, synthetic: 60 rival words and sentences",
        "negatives, real, split train: 7 kitchen talk",
        "negatives, real, split train: 8 potter",
        "backgrounds, real, split train: 7 fridge",
        "spoken by me",
        "trunk: a teacher",
    ]


def test_a_detector_of_own_pictures(tmp_path: Path) -> None:
    drawn = sketches.material(0, 6, 4)
    material = Material(drawn.crops[:1], drawn.people, drawn.backgrounds)
    sources = Sources(more_faces=(tmp_path / "family",), scenes=(tmp_path / "street",))
    lines = " ".join(told_of(sources, material))
    assert "family" in lines
    assert "street" in lines
    assert "CelebA" not in lines + detector._licence(sources, None)
    assert detector._licence(sources, None) == OWN_TERMS
    prepared = Sources(faces=tmp_path)
    assert "CelebA" in detector._licence(prepared, None)
    assert "celeba" in " ".join(told_of(prepared, material))
    assert told_of_faces(sources) == ["family", "street"]
