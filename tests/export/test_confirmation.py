"""Which finds are faces, how two opinions are weighed, and the second one learnt by the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cards import read_card
from daemon.errors import SourceError
from daemon.inference import CPU, open_session
from daemon.vision.cards import DetectorCard
from daemon.vision.confirmation import SIDE, FaceConfirmer, template
from daemon.vision.detector import open_detector
from export.confirmation.candidates import MARGIN, Candidates, cut_out, gather, judged
from export.confirmation.model import Confirmer, ConfirmerGraph, ConfirmerWidths
from export.confirmation.recipe import log_odds, weigh
from export.confirmation.train import ConfirmerRecipe, train
from export.convert import export_look
from export.faces import sketches
from export.faces.composition import Sample
from tests.faces import write_face_models

ROOT = Path(__file__).parents[2]
SMALL = ConfirmerWidths(stages=(4, 4, 8, 8), hidden=8)
STORED = SIDE + 2 * MARGIN


def find(x: float, y: float, w: float, h: float, score: float = 0.5) -> list[float]:
    return [x, y, w, h, *([0.0] * 10), score]


def test_finds_on_faces_are_faces_and_those_beside_them_are_not() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    face = np.array([find(100, 100, 100, 100)[:14]], np.float32)
    doubtful = np.array([[300, 300, 50, 50]], np.float32)
    finds = np.array(
        [
            find(105, 95, 100, 100),  # the face
            find(150, 100, 100, 100),  # half of it: neither
            find(120, 120, 30, 30),  # an eye
            find(0, 0, 60, 60),  # nothing
            find(305, 305, 40, 40),  # where nobody knows
            find(310, 310, 10, 10),  # a part of that
        ],
        np.float32,
    )
    is_face, known = judged(Sample(image, face, doubtful), finds)
    assert is_face.tolist() == [True, False, False, False, False, False]
    assert known.tolist() == [True, False, True, True, False, False]
    is_face, known = judged(Sample(image), finds)
    assert not is_face.any(), "without faces, nothing is one"
    assert known.all()
    assert [len(each) for each in judged(Sample(image, face), finds[:0])] == [0, 0]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), scale=st.floats(0.15, 3), across=st.floats(-20, 320))
def test_what_is_learnt_from_is_what_the_daemon_will_cut_out(
    seed: int, scale: float, across: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The middle of a kept cut goes through the network as the daemon's own cut does."""
    torch.manual_seed(3)
    network = Confirmer(SMALL).eval()
    path = tmp_path_factory.getbasetemp() / "small.confirm.onnx"
    if not path.exists():
        export_look(ConfirmerGraph(network, 1.0, 0.0).eval(), SIDE, path, "evidence", {})
    image = np.random.default_rng(seed).integers(0, 256, (240, 300, 3)).astype(np.uint8)
    landmarks = (template(SIDE) - SIDE / 2) * scale + (across, 120)
    row = np.array([0, 0, 1, 1, *landmarks.reshape(-1), 0.5], np.float32)
    kept = cut_out(image, row)
    assert kept.shape == (STORED, STORED, 3)
    finds = Candidates(kept[None], np.array([True]), np.zeros(1, np.float32))
    daemon = FaceConfirmer(open_session(path, [CPU])).evidence(image, row[4:14].reshape(5, 2))
    assert daemon == pytest.approx(float(log_odds(network, finds)[0]), abs=0.02)


def test_opinions_weigh_what_they_are_worth() -> None:
    """A network that knows, beside a detector that guesses, and the other way round."""
    rng = np.random.default_rng(0)
    truth = rng.random(800) < 0.5
    shades = np.where(truth, 200, 50).astype(np.uint8)
    cuts = np.tile(shades[:, None, None, None], (1, STORED, STORED, 3))

    class Bright(Confirmer):
        def forward(self, cut: torch.Tensor) -> torch.Tensor:
            return 4 * cut.mean((1, 2, 3))[:, None] - 2

    noise = rng.normal(0, 1, 800).astype(np.float32)
    knows = Bright(SMALL).eval()
    first, second, _ = weigh(knows, Candidates(cuts, truth, noise))
    assert abs(first) < 0.5 < second
    told = np.where(truth, 1, -1).astype(np.float32)
    blind = Candidates(np.zeros_like(cuts), truth, told + 0.1 * noise)
    first, second, bias = weigh(knows, blind)
    assert first > 1
    assert abs(bias - 2 * second) < 1, "what says the same of everything decides nothing"


@pytest.mark.parametrize("all_are", [True, False])
def test_finds_of_one_kind_cannot_be_weighed(all_are: bool) -> None:
    cuts = np.zeros((5, STORED, STORED, 3), np.uint8)
    same = Candidates(cuts, np.full(5, all_are), np.zeros(5, np.float32))
    with pytest.raises(SourceError, match="no false finds, or no faces"):
        weigh(Confirmer(SMALL).eval(), same)


def test_it_learns_and_a_run_that_was_cut_off_gives_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = np.arange(200) % 3 == 0
    cuts = rng.integers(0, 256, (200, STORED, STORED, 3)).astype(np.uint8)
    cuts[truth, 20:40, 20:40] = 255
    finds = Candidates(cuts, truth, np.zeros(200, np.float32))
    recipe = ConfirmerRecipe(steps=40, batch=16, widths=SMALL)
    whole = train(recipe, finds, tmp_path / "whole")
    said = log_odds(whole, finds)
    assert said[truth].mean() > said[~truth].mean() + 0.4
    assert (tmp_path / "whole" / "confirmer.jsonl").read_text().count("\n") == 1
    again = train(recipe, finds, tmp_path / "whole")  # takes the checkpoint, and has nothing to do
    assert log_odds(again, finds) == pytest.approx(said, abs=1e-5)


def test_finds_are_the_same_with_one_process_and_with_two(tmp_path: Path) -> None:
    path = write_face_models(tmp_path) / "facedetect.yaml"
    card = read_card(path, DetectorCard)
    material = sketches.material(0, 30, 12)
    alone, both = (gather(material, card, 1e-14, 6, 0, workers) for workers in (0, 2))
    assert len(alone.cuts) > 20
    assert (alone.cuts == both.cuts).all()
    assert (alone.is_face == both.is_face).all()
    assert alone.odds == pytest.approx(both.odds)


def test_the_command_adds_a_second_opinion_to_a_detector(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "export.cli", "confirm", "--quick", "--work", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    card = Path(done.stdout.strip().splitlines()[-1])
    assert tmp_path in card.parents, "a smoke test changes nothing that ships"
    told = yaml.safe_load(card.read_text())
    assert told["confirmer"]["file"] == "facedetect.confirm.onnx"
    learnt = told["figures"]["confirmation"]
    assert learnt["faces"] > 50
    assert learnt["others"] > 50
    assert learnt["parity"] < 1e-4
    assert told["threshold"] == told["figures"]["calibration"]["threshold"]
    detector = open_detector(card, [CPU])
    sketch = sketches.Sketch(77)
    assert detector.rows(sketch.read(), least=1e-3).shape[1] == 15
