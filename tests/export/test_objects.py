"""Training the object detector: losses, batches, conversion, measuring, and a quick run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import ModelError, SourceError
from daemon.inference import CPU
from daemon.vision.boxes import overlap
from daemon.vision.objects.detector import open_object_detector
from daemon.vision.objects.names import CLASSES
from export.cli import cli
from export.objects.augment import (
    Augmentation,
    Batch,
    _compose,
    _light,
    _lit,
    _sample,
    draw,
)
from export.objects.boxes import ciou, iou
from export.objects.convert import COCO, convert_yolox, write_card
from export.objects.evaluate import Marked, measure
from export.objects.graph import check_parity, export, graph_of
from export.objects.material import weights
from export.objects.model import MultiScale, SingleGrid, Widths, centres, corners
from export.objects.multi_loss import assign, multi_loss
from export.objects.paint import paint
from export.objects.quantise import quantise, seen
from export.objects.restore import Start
from export.objects.sketches import SHAPES, draw_pictures
from export.objects.v1_loss import COORD, NOOBJ, v1_loss
from tests.models import build_model

SMALL = Widths(channels=(4, 8, 8, 8, 16), blocks=(1, 1, 1), pyramid=8, v1=8)


def batch(*boxes: tuple[float, float, float, float, int], side: int = 64) -> Batch:
    """One sample with boxes: left, top, right, bottom, class."""
    truth = torch.tensor([[each[:4] for each in boxes]], dtype=torch.float32)
    labels = torch.tensor([[each[4] for each in boxes]])
    return Batch(torch.zeros(1, 3, side, side), truth, labels, torch.ones(1, len(boxes)))


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_the_overlap_of_training_is_that_of_the_runtime(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.uniform(0, 50, (2, 6, 4)).astype(np.float32) + np.float32([0, 0, 1, 1])
    as_corners = [torch.from_numpy(np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], 1))
                  for b in (first, second)]  # fmt: skip
    ours = iou(as_corners[0][:, None], as_corners[1][None]).numpy()
    assert ours == pytest.approx(overlap(first, second), abs=1e-4)
    complete = ciou(*as_corners)
    assert (complete <= iou(*as_corners) + 1e-6).all()
    assert ciou(as_corners[0], as_corners[0]).numpy() == pytest.approx(1, abs=1e-4)


def test_the_v1_loss_is_equation_3() -> None:
    # One object in the middle of cell (1, 0) of a grid of 2 x 2, a quarter of the picture large.
    seen = batch((32, 0, 64, 32, 2), side=64)
    predicted = torch.zeros(1, 2, 2, 10 + len(CLASSES))
    cell = predicted[0, 0, 1]
    cell[:5] = torch.tensor([0.5, 0.5, 0.7, 0.7, 0.4])  # nearly right: it answers for the object
    cell[5:10] = torch.tensor([0.1, 0.1, 0.1, 0.1, 0.3])
    cell[10 + 2] = 0.8
    predicted[0, 1, 1, 4] = 0.2
    root = 0.5**0.5
    shown = (0.7**2 * 64) ** 2 / 32**2  # a box of 31.36 pixels inside one of 32
    expected = (
        COORD * 2 * (0.7 - root) ** 2
        + (0.4 - shown) ** 2
        + NOOBJ * (0.3**2 + 0.2**2)
        + (0.8 - 1) ** 2
    )
    assert float(v1_loss(predicted, seen)) == pytest.approx(expected, rel=1e-4)


def test_a_doubtful_box_is_nothing_to_v1() -> None:
    seen = batch((32, 0, 64, 32, 2))
    seen.scores[:] = 0.3
    predicted = torch.zeros(1, 2, 2, 10 + len(CLASSES))
    predicted[..., 4] = 1.0
    assert float(v1_loss(predicted, seen)) == pytest.approx(NOOBJ * 4)


def test_the_cells_that_see_an_object_best_learn_it() -> None:
    cells = centres(64, 64)
    seen = batch((8, 8, 40, 40, 0), (44, 44, 60, 60, 7))
    predicted = torch.full((1, len(cells), 4 + len(CLASSES)), -3.0)
    predicted[..., :4] = 1.0
    boxes = corners(predicted[..., :4], cells)
    assigned = assign(predicted[..., 4:].sigmoid(), boxes, cells, seen)
    learning = assigned.weight[0] > 0
    assert 2 <= learning.sum() <= 20
    for middle, box, target in zip(cells[learning], assigned.boxes[0][learning],
                                   assigned.target[0][learning]):  # fmt: skip
        assert (box[:2] <= middle[:2]).all()
        assert (middle[:2] <= box[2:]).all()
        assert target.argmax() == (0 if box[0] == 8 else 7)
        assert 0 < target.max() <= 1
    assert assigned.target[0][~learning].sum() == 0


def test_a_teachers_doubt_lowers_what_is_to_be_scored() -> None:
    cells = centres(64, 64)
    sure = batch((8, 8, 40, 40, 0))
    doubted = batch((8, 8, 40, 40, 0))
    doubted.scores[:] = 0.25
    scores, boxes = (
        torch.rand(1, len(cells), len(CLASSES)),
        corners(torch.ones(1, len(cells), 4), cells),
    )
    high = assign(scores, boxes, cells, sure).weight
    low = assign(scores, boxes, cells, doubted).weight
    big = high > 0.05
    assert big.any()
    assert low[big].numpy() == pytest.approx(high[big].numpy() / 4, rel=1e-3)


def test_pictures_without_objects_have_a_loss_and_a_gradient() -> None:
    network = MultiScale(SMALL)
    cells = centres(64, 64)
    nothing = batch((0, 0, 0, 0, 0))
    nothing.scores[:] = 0
    off = multi_loss(network(nothing.images.repeat(2, 1, 1, 1))[:1], cells, nothing)
    off.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(off)
    assert network.out[0].bias.grad.abs().sum() > 0  # type: ignore[union-attr, operator]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]))
def test_boxes_lie_on_what_they_name_after_scaling_and_mirroring(seed: int, mosaic: float) -> None:
    pictures = draw_pictures(8, 128, seed)
    dice = torch.Generator().manual_seed(seed)
    how = Augmentation(mosaic=mosaic, light=0.0, grey=0.0)
    cut = draw(pictures, torch.randint(8, (4, 4), generator=dice), 128, how, dice)
    right = []
    for image, boxes, labels, scores in zip(cut.images, cut.boxes, cut.labels, cut.scores):
        for number, (box, name) in enumerate(zip(boxes, labels)):
            if scores[number] <= 0:
                continue
            assert box.min() >= 0
            assert box.max() <= 128
            others = torch.cat([boxes[:number], boxes[number + 1 :]])
            real = torch.cat([scores[:number], scores[number + 1 :]]) > 0
            if real.any() and iou(box, others[real]).max() > 0:
                continue  # another shape may cover this one
            x, y = ((box[:2] + box[2:]) / 2).int().tolist()
            colour = 255 * image[:, min(y, 127), min(x, 127)].numpy()
            right.append(np.abs(colour - SHAPES[CLASSES[int(name)]][1]).max() <= 40)
    # Of a round shape, a cut may leave a sliver whose middle is beside it.
    assert np.mean(right) >= (0.75 if mosaic else 1.0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 4]))
def test_a_processor_paints_what_a_gpu_samples(seed: int, fields: int) -> None:
    pictures = draw_pictures(8, 128, seed)
    dice = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.empty(*shape).uniform_(low, high, generator=dice)

    chosen = torch.randint(8, (4, fields), generator=dice)
    middle = uniform(30, 100, 4, 2) if fields == 4 else torch.full((4, 2), 128.0)
    how = Augmentation(light=0.3, grey=0.3)
    layout = _compose(pictures, chosen, middle, 128, how, uniform)[0]
    light = _light(4, how, uniform, torch.device("cpu"))
    sampled = _lit(_sample(pictures, layout, 128), light)
    painted = paint(pictures, layout, light, 128)
    # At the edges of pictures both blend with grey, but not over the same half pixel.
    assert float((painted - sampled).abs().mean()) < 0.006
    assert float((painted - sampled).abs().flatten().quantile(0.95)) < 0.02


def test_rare_classes_are_drawn_more_often() -> None:
    pictures = draw_pictures(60, 128, 0)
    pictures.scores[:] = 0
    pictures.labels[:] = 0
    pictures.scores[:50, 0] = 1
    pictures.labels[50, 0], pictures.scores[50, 0] = CLASSES.index("suitcase"), 1
    # Of 60 pictures one has it, where a tenth would be common: rarity 6.
    for power, most, often in [(0.5, 10, 6**0.5), (1, 10, 6), (1, 3, 3)]:
        frequency = weights(pictures, power, most)
        assert frequency[50] == pytest.approx(often)
        assert frequency[0] == 1
        assert frequency[55] == 0.5
    pictures.scores[50, 0] = 0.4  # a suitcase that the teacher doubts is mostly none
    assert weights(pictures, 1, 10)[50] == 0.5


@pytest.mark.parametrize("convolutions", ["separable", "plain"])
@pytest.mark.parametrize("kind", [MultiScale, SingleGrid])
def test_the_file_gives_the_networks_numbers(
    kind: type[MultiScale] | type[SingleGrid], convolutions: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = kind(replace(SMALL, kind=convolutions))
    for each in network.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            assert each.running_mean is not None
            assert each.running_var is not None
            each.running_mean.uniform_(-0.1, 0.1)
            each.running_var.uniform_(0.5, 1.5)
    graph = graph_of(network, 320)
    if kind is MultiScale:
        image = torch.rand(1, 3, 64, 96)
        with torch.inference_mode():
            codes, given = network.eval()(image)[0], graph(image * 255)[0].T
        expected = torch.cat([codes[:, :4], codes[:, 4:].sigmoid()], 1)
        assert torch.allclose(given, expected, atol=1e-4)
    described = export(graph, tmp_path / "small.onnx", "small", "1")
    assert check_parity(graph, tmp_path / "small.onnx") < 1e-4
    write_card(tmp_path / "small.onnx", described, summary="A test.", licence="MIT")
    detector = open_object_detector(tmp_path / "small.yaml", [CPU])
    rows = detector.rows(np.full((50, 90, 3), 90, np.uint8), 1e-6)
    assert rows.shape[1] == 6
    assert (rows[:, :2] >= 0).all()
    assert (rows[:, 0] + rows[:, 2] <= 90.1).all()


def test_whole_numbers_find_what_the_network_finds(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MultiScale(Widths((8, 8, 16, 16, 16), (1, 1, 1), 16, 8, "plain"))
    for each in network.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.weight.data.uniform_(0.5, 2)
    for out in network.out:
        torch.nn.init.normal_(out.weight, std=0.5)  # type: ignore[arg-type]
    graph = graph_of(network, 320)
    path = tmp_path / "small.onnx"
    described = export(graph, path, "small", "1")
    pictures = draw_pictures(24, 128, 0)
    quantise(path, seen(pictures, 32), described)

    weights = [
        onnx.numpy_helper.to_array(each)
        for each in onnx.load(path).graph.initializer
        if each.data_type == onnx.TensorProto.INT8 and len(each.dims) == 4
    ]
    whole = sum(isinstance(each, torch.nn.Conv2d) for each in network.modules()) - 3 - 3
    assert len(weights) == whole
    # Two products of 255 and 64 fit into the 16 bits in which some processors add them.
    assert max(abs(each.astype(int)).max() for each in weights) <= 64

    write_card(path, described, summary="A test.", licence="MIT")
    detector = open_object_detector(tmp_path / "small.yaml", [CPU])
    image = next(seen(draw_pictures(1, 128, 9), None))
    rows = detector._bound((128, 128))[0]
    rows.taken[0][:] = image[0]
    given = rows.run()[0]
    with torch.inference_mode():
        expected = graph(torch.from_numpy(image))[0].numpy()
    off = np.abs(given - expected)
    assert off[4:].mean() < 0.03
    assert np.corrcoef(given[4:].ravel(), expected[4:].ravel())[0, 1] > 0.97
    assert off[:4].mean() < 0.1


def test_calibration_looks_at_pictures_as_the_graph_takes_them() -> None:
    pictures = draw_pictures(10, 128, 0)
    pictures.sizes[:] = torch.tensor([90.0, 40.0])
    images = list(seen(pictures, 32, 4))
    assert [each.shape for each in images] == [(1, 3, 64, 96)] * 4
    assert (images[-1] == pictures.images[9:, :, :64, :96].numpy()).all()
    assert len(list(seen(pictures, None, 100))) == 10


def yolox(path: Path, last: int = 5 + len(COCO)) -> Path:
    """A graph of YOLOX's form for 64 x 64 pixels that sees a car in cell (2, 1) of stride 16."""
    cells = 64 + 16 + 4
    rows = np.zeros((1, cells, last))
    rows[0, 64 + 1 * 4 + 2, :5] = [0.5, 0.5, np.log(2), np.log(1), 0.9]
    rows[0, 64 + 1 * 4 + 2, 5 + COCO.index("car")] = 0.8
    model = build_model(
        [
            ("ReduceMean", ["images"], ["level"], {"keepdims": 0}),
            ("Mul", ["level", "nothing"], ["zero"], {}),
            ("Add", ["rows", "zero"], ["output"], {}),
        ],
        {"rows": rows, "nothing": np.array(0.0)},
        {},
        inputs={"images": [1, 3, 64, 64]},
        outputs={"output": [1, cells, last]},
    )
    onnx.save(model, str(path))
    return path


def test_a_converted_yolox_finds_what_it_codes(tmp_path: Path) -> None:
    source = yolox(tmp_path / "nano.onnx")
    done = CliRunner().invoke(cli, ["objects", "--convert", str(source), "--out", f"{tmp_path}/m"])
    assert done.exit_code == 0, done.output
    detector = open_object_detector(tmp_path / "m/nano.yaml", [CPU])
    (car,) = detector.detect(np.zeros((128, 128, 3), np.uint8))
    assert car.name == "car"
    assert car.score == pytest.approx(0.72)
    # The middle is (2.5, 1.5) x 16 in the input, which shows the picture at half its size.
    assert car.box == pytest.approx((2 * (40 - 16), 2 * (24 - 8), 64, 32), abs=0.1)


def test_what_is_no_yolox_is_not_converted(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must give \(1, 84, 85\)"):
        convert_yolox(yolox(tmp_path / "other.onnx", last=25), tmp_path / "m", "other")
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not an ONNX graph"):
        convert_yolox(tmp_path / "bad.onnx", tmp_path / "m", "bad")


def test_average_precision_is_one_for_who_knows_and_half_for_who_knows_half() -> None:
    truth = {
        "images": [{"id": n, "file_name": str(n), "width": 100, "height": 100} for n in (1, 2)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [10.0, 10.0, 40.0, 40.0],
             "area": 1600.0, "iscrowd": 0}
            for n in (1, 2)
        ],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(CLASSES)],
    }  # fmt: skip
    marked = Marked([(n, np.full((100, 100, 3), n, np.uint8)) for n in (1, 2)], truth)

    def knowing(*pictures: int) -> Any:
        def rows(image: Any, *_: Any, **__: Any) -> Any:
            known = int(image[0, 0, 0]) in pictures
            return np.float32([[10, 10, 40, 40, 0.9, 0]] if known else []).reshape(-1, 6)

        return SimpleNamespace(card=SimpleNamespace(name="x"), classes=["person"], rows=rows)

    everything, half, nothing = measure([knowing(1, 2), knowing(1), knowing()], marked)
    assert everything.map50 == everything.map == pytest.approx(1)
    assert half.map50 == pytest.approx(0.5, abs=0.01)
    assert nothing.map50 == 0


def test_help_of_the_evaluation_names_the_files_that_are_written() -> None:
    said = CliRunner().invoke(cli, ["evaluate", "objects", "--help"]).stdout
    assert "Folder for curve.png and report.json." in " ".join(said.split())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["separable", "plain"])
def test_a_quick_run_learns_drawn_shapes(
    kind: str, tmp_path: Path, quick_check: Callable[[Path], float]
) -> None:
    folders = ["--out", f"{tmp_path}/m", "--work", f"{tmp_path}/w"]
    arguments = ["objects", "--quick", "--network", kind, *folders]
    done = CliRunner().invoke(cli, [*arguments, "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert quick_check(tmp_path / "m/objects.yaml") > 0.25


@pytest.mark.parametrize("option", ["--side", "--input-side", "--early-side"])
def test_sides_that_no_grid_fits_are_refused(option: str) -> None:
    done = CliRunner().invoke(cli, ["objects", option, "330", "--quick"])
    assert done.exit_code == 2
    assert "330 is no multiple of 32; 320 and 352 are" in done.output


def test_shipping_needs_pictures_that_show_how_large_numbers_become() -> None:
    done = CliRunner().invoke(cli, ["objects", "--step", "ship"])
    assert done.exit_code == 2
    assert "give --pictures" in done.output


def test_a_set_without_its_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.tar").touch()
    done = CliRunner().invoke(cli, ["objects", "--pictures", str(tmp_path / "set.tar")])
    assert isinstance(done.exception, SourceError)
    assert "set.json" in str(done.exception)


def test_what_cannot_be_gone_on_from_is_refused_with_its_reason(tmp_path: Path) -> None:
    source = yolox(tmp_path / "nano.onnx")
    card = convert_yolox(source, tmp_path / "m", "nano")
    with pytest.raises(ModelError, match=r"nano.yaml: recipe.widths: missing; go on from a model"):
        Start(card)


@pytest.fixture
def quick_check() -> Callable[[Path], float]:
    """Mean average precision of a detector on drawn pictures that it has not learnt."""

    def check(card: Path) -> float:
        drawn = draw_pictures(24, 128, 1)
        images = drawn.images.permute(0, 2, 3, 1).numpy()
        annotations = [
            {"id": 1 + 40 * n + k, "image_id": n + 1, "category_id": int(drawn.labels[n, k]) + 1,
             "bbox": [float(x), float(y), float(r - x), float(b - y)],
             "area": float((r - x) * (b - y)), "iscrowd": 0}
            for n in range(24) for k, (x, y, r, b) in enumerate(drawn.boxes[n])
            if drawn.scores[n, k] > 0
        ]  # fmt: skip
        truth = {
            "images": [{"id": n + 1, "file_name": str(n), "width": 128, "height": 128}
                       for n in range(24)],
            "annotations": annotations,
            "categories": [{"id": n + 1, "name": name} for n, name in enumerate(CLASSES)],
        }  # fmt: skip
        marked = Marked([(n + 1, images[n]) for n in range(24)], json.loads(json.dumps(truth)))
        detector = open_object_detector(card, [CPU])
        assert detector.card.input.width == 128  # as it learnt
        return measure([detector], marked)[0].map50

    return check
