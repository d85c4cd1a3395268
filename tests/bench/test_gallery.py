"""The benchmarks of the gallery run, and measure what they say."""

from __future__ import annotations

import json

import numpy as np
from click.testing import CliRunner

from bench import gallery_match, gallery_vote


def test_searching_a_small_gallery() -> None:
    arguments = ["--people", "20", "--templates", "3", "--probes", "5", "--cohort", "10"]
    done = CliRunner().invoke(gallery_match.main, [*arguments, "--write", "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["templates"], facts["cohort"]) == (60, 10)
    for name in ("identify_ms", "verify_ms"):
        assert 0 < facts[name]["least"] <= facts[name]["median"] <= facts[name]["p95"]
    assert facts["file_mb"] > 0.04
    done = CliRunner().invoke(gallery_match.main, ["--people", "5", "--probes", "9"])
    assert "found: 9 of 9" in done.stdout
    assert "95 % within, ms" in done.stdout


def test_rates_of_people_who_are_easily_told_apart() -> None:
    """Three people; one of the third's pictures looks like the first."""
    middles = np.eye(3, 128)[[0] * 4 + [1] * 4 + [2] * 4]
    middles[11] = middles[0]
    people = np.repeat([0, 1, 2], 4)
    distances = 2 - 2 * middles @ middles.T
    counted = {
        rule: gallery_vote._measure(
            distances, people, 3, gallery_vote.RULES[rule], {0.5: 1.0}, 1.5
        )[0.5]
        for rule in ("nearest", "two nearest")
    }
    # The odd picture lets the first in for the third by the nearest template, not by two.
    assert counted["nearest"]["fmr"] > counted["two nearest"]["fmr"] > 0
    two, rule = distances[:8, :8], gallery_vote.RULES["nearest"]
    alone = gallery_vote._measure(two, people[:8], 3, rule, {0.5: 1.0}, 1.5)
    assert alone == {0.5: {"fmr": 0.0, "fnmr": 0.0}}
