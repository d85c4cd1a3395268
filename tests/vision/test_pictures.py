from pathlib import Path

import pytest

from daemon.errors import SourceError
from daemon.vision.pictures import list_pictures, read_image


def test_folders_patterns_and_files_are_listed_once_and_in_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        (tmp_path / name).touch()
    missing = tmp_path / "missing.jpg"

    found = list_pictures([tmp_path, tmp_path / "*.jpg", missing])

    assert found == [tmp_path / "a.PNG", tmp_path / "b.jpg", missing]


def test_a_pattern_and_a_folder_without_pictures_are_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file fits"):
        list_pictures([tmp_path / "*.jpg"])
    with pytest.raises(SourceError, match="holds no pictures"):
        list_pictures([tmp_path])


def test_among_others_what_stands_for_nothing_can_be_skipped(tmp_path: Path) -> None:
    picture, empty, pattern = tmp_path / "a.jpg", tmp_path / "empty", tmp_path / "*.webp"
    picture.touch()
    empty.mkdir()
    skipped: dict[Path, str] = {}

    found = list_pictures([empty, picture, pattern], skip=skipped.__setitem__)

    assert found == [picture]
    assert skipped[empty].startswith("holds no pictures (")
    assert skipped[pattern] == "no file fits this pattern"
    with pytest.raises(SourceError, match="holds no pictures"):
        list_pictures([empty], skip=skipped.__setitem__)


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    odd = tmp_path / "[1].jpg"
    odd.touch()

    assert list_pictures([odd]) == [odd]


def test_a_damaged_picture_is_said_in_porters_words_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"GIF89a\x01\x00")
    with pytest.raises(SourceError, match=r"a\.jpg: not a picture, or damaged"):
        read_image(file)
    assert capfd.readouterr() == ("", "")
