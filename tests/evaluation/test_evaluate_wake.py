"""`porter-export evaluate wake` on recordings whose right answer is known."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner, Result

from export.evaluate_cli import evaluate

from .conftest import Corpus, quiet, tone


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(evaluate, ["wake", *map(str, arguments)])


def report(*arguments: str | Path) -> dict[str, Any]:
    result = run("--json", *arguments)
    assert result.exit_code == 0, result.output
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


def test_counts_are_exact(tone_model: Path, said: Corpus, unsaid: Corpus) -> None:
    facts = report(
        "--model", tone_model, "--positives", said.manifest, "--negatives", unsaid.manifest
    )
    assert facts["positive_clips"] == 5
    assert facts["negative_clips"] == 3
    assert facts["negative_hours"] == pytest.approx(3 * 2.4 / 3600)
    measured = facts["evaluations"]["tone, clean"]
    assert measured["rule"] == {"threshold": 0.3, "smoothing": 2, "refractory": 1.0}
    assert measured["at_threshold"]["misses"]["count"] == 2
    assert measured["at_threshold"]["false_accepts"]["count"] == 2
    points = measured["at_false_accepts"]
    assert list(points) == ["0", "1", "3"]
    # Amplitudes: words 0.9 0.7 0.5 0.2 0.1, negatives 0.6 0.4 0.15.
    assert [points[n]["misses"]["count"] for n in points] == [3, 2, 0]
    assert 0.55 < points["0"]["threshold"] < 0.65
    assert 0.35 < points["1"]["threshold"] < 0.45
    assert points["1"]["false_accepts"]["count"] == 1


def test_groups_by_label_source_and_speaker(tone_model: Path, said: Corpus, unsaid: Corpus) -> None:
    facts = report(
        "--model", tone_model, "--positives", said.manifest, "--negatives", unsaid.manifest
    )
    groups = facts["evaluations"]["tone, clean"]["by"]
    speakers = {group["name"]: group["misses"]["count"] for group in groups["speaker"]}
    assert speakers == {"speaker_a": 0, "speaker_b": 2}
    labels = {group["name"]: group["false_accepts"]["count"] for group in groups["label"]}
    assert labels == {"speech": 2, "music": 0, "tone": 0}


def test_labels_and_splits_choose_clips(tone_model: Path, unsaid: Corpus) -> None:
    manifest = unsaid.manifest
    for argument, others, expected in [
        (f"{manifest}:speech", [], 2),
        (f"{manifest}:speech:test", [], 1),
        (manifest, ["--split", "test"], 2),
        (manifest, ["--exclude-label", "speech"], 1),
    ]:
        facts = report("--model", tone_model, "--negatives", argument, *others)
        assert facts["negative_clips"] == expected


def test_noise_at_a_set_ratio_is_measured_beside_clean(tone_model: Path, said: Corpus) -> None:
    facts = report("--model", tone_model, "--positives", said.manifest, "--snr", "20")
    assert list(facts["evaluations"]) == ["tone, clean", "tone, pink noise at 20 dB SNR"]


def test_recorded_noise_reaches_its_level(tmp_path: Path, tone_model: Path) -> None:
    """A noise that is itself the tone, 6 dB above a word that is not, is heard at that level."""
    word, noise = Corpus(tmp_path / "word"), Corpus(tmp_path / "noise")
    word.add("low", np.concatenate([quiet(1.0), tone(1.0, 0.2, hertz=500.0)]), "tone")
    noise.add("hum", tone(2.0, 0.7), "hum")
    folder = tmp_path / "out"
    report("--model", tone_model, "--positives", word.manifest, "--snr", "-6",
           "--noise", noise.manifest, "--errors", folder, "--worst", "1")  # fmt: skip
    page = folder / "tone" / "recorded-noise-at--6-dB-SNR" / "errors.csv"
    with page.open() as file:
        peak = float(next(csv.DictReader(file))["peak"])
    # Only the second that is active counts for the level, not the quiet second before it.
    assert peak == pytest.approx(0.2 * 10 ** (6 / 20), rel=0.03)


def test_det_curve_as_picture_and_table(
    tmp_path: Path, tone_model: Path, said: Corpus, unsaid: Corpus
) -> None:
    out = tmp_path / "out"
    report("--model", tone_model, "--positives", said.manifest, "--negatives", unsaid.manifest,
           "--snr", "10", "--out", out)  # fmt: skip
    assert (out / "det.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "report.json").read_text())["positive_clips"] == 5
    with (out / "det.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["curve"] == "tone, clean"]
    misses = [float(row["miss_rate"]) for row in rows]
    assert misses == sorted(misses)
    assert float(rows[-1]["false_accepts_per_hour"]) == 0.0
    corners = {(round(float(row["false_accepts_per_hour"]) * 7.2 / 3600), float(row["miss_rate"]))
               for row in rows}  # fmt: skip
    assert {(0, 0.6), (1, 0.6), (1, 0.4), (2, 0.4)} <= corners


def test_error_report_lists_the_worst_first(
    tmp_path: Path, tone_model: Path, said: Corpus, unsaid: Corpus
) -> None:
    folder = tmp_path / "errors"
    report("--model", tone_model, "--positives", said.manifest, "--negatives", unsaid.manifest,
           "--errors", folder, "--worst", "2")  # fmt: skip
    folder = folder / "tone" / "clean"
    with (folder / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], Path(row["path"]).stem) for row in rows] == [
        ("miss", "tone4"), ("miss", "tone3"), ("false accept", "twice"), ("near accept", "faint"),
    ]  # fmt: skip
    assert float(rows[2]["at_seconds"]) == pytest.approx(0.2, abs=0.25)
    page = (folder / "index.html").read_text()
    assert page.index("tone4.flac") < page.index("tone3.flac") < page.index("twice.flac")
    linked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(linked) == 4 * 3
    assert not any(link.startswith("http") for link in linked)
    for link in linked:
        assert (folder / link).stat().st_size > 500
    samples, rate = sf.read(folder / "002.flac")
    assert rate == 16000
    assert len(samples) / rate == pytest.approx(2.4 + 1.8, abs=0.1)


@pytest.mark.parametrize(
    ("spoil", "message", "code"),
    [
        (lambda corpus: Path(corpus.manifest).unlink(), "manifest.csv", 66),
        (lambda corpus: (corpus.folder / "tone0.flac").unlink(), "tone0.flac: is missing", 66),
        (lambda corpus: (corpus.folder / "tone0.flac").write_bytes(b"no"), "cannot be read", 66),
    ],
)
def test_bad_input_is_one_clear_line(
    tone_model: Path, said: Corpus, spoil: Any, message: str, code: int
) -> None:
    manifest = said.manifest
    spoil(said)
    result = run("--model", tone_model, "--positives", manifest)
    assert result.exit_code == code
    lines = [line for line in result.stderr.splitlines() if "error" in line]
    assert len(lines) == 1
    assert message in lines[0]


def test_unknown_label_names_those_that_exist(tone_model: Path, said: Corpus) -> None:
    result = run("--model", tone_model, "--positives", said.manifest + ":tune")
    assert result.exit_code == 66
    assert "no clip is labelled 'tune'; it has tone" in result.stderr


def test_manifest_without_columns(tone_model: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,name\na,b\n")
    result = run("--model", tone_model, "--positives", tmp_path / "manifest.csv")
    assert result.exit_code == 66
    assert "has no column 'path'" in result.stderr


def test_nothing_to_measure_is_a_usage_error(tone_model: Path) -> None:
    assert run("--model", tone_model).exit_code == 2
