"""The published schema describes exactly what the daemon says."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest

from daemon import events as catalogue
from tests.runtime.process import configuration, events, porter
from tests.schema import closed
from tests.sounds import HIGH, LOW, scene, write


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = closed(catalogue.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.FormatChecker()
    return jsonschema.Draft202012Validator(schema, format_checker=checker)


def test_every_event_of_a_run_follows_the_published_schema(
    environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    printed = porter("events", "--schema", environment=environment)
    assert printed.returncode == 0
    validator = jsonschema.Draft202012Validator(closed(json.loads(printed.stdout)))
    sound = write(tmp_path / "talk.wav", scene(3, {1.0: LOW, 2.0: HIGH}))
    done = porter("run", "--config", config, "--file", sound, "--fast", environment=environment)
    found = events(done.stdout)
    assert [each["type"] for each in found] == [
        "porter.started",
        "porter.door.locked",
        "porter.wake.detected",
        "porter.wake.detected",
        "porter.door.locked",
        "porter.stopped",
    ]
    assert [each["source"].rpartition("/")[2] for each in found] == [
        "daemon",
        "door",
        "file",
        "file",
        "door",
        "daemon",
    ]
    for event in found:
        validator.validate(event)
        assert event["time"].endswith("Z")
        assert len(event["time"]) == len("2026-01-01T00:00:00.000000Z")
    assert len({event["id"] for event in found}) == len(found)
    # What the door does while it starts is said after the daemon's own first event.
    assert found[1:] == sorted(found[1:], key=lambda event: event["time"])


DATA = [
    catalogue.AudioLost(reason="no sound from the device for 2 s"),
    catalogue.AudioRestored(seconds_lost=3.5, audio="USB microphone"),
]


@pytest.mark.parametrize("data", DATA, ids=lambda data: data.type)
def test_what_a_file_cannot_cause_follows_it_too(
    data: catalogue.Data, validator: jsonschema.Draft202012Validator
) -> None:
    event = catalogue.Event(source="porter/host/microphone", time=catalogue.rfc3339(0), data=data)
    validator.validate(json.loads(event.to_json()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda event: event.pop("id"),
        lambda event: event.update(type="porter.unknown"),
        lambda event: event["data"].update(reason=5),
        lambda event: event["data"].pop("reason"),
        lambda event: event.update(specversion="0.3"),
    ],
)
def test_the_schema_refuses_what_is_no_event(
    spoil, validator: jsonschema.Draft202012Validator
) -> None:
    event = json.loads(
        catalogue.Event(
            source="porter/host/pipe", time=catalogue.rfc3339(0), data=DATA[0]
        ).to_json()
    )
    assert validator.is_valid(event)
    spoil(event)
    assert not validator.is_valid(event)


def test_the_schema_accepts_fields_that_a_later_porter_adds() -> None:
    event = json.loads(
        catalogue.Event(
            source="porter/host/pipe", time=catalogue.rfc3339(0), data=DATA[0]
        ).to_json()
    )
    event["data"]["extra"] = event["extension"] = 1
    jsonschema.validate(event, catalogue.schema())


def test_the_catalogue_is_listed_with_every_field_explained(environment: dict[str, str]) -> None:
    done = porter("events", environment=environment)
    for kind in catalogue.CATALOGUE:
        assert f"{kind.type}: {kind.__doc__.splitlines()[0]}" in done.stdout
        for field in fields(kind):
            lines = [x for x in done.stdout.splitlines() if x.startswith(f"    {field.name} ")]
            assert lines, field.name
            assert all(len(line.split(maxsplit=1)) == 2 for line in lines), field.name
    assert "What opened it. One of: face, wake+face, id+face, manual." in done.stdout


def test_a_host_name_with_odd_characters_stays_a_uri_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "front door/ä")
    assert catalogue.event_source("pipe") == "porter/front%20door%2F%C3%A4/pipe"


def test_nothing_is_listened_to_when_audio_is_off(
    environment: dict[str, str], tmp_path: Path, validator: jsonschema.Draft202012Validator, start
) -> None:
    daemon = start("--config", configuration(tmp_path / "off.yaml", audio={"enabled": False}))
    started = daemon.wait_for("porter.started")
    validator.validate(started)
    assert started["data"]["audio"] is None
    assert daemon.stop()[0] == 0
    validator.validate(daemon.seen[-1])
