"""Feature networks: their file, their teacher, VGG-19, and equal loudness."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import helper, numpy_helper
from torch import nn

from daemon.errors import ModelError, SourceError
from export.cli import cli
from export.features import graph, vgg19
from export.features.material import UNKNOWN, draw, drawn, gather
from export.features.model import (
    Features,
    LearningFeatures,
    equally_loud,
    gram,
    random_network,
)
from export.squeezenet import SqueezeNet
from export.squeezenet import load as load_teacher
from tests.vision.painters import scene

WIDTHS = ((5,), (7,), (6, 9))


def squares(count: int, side: int = 32) -> torch.Tensor:
    pictures = np.stack([scene(each, side, side) for each in range(count)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def test_a_network_comes_back_from_its_file(tmp_path):
    network = random_network(WIDTHS, 1)
    path = tmp_path / "features.onnx"
    graph.write(network, path)
    again = graph.read(path)
    assert again.widths == network.widths
    assert again.content == network.content
    for block, other in zip(network.blocks, again.blocks):
        for layer, copy in zip(block, other):
            assert all(np.array_equal(one, two) for one, two in zip(layer, copy))


def test_another_file_is_no_feature_network(tmp_path):
    for name, content in (("empty.onnx", b""), ("text.onnx", b"no model")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match="not a feature network"):
            graph.read(tmp_path / name)
    with pytest.raises(ModelError, match="no such file"):
        graph.read(tmp_path / "none.onnx")


def test_equal_loudness_scales_channels_and_nothing_else():
    network = random_network(WIDTHS, 2)
    pictures = squares(6)
    loud, plain = (Features(each)(pictures) for each in (equally_loud(network, pictures), network))
    for one, two in zip([*loud.styles, loud.content], [*plain.styles, plain.content]):
        means = one.mean((0, 2, 3))
        assert (means <= 1.0001).all()
        assert means.median() == pytest.approx(1.0, abs=1e-3)
        ratio = means / two.mean((0, 2, 3))
        torch.testing.assert_close(one, two * ratio.view(1, -1, 1, 1), rtol=1e-3, atol=1e-4)


def test_what_has_learnt_is_the_same_without_batch_norm():
    torch.manual_seed(0)
    learning = LearningFeatures(((5,), (7,), (6,), (9, 9)))
    learning(squares(8))  # moves the running means
    learning.eval()
    with torch.no_grad():
        expected = learning(squares(3))
        folded = Features(learning.fold())(squares(3))
    torch.testing.assert_close(folded.content, expected[-1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(folded.styles[1], expected[1], rtol=1e-3, atol=1e-4)


def test_gram_matrices_do_not_grow_with_the_picture():
    picture = squares(1)
    twice = torch.cat([picture, picture], 3)
    torch.testing.assert_close(gram(twice), gram(picture))


def test_the_teacher_is_read_from_its_file(tmp_path):
    torch.manual_seed(0)
    original = SqueezeNet()
    stored = []
    convolutions = {"conv1": original.first, "conv10": original.last}
    for number, fire in original.fires.items():
        convolutions |= {f"fire{number}/{name}": each for name, each in fire.named_children()}
    for name, conv in convolutions.items():
        for values, suffix in ((conv.weight, "w_0"), (conv.bias, "b_0")):
            array = values.detach().numpy().astype(np.float16)
            stored.append(numpy_helper.from_array(array, f"{name}_{suffix}"))
    path = tmp_path / "squeezenet.onnx"
    onnx.save(helper.make_model(helper.make_graph([], "squeezenet", [], [], stored)), str(path))
    teacher = load_teacher(path)
    picture = squares(2, 96)
    with torch.no_grad():
        for seen, expected, stride in zip(teacher(picture), original(picture), (2, 4, 8, 16)):
            assert seen.shape[2:] == (96 // stride - 1, 96 // stride - 1)
            torch.testing.assert_close(seen, expected, rtol=0.02, atol=0.2)
        answer = teacher.answer(seen)
        assert answer.shape == (len(picture), 1000)
        torch.testing.assert_close(answer, original.answer(expected), rtol=0.02, atol=0.2)


def test_another_teacher_is_refused(tmp_path):
    path = tmp_path / "other.onnx"
    onnx.save(helper.make_model(helper.make_graph([], "other", [], [])), str(path))
    with pytest.raises(ModelError, match=r"not SqueezeNet 1\.1"):
        load_teacher(path)
    with pytest.raises(ModelError, match="no such file"):
        load_teacher(tmp_path / "none.onnx")
    path.write_bytes(b"no model")
    with pytest.raises(ModelError, match="not an ONNX file"):
        load_teacher(path)


def thin_vgg19() -> nn.Sequential:
    """VGG-19 as torchvision builds it, with few channels, and averages as in the paper."""
    layers: list[nn.Module] = []
    inputs = 3
    for count, outputs in zip((2, 2, 4, 4, 4), (4, 6, 8, 8, 8)):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
        layers.append(nn.AvgPool2d(2))
    return nn.Sequential(*layers)


def test_vgg19_becomes_a_feature_network(tmp_path):
    torch.manual_seed(4)
    original = thin_vgg19()
    path = tmp_path / "vgg19.pth"
    torch.save({f"features.{name}": each for name, each in original.state_dict().items()}, path)
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for number in range(3):
        cv2.imwrite(str(photographs / f"{number}.png"), scene(number, 240, 230))
    (photographs / "text.jpg").write_text("no picture")
    (photographs / "empty.jpg").touch()
    arguments = [str(path), "--pictures", str(photographs), "--out", str(tmp_path)]
    done = CliRunner().invoke(cli, ["convert-vgg19", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for name in ("text", "empty"):
        assert f"{name}.jpg: not a picture, or damaged; skipped" in done.stderr
    network = graph.read(tmp_path / "vgg19.onnx")
    assert [len(each) for each in network.blocks] == [2, 2, 4, 4, 1]

    picture = squares(1, 64)
    mean, deviation = (torch.from_numpy(each).view(1, 3, 1, 1) for each in
                       (network.mean, network.deviation))  # fmt: skip
    with torch.no_grad():
        x = (picture - mean) / deviation
        conv4_2 = original[:23](x)
        found = Features(network)(picture).content
    for channel, expected in zip(found[0], conv4_2[0]):
        factor = (channel * expected).sum() / expected.square().sum().clamp_min(1e-12)
        torch.testing.assert_close(channel, factor * expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("flaw", ["text", "another network", "too few"])
def test_what_is_not_vgg19_is_refused(tmp_path, flaw):
    path = tmp_path / "vgg19.pth"
    if flaw == "text":
        path.write_text("no weights")
    elif flaw == "another network":
        torch.save({"fc.weight": torch.zeros(3)}, path)
    else:
        state = {f"features.{name}": each for name, each in thin_vgg19()[:10].state_dict().items()}
        torch.save(state, path)
    with pytest.raises(ModelError, match=r"not .*VGG-19"):
        vgg19.convert(path, drawn(0, 10).learning)


def test_pictures_are_gathered_by_label_and_split(tmp_path):
    import tarfile

    rows = ["path,label,split"]
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for number in range(4):
            file = tmp_path / f"{number}.png"
            cv2.imwrite(str(file), scene(number, 50 + number, 40))
            tar.add(file, f"set/{number}.png")
            rows.append(f"set/{number}.png,{'ab'[number % 2]},{'val' if number == 3 else 'train'}")
    (tmp_path / "set.csv").write_text("\n".join(rows) + "\n")
    more = tmp_path / "more"
    more.mkdir()
    cv2.imwrite(str(more / "x.png"), scene(7))
    material = gather(tmp_path / "set.tar", [more], 24)
    assert material.classes == ("a", "b")
    assert material.learning.labels.tolist() == [0, 1, 0, UNKNOWN]
    assert material.checking.labels.tolist() == [1]
    assert material.learning.images.shape == (4, 3, 24, 24)
    parts, labels = draw(material.learning, 9, 16, torch.Generator().manual_seed(0))
    assert parts.shape == (9, 3, 16, 16)
    assert 0 <= float(parts.min()) < float(parts.max()) <= 1
    assert set(labels.tolist()) <= {0, 1, UNKNOWN}
    with pytest.raises(SourceError, match="no pictures to learn from"):
        gather(None, [], 24)
