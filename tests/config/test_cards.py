"""A model file is used only if it is the one that its card describes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from daemon import documents
from daemon.audio.words.cards import WordEncoderCard
from daemon.cards import (
    ModelCard,
    WakeCard,
    check_files,
    check_metadata,
    effective_words,
    find_card,
    load_wake_card,
    read_card,
)
from daemon.config import WordOverride
from daemon.errors import ConfigError, ModelError
from daemon.paths import shipped_models
from daemon.vision.cards import DetectorCard, EncoderCard
from daemon.vision.light.card import LightCard
from daemon.vision.objects.card import ObjectCard
from daemon.vision.style.cards import FastStyleCard, GradientCard

CARDS = (
    WakeCard,
    WordEncoderCard,
    EncoderCard,
    DetectorCard,
    LightCard,
    ObjectCard,
    GradientCard,
    FastStyleCard,
)
CONTENT = b"an ONNX graph, as far as a checksum is concerned"


def facts(name: str = "hello", **changes: Any) -> dict[str, Any]:
    word = {
        "word": name,
        "threshold": 0.6,
        "smoothing": 3,
        "refractory": 1.0,
        "duration": 0.5,
        "delay": 0.1,
    }
    return {
        "kind": "wake",
        "name": name,
        "version": "1",
        "file": f"{name}.onnx",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "licence": "MIT",
        "summary": "a test",
        "input": {"sample_rate": 16000, "hop": 1280},
        "words": [word],
    } | changes


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("PORTER_MODELS", str(folder))
    return folder


def put(folder: Path, name: str = "hello", content: bytes = CONTENT, **changes: Any) -> Path:
    (folder / f"{name}.onnx").write_bytes(content)
    card = folder / f"{name}.yaml"
    card.write_text(documents.dump(facts(name, **changes)))
    return card


def problem(model: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        load_wake_card(model)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_model_is_found_by_name_card_or_file(models, monkeypatch):
    path = put(models, data=["anything"], recipe={"free": {1: "form"}}, figures={"misses": 0.1})
    monkeypatch.chdir(models)
    for model in ("hello", path, str(path), models / "hello.onnx", "hello.yaml", "./hello.onnx"):
        card = load_wake_card(model)
        assert card.path == models / "hello.onnx"
        assert [word.word for word in card.words] == ["hello"]
        assert card.figures == {"misses": 0.1}


def test_own_models_come_before_those_that_ship(models):
    for card in shipped_models().glob("*.yaml"):
        assert find_card(card.stem) == card
        own = put(models, card.stem)
        assert find_card(card.stem) == own


def test_every_model_that_ships_is_what_its_card_says():
    kinds = {get_args(card.model_fields["kind"].annotation)[0]: card for card in CARDS}
    for path in shipped_models().glob("*.yaml"):
        card = read_card(path, kinds.get(documents.read(path).data["kind"], ModelCard))
        check_files(card)
        assert card.name == path.stem


def test_no_such_model(models):
    put(models)
    assert problem("helo").endswith("did you mean 'hello'?")
    assert str(models) in problem("helo")
    assert problem(models / "none.onnx") == f"{models}/none.onnx: no such file"
    assert problem("hello.yaml") == "hello.yaml: no such file; did you mean 'hello'?"
    (models / "alone.onnx").write_bytes(CONTENT)
    assert f"no model card {models}/alone.yaml; copy both" in problem(models / "alone.onnx")
    assert problem("").count("no such model") == 1
    assert problem("nul\0").count("no such model") == 1


def test_the_file_is_missing(models):
    path = put(models)
    (models / "hello.onnx").unlink()
    assert problem(path) == (f"{models}/hello.onnx: missing; its card is there: copy the model too")


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"\n", b"something else"])
def test_the_file_is_truncated_or_altered(models, content):
    message = problem(put(models, content=content))
    assert message.startswith(f"{models}/hello.onnx: damaged or not the file that its card desc")
    assert hashlib.sha256(content).hexdigest()[:12] in message
    assert "copy model and card again" in message


def test_the_file_is_empty(models):
    assert problem(put(models, content=b"")) == f"{models}/hello.onnx: empty; copy the model again"


def test_the_file_is_that_of_another_card(models):
    put(models, "other", content=b"other", sha256=hashlib.sha256(b"other").hexdigest())
    message = problem(put(models, content=b"other"))
    assert message == (
        f"{models}/hello.onnx: this is the model of other.yaml; copy the right one in its place"
    )


def test_the_file_is_a_folder(models):
    path = put(models)
    (models / "hello.onnx").unlink()
    (models / "hello.onnx").mkdir()
    assert problem(path) == f"{models}/hello.onnx: cannot be read: Is a directory"


def test_a_verifier_is_checked_too(models):
    word = facts()["words"][0]
    verifier = {"loose_threshold": 0.3, "threshold": 0.5, "file": "hello.verify.onnx"}
    (models / "hello.verify.onnx").write_bytes(b"second")
    good = {"sha256": hashlib.sha256(b"second").hexdigest()}
    card = load_wake_card(put(models, words=[word | {"verifier": verifier | good}]))
    assert card.words[0].verifier is not None
    assert card.beside(card.words[0].verifier.file) == models / "hello.verify.onnx"
    path = put(models, words=[word | {"verifier": verifier | {"sha256": "0a" * 32}}])
    assert problem(path).startswith(f"{models}/hello.verify.onnx: damaged")


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        (
            {"kind": "face"},
            "kind",
            "must be 'wake' here, not 'face'; this is another kind of model",
        ),
        ({"sha256": "abc"}, "sha256", "must be 64 lower-case hexadecimal digits"),
        ({"version": 1}, "version", "must be text, not 1"),
        ({"file": "../hello.onnx"}, "file", "must be the name of a file beside the card"),
        ({"colour": "red"}, "colour", "unknown setting"),
        ({"licence": ""}, "licence", "must be text that is not empty"),
        ({"input": {"sample_rate": 8000, "hop": 1280}}, "input.sample_rate", "16000, not 8000"),
        ({"input": None}, "input.sample_rate", "is missing"),
        ({"words": []}, "words", "must be a list that is not empty"),
        ({"words": facts()["words"] * 2}, "words", "hello is listed twice"),
        ({"words": [facts()["words"][0] | {"threshold": 1.5}]}, "words[0].threshold", "less than"),
        ({"words": [facts()["words"][0] | {"smoothing": 2.5}]}, "words[0].smoothing", "whole num"),
    ],
)
def test_a_wrong_card_names_line_and_field(models, changes, field, said):
    path = put(models, **changes)
    with pytest.raises(ModelError) as caught:
        load_wake_card(path)
    first = str(caught.value).splitlines()[0]
    assert field != "kind" or str(caught.value) == first, "the rest follows from it"
    place, _, what = first.partition(": ")
    line = int(place.removeprefix(f"{path}:"))
    last = field.split(".")[-1].split("[")[0]
    text = path.read_text().splitlines()[line - 1]
    assert last in text or "missing" in what
    assert what.startswith(f"{field}: ")
    assert said in what


def test_a_card_that_is_not_yaml(models):
    path = put(models)
    path.write_text("kind: wake\nwords: [\n")
    assert problem(path).startswith(f"{path}:2:")
    path.write_text("")
    with pytest.raises(ModelError, match="kind: is missing"):
        load_wake_card(path)


def test_the_metadata_must_match(models):
    card = read_card(put(models), WakeCard)
    own = {
        "kind": "wake",
        "name": "hello",
        "version": "1",
        "words": ["hello"],
        "sample_rate": 16000,
        "hop": 1280,
    }
    check_metadata(card, {"porter": json.dumps(own), "other": "x"})
    for name, value in [("name", "bye"), ("words", ["bye"]), ("hop", 640), ("version", "2")]:
        with pytest.raises(ModelError, match=f"its {name} is .* but its card says"):
            check_metadata(card, {"porter": json.dumps(own | {name: value})})
    for nothing in ({}, {"porter": "{"}, {"porter": "[]"}):
        with pytest.raises(ModelError, match="not a Porter model"):
            check_metadata(card, nothing)


def test_overrides_replace_what_they_name(models):
    card = read_card(put(models), WakeCard)
    (word,) = effective_words(card, {"hello": WordOverride(threshold=0.9)})
    assert (word.threshold, word.smoothing, word.refractory) == (0.9, 3, 1.0)
    assert effective_words(card, {}) == card.words
    with pytest.raises(ConfigError, match=r"wake.models.words.helo: .* did you mean 'hello'\?"):
        effective_words(card, {"helo": WordOverride()})
