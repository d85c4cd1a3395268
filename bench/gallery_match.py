"""How long it takes to search a gallery for a probe (1:N), and to compare with one person (1:1).

    OMP_NUM_THREADS=1 python -m bench.gallery_match
    OMP_NUM_THREADS=1 python -m bench.gallery_match --cohort 1000

People are random directions and their templates lie around them, which is as fast or slow as with
faces: no time depends on the values. One thread is what the daemon uses. On a machine that does
other things, too, the processor time tells more than the time by the clock. --write also times the
encrypted file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from bench.common import json_option, machine, show, table
from daemon.people.gallery import Gallery
from daemon.people.keys import Key
from daemon.people.matching import Match, Matcher
from daemon.people.normalisation import CohortNorm
from daemon.people.records import EncoderId, Template

Vectors = npt.NDArray[np.float32]
DIMENSION = 128
ENCODER = EncoderId("bench", "1", "0" * 64)


@click.command()
@click.option("--people", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--templates", type=click.IntRange(1), default=5, show_default=True, help="Of each.")
@click.option(
    "--cohort", type=click.IntRange(0), default=0, show_default=True, help="Strangers; 0: none."
)
@click.option("--probes", type=click.IntRange(2), default=300, show_default=True)
@click.option("--write", is_flag=True, help="Also write and read the encrypted gallery.")
@json_option
def main(people: int, templates: int, cohort: int, probes: int, write: bool, as_json: bool) -> None:
    """Time a gallery of many people."""
    rng = np.random.default_rng(5)
    enrolled = _templates(rng, people, templates)
    norm = CohortNorm(_units(rng, cohort), max(1, cohort // 5)) if cohort else None
    began = time.perf_counter()
    matcher = Matcher(enrolled, 0.9, 0.05, 0.05, norm)
    build = time.perf_counter() - began
    looked_for = [_near(rng, each.vector) for each in _some(rng, enrolled, probes)]
    identify = _time(matcher.identify, looked_for)
    somebody = matcher.people[people // 2]
    verify = _time(lambda probe: matcher.verify(probe, somebody), looked_for)
    facts: dict[str, Any] = {
        "machine": machine(),
        "people": people,
        "templates": len(enrolled),
        "cohort": cohort,
        "build_ms": round(1000 * build, 1),
        "identify_ms": identify.facts(),
        "verify_ms": verify.facts(),
        "found": f"{identify.matches} of {probes}",
    }
    if write:
        facts |= _time_file(enrolled)
    rows = [
        [name, *each.values()]
        for name, each in (("1:N", facts["identify_ms"]), ("1:1", facts["verify_ms"]))
    ]
    text = [facts["machine"], f"{people} people, {len(enrolled)} templates, cohort {cohort}"]
    text += [
        table(["comparison", "least, ms", "median, ms", "95 % within, ms", "processor, ms"], rows)
    ]
    text += [f"{name}: {facts[name]}" for name in facts if name not in _SHOWN]
    show(facts, "\n".join(text), as_json)


_SHOWN = ("machine", "people", "templates", "cohort", "identify_ms", "verify_ms")


def _templates(rng: np.random.Generator, people: int, count: int) -> list[Template]:
    found = []
    for number, middle in enumerate(_units(rng, people)):
        for view in range(count):
            vector = _near(rng, middle)
            found.append(
                Template(
                    vector=vector,
                    encoder=ENCODER,
                    source="bench",
                    person=f"person {number:06}",
                    id=f"{number}-{view}",
                )
            )
    return found


def _units(rng: np.random.Generator, count: int) -> Vectors:
    raw = rng.normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


def _near(rng: np.random.Generator, middle: Vectors) -> Vectors:
    """A view of a face: about 0.4 away in squared distance."""
    raw = middle + rng.normal(size=DIMENSION).astype(np.float32) * np.float32(0.06)
    return np.asarray(raw / np.linalg.norm(raw), np.float32)


def _some(rng: np.random.Generator, enrolled: list[Template], count: int) -> list[Template]:
    return [enrolled[row] for row in rng.integers(len(enrolled), size=count)]


@dataclass(frozen=True)
class Times:
    """What each comparison took, in seconds."""

    wall: list[float]
    processor: list[float]
    matches: int

    def facts(self) -> dict[str, float]:
        """Milliseconds."""
        return {
            "least": round(1000 * min(self.wall), 3),
            "median": round(1000 * median(self.wall), 3),
            "p95": round(1000 * quantiles(self.wall, n=20, method="inclusive")[-1], 3),
            "processor_median": round(1000 * median(self.processor), 3),
        }


def _time(compare: Callable[[Vectors], Match], probes: list[Vectors]) -> Times:
    wall, processor, matches = [], [], 0
    for probe in probes:
        began, began_processor = time.perf_counter(), time.process_time()
        match = compare(probe)
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - began_processor)
        matches += match.decision == "match"
    return Times(wall, processor, matches)


def _time_file(enrolled: list[Template]) -> dict[str, Any]:
    """Reading is what the daemon does after a change."""
    by_person: dict[str, list[Template]] = {}
    for each in enrolled:
        by_person.setdefault(each.person, []).append(each)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gallery.db"
        with Gallery(path, Key(b"k" * 32, path)) as gallery:
            began = time.perf_counter()
            for name, templates in by_person.items():
                gallery.enrol(name, templates)
            written = time.perf_counter() - began
            began = time.perf_counter()
            gallery.templates(ENCODER)
            read = time.perf_counter() - began
            size = path.stat().st_size
    return {
        "enrol_ms_each": round(1000 * written / len(by_person), 2),
        "read_ms": round(1000 * read, 1),
        "file_mb": round(size / 1e6, 1),
    }


if __name__ == "__main__":
    main()
