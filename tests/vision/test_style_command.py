"""`porter style`, as a person calls it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from daemon.cli.style import command
from tests.vision.painters import scene, write_features, write_negative
from tests.vision.pictures import write_video

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_features(folder)
    write_negative(folder)
    return folder


@pytest.fixture
def room(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "content.png"), scene(1, 90, 60))
    cv2.imwrite(str(tmp_path / "style.png"), scene(2, 64, 64, 2))
    return tmp_path


def start(models: Path, *arguments: str | Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "daemon.cli.main", "style", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PORTER_MODELS": str(models)} | more,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def style(models: Path, *arguments: str | Path, **more: str) -> tuple[int, str, str]:
    process = start(models, *arguments, **more)
    out, err = process.communicate(timeout=100)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def test_one_painting(models, room):
    out = room / "new" / "painted.jpg"
    code, said, err = style(
        models, room / "content.png", room / "style.png", "-o", out,
        "--size", "64", "--steps", "20", "--preview", room / "steps",
    )  # fmt: skip
    assert code == 0, err
    assert "20 steps, style" in said
    assert cv2.imread(str(out)).shape == (43, 64, 3)
    assert (room / "steps/painted-0001.jpg").exists()
    assert (room / "steps/painted-0020.jpg").exists()


def test_several_contents_and_a_broken_one(models, room):
    contents = room / "contents"
    contents.mkdir()
    for number in range(2):
        cv2.imwrite(str(contents / f"{number}.png"), scene(number))
    (contents / "empty.jpg").touch()
    (contents / "text.jpg").write_text("no picture")
    code, said, err = style(
        models, contents, room / "style.png", "-o", room / "out", "--json",
        "--size", "64", "--steps", "8", "--optimiser", "adam", "--keep-colours",
    )  # fmt: skip
    assert code == 0, err
    facts = json.loads(said)
    assert [Path(each["out"]).name for each in facts["paintings"]] == ["0.jpg", "1.jpg"]
    assert all(each["loss"]["total"] < each["start"]["total"] for each in facts["paintings"])
    assert len(facts["skipped"]) == 2
    assert "2 of 4 pictures skipped" in err


def test_names_that_meet_in_one_folder_are_numbered(models, room):
    other = room / "other"
    other.mkdir()
    cv2.imwrite(str(other / "content.png"), scene(9))
    code, _, err = style(
        models, "--fast", "negative", room / "content.png", other / "content.png",
        "-o", room / "out",
    )  # fmt: skip
    assert code == 0, err
    assert {each.name for each in (room / "out").iterdir()} == {"content.jpg", "content-2.jpg"}


def test_painting_at_once(models, room):
    out = room / "painted.png"
    code, said, err = style(models, "--fast", "negative", room / "content.png", "-o", out)
    assert code == 0, err
    assert "painted.png" in said
    np.testing.assert_array_equal(cv2.imread(str(out)), 255 - scene(1, 90, 60))


@pytest.mark.parametrize(("written", "named"), [("walk.avi", "walk.avi"), ("walk.mp4", "walk.m4v")])
def test_a_video_is_painted_picture_by_picture(written, named, models, room):
    video = write_video(room / written, [scene(each, 64, 48) for each in range(7)])
    video = video.rename(room / named)
    out = room / "painted.mp4"
    code, said, err = style(models, "--fast", "negative", video, "-o", out, "--json")
    assert code == 0, err
    assert json.loads(said)["paintings"][0]["pictures"] == 7
    capture = cv2.VideoCapture(str(out))
    got, picture = capture.read()
    assert got
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 7
    off = np.abs(picture.astype(int) - (255 - scene(0, 64, 48)))
    assert off.mean() < 25, "the negative, but for what coding loses"


def test_an_interruption_keeps_the_best_so_far(models, room):
    out = room / "painted.jpg"
    process = start(
        models, room / "content.png", room / "style.png", "-o", out,
        "--size", "256", "--steps", "10000", "--preview", room / "steps", "--json",
    )  # fmt: skip
    ends = time.monotonic() + 60
    while not list((room / "steps").glob("*-0001.jpg")):
        assert time.monotonic() < ends
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    facts = json.loads(said)
    assert facts["interrupted"]
    assert facts["paintings"][0]["interrupted"]
    assert cv2.imread(str(out)) is not None


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (["content.png", "nothing.png"], 66, "nothing.png: cannot be read"),
        (["nothing.png", "style.png"], 66, "nothing.png: cannot be read"),
        (["*.gif", "style.png"], 66, "no file fits this pattern"),
        (["content.png", "style.png", "--features", "negative"], 65, "style-gradient"),
        (["content.png", "--fast", "features"], 65, "style-fast"),
        (["content.png", "--fast", "negativ"], 65, "did you mean 'negative'?"),
        (["content.png", "--fast", "negative", "--steps", "3"], 2, "--steps: not with --fast"),
        (["content.png"], 2, "give CONTENT and STYLE"),
        (["content.png", "style.png", "--init", "noise", "--seed", "-1"], 2, "--seed"),
        (["content.png", "style.png", "--style-size", "1025"], 2, "--style-size"),
        (["content.png", "style.png", "--style-weight", "nan"], 2, "'nan' is no number"),
        (["content.png", "style.png", "--size", "2000"], 2, "at most 1024"),
        (["content.png", "style.png", "-o", "painted.gif"], 2, "no picture's name"),
        (["walk.avi", "--fast", "negative", "-o", "painted.jpg"], 2, "no video's name"),
        (["walk.avi", "style.png", "-o", "k.jpg"], 2, "walk.avi: videos need --fast MODEL"),
        (["walk.avi", "style.png", "-o", "k.mp4"], 2, "walk.avi: videos need --fast MODEL"),
        (["content.png", "style.png", "style.png"], 2, "2 paintings need a folder"),
        (["content.png", "style.png", "-o", "style.png/x.jpg"], 74, "cannot be made"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(models, room, change, code, says):
    paths = [str(room / each) if "." in each else each for each in change]
    quick = [] if "--fast" in change or "--size" in change else ["--size", "64", "--steps", "2"]
    out = [] if "-o" in change else ["-o", str(room / "painted.jpg")]
    found, _, err = style(models, *paths, *quick, *out)
    assert found == code, err
    assert says in err


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["content.png", "style.png"], "content.png"),
        (["content.png", "style.png"], "style.png"),
        (["content.png", "style.png"], "link.png"),
        (["content.png", "style.png"], "there/../content.png"),
        (["contents", "there/1.jpg"], "there"),
        (["--fast", "negative", "content.png"], "link.png"),
        (["--fast", "negative", "there/1.jpg", "content.png"], "there"),
        (["--fast", "negative", "walk.avi"], "walk.avi"),
    ],
)
def test_what_is_read_is_never_painted_over(room, arguments, out):
    (room / "there").mkdir()
    (room / "contents").mkdir()
    (room / "link.png").symlink_to(room / "content.png")
    for name in ("there/1.jpg", "contents/1.jpg"):
        cv2.imwrite(str(room / name), scene(3))
    write_video(room / "walk.avi", [scene(each, 64, 48) for each in range(3)])
    before = {each: each.read_bytes() for each in room.rglob("*.*")}
    given = [each if each in ("--fast", "negative") else room / each for each in arguments]
    found = CliRunner().invoke(command, [*map(str, given), "-o", str(room / out)])
    assert found.exit_code == 2, found.output
    assert "choose another name or folder with -o" in " ".join(found.output.split())
    assert {each: each.read_bytes() for each in room.rglob("*.*")} == before


def test_a_large_content_is_reduced_unless_a_size_is_given(room, models, monkeypatch):
    monkeypatch.setenv("PORTER_MODELS", str(models))
    monkeypatch.setattr("daemon.vision.style.fast.MOST_PIXELS", 60 * 40)
    film = write_video(room / "walk.avi", [scene(each, 90, 60) for each in range(2)])
    still = room / "content.png"
    base = ["--fast", "negative", str(still), str(film), "-o", str(room / "out")]
    found = CliRunner().invoke(command, base)
    assert found.exit_code == 0, found.output
    for each in (still, film):
        assert f"{each}: reduced from 90 to 60 pixels" in found.stderr
    assert cv2.imread(str(room / "out/content.jpg")).shape == (40, 60, 3)
    assert cv2.VideoCapture(str(room / "out/walk.mp4")).read()[1].shape == (40, 60, 3)
    found = CliRunner().invoke(command, [*base, "--size", "90"])
    assert "reduced" not in found.stderr
    assert cv2.imread(str(room / "out/content.jpg")).shape == (60, 90, 3)


def test_contents_that_stand_for_nothing_are_skipped(room, models, monkeypatch):
    monkeypatch.setenv("PORTER_MODELS", str(models))
    (room / "empty").mkdir()
    given = [str(room / each) for each in ("empty", "content.png", "*.webp")]
    for more in ((), ("style.png",)):
        how = ["--size", "64", "--steps", "1"] if more else ["--fast", "negative"]
        style = [str(room / each) for each in more]
        found = CliRunner().invoke(command, [*given, *style, *how, "-o", str(room / "out")])
        assert found.exit_code == 0, found.output
        assert "content.png ->" in found.stdout
        assert "no file fits this pattern; skipped" in found.stderr
        assert "2 of 3 pictures skipped" in found.stderr


def test_videos_of_a_folder_are_painted_at_once(room, models, monkeypatch):
    monkeypatch.setenv("PORTER_MODELS", str(models))
    (room / "films").mkdir()
    write_video(room / "films/walk.avi", [scene(each, 64, 48) for each in range(3)])
    out = room / "out"
    given = ["--fast", "negative", str(room / "films"), "-o", str(out)]
    assert CliRunner().invoke(command, given).exit_code == 0
    assert [each.name for each in out.iterdir()] == ["walk.mp4"]
    cv2.imwrite(str(room / "films/a.png"), scene(3))
    assert CliRunner().invoke(command, given).exit_code == 0
    assert {each.name for each in out.iterdir()} == {"walk.mp4", "a.jpg"}


def test_a_video_that_is_cut_short_is_counted_once(room, models, monkeypatch):
    monkeypatch.setenv("PORTER_MODELS", str(models))
    video = write_video(room / "half.avi", [scene(each, 64, 48) for each in range(40)])
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    (room / "none.avi").touch()
    given = [str(video), str(room / "none.avi"), "-o", str(room / "out"), "--json"]
    found = CliRunner().invoke(command, ["--fast", "negative", *given])
    assert found.exit_code == 0, found.output
    facts = json.loads(found.stdout)
    assert [each["cut_short"] for each in facts["paintings"]] == [True]
    assert 0 < facts["paintings"][0]["pictures"] < 36
    assert len(facts["skipped"]) == 1
    assert f"{video}: truncated: " in found.stderr
    assert "cut short there, what comes before is used" in found.stderr
    assert "1 of 2 pictures skipped" in found.stderr


def test_help_names_networks_that_ship():
    said = CliRunner().invoke(command, ["--help"]).stdout
    named = set(re.findall(r"--fast (style-\S+)|\((style-[a-z-]+)", said))
    assert named
    for name in {each for pair in named for each in pair if each}:
        assert (ROOT / "models" / f"{name}.yaml").is_file(), name


def test_without_scipy_one_line_says_how_to_get_it(models, room, tmp_path):
    fake = tmp_path / "fake/scipy"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise ImportError('not here')")
    path = f"{fake.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    both = (room / "content.png", room / "style.png", "--size", "64", "--steps", "2")
    code, _, err = style(models, *both, "-o", room / "a.jpg", PYTHONPATH=path)
    assert code == 1
    assert "pip install -c constraints.txt '.[desk]'" in err
    code, _, err = style(
        models, *both, "-o", room / "a.jpg", "--optimiser", "adam", PYTHONPATH=path
    )
    assert code == 0, err


def test_neither_torch_nor_onnx_is_imported(models, room):
    program = (
        "import sys\nfrom daemon.cli.main import main\n"
        f"sys.argv[1:] = {['style', str(room / 'content.png'), str(room / 'style.png')]!r} + "
        f"['-o', {str(room / 'a.jpg')!r}, '--size', '64', '--steps', '3']\n"
        "try: main()\nexcept SystemExit as done: assert not done.code\n"
        "heavy = [n for n in ('torch', 'onnx', 'export') if n in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=os.environ | {"PORTER_MODELS": str(models)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
