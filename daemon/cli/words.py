"""`porter words`: wake words from a few recordings, without training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.options import provider_option
from daemon.cli.parameters import config_option
from daemon.cli.people import counted
from daemon.cli.pictures import MANY_FILES, Skipped, json_option
from daemon.cli.progress import progress, say

if TYPE_CHECKING:
    from daemon.audio.words.enrolment import Encoded, Enroller
    from daemon.audio.words.takes import Fault, Recording
    from daemon.config import Config
    from daemon.inference import Provider

TAKES = 3
"""Takes from the microphone; and how many make an enrolment that needs no advice."""
LEAST_TAKES = 2
"""Fewer cannot be compared with each other."""
ATTEMPTS = 9
"""Takes from the microphone, the rejected ones among them, before it is given up."""
LONGEST_FILE = 30.0
"""Seconds of a file that is to hold one word."""

EPILOG = """\b
Examples:
  porter words                                             which are there
  porter words enroll "hello porter" one.wav two.wav three.wav
  porter words enroll "hello porter" --microphone          three takes, now
  porter words test party.wav                              how near it comes
  porter words remove "hello porter"

\b
Exit codes: 0 done, 1 porter words test heard nothing in a recording, 65 the model is missing,
damaged or of another trunk, 66 no recording could be used, 67 no such word.
"""


@click.group(epilog=EPILOG, invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Wake words from three recordings; the daemon listens for them beside the trained ones."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, as_json=as_json)


@command.command("list", epilog="\b\nExample:\n  porter words list --json")
@json_option
def list_(as_json: bool) -> None:
    """List the enrolled words."""
    from daemon.audio.words.store import open_store

    store = open_store()
    words, damaged = store.read()
    if as_json:
        rows = [word.model_dump(mode="json", exclude={"templates"}) for word in words]
        bad = [
            {"name": each.name, "file": str(each.path), "message": each.message} for each in damaged
        ]
        click.echo(json.dumps({"words": rows, "damaged": bad}, ensure_ascii=False))
        return
    if not words and not damaged:
        click.echo("no word is enrolled yet: porter words enroll NAME RECORDING...", err=True)
    for word in words:
        click.echo(
            f"{word.name}  {counted(len(word.takes), 'take')}, threshold {word.threshold:.3f}, "
            f"{word.created[:10]}, {word.encoder.name} {word.encoder.version}"
        )
    for each in damaged:
        click.echo(f"{each.name}  damaged: {each.message}")


@command.command(
    epilog="\b\nExamples:\n  porter words enroll computer one.wav two.wav three.wav\n"
    "  porter words enroll computer takes/ --keep\n"
    "  porter words enroll computer --microphone"
)
@click.argument("name")
@click.argument("given", nargs=-1, type=MANY_FILES, metavar="[RECORDING]...")
@click.option("--microphone", is_flag=True, help="Record three takes now.")
@click.option("--device", metavar="NAME", help="With --microphone: which one.")
@click.option("--keep", is_flag=True, help="Keep the recordings, too, not only vectors of them.")
@click.option(
    "--force",
    is_flag=True,
    help="Also takes that are unlike the others; two from the microphone do.",
)
@json_option
@provider_option
@config_option
def enroll(
    name: str,
    given: tuple[Path, ...],
    microphone: bool,
    device: str | None,
    keep: bool,
    force: bool,
    as_json: bool,
    provider: Provider | None,
    path: Path | None,
) -> None:
    """Make NAME a wake word from recordings of it: files, folders, patterns, or the microphone.

    Each recording holds the word once, with a moment of quiet before and after. What is rejected is
    named with the reason. A word of the same name is replaced.
    """
    from daemon.audio.words.store import clean_name, open_store
    from daemon.cli.options import override, override_provider
    from daemon.config import load_config
    from daemon.errors import SourceError

    if microphone == bool(given):
        raise click.UsageError("give recordings, or --microphone")
    name = clean_name(name)
    config = override_provider(override(load_config(path), device=device), provider)
    enroller = _enroller(config)
    _not_trained(name, config)
    faults: list[Fault] = []
    if microphone:
        takes = _from_microphone(config, name, enroller, faults, force)
    else:
        takes = [enroller.encode(each) for each in _from_files(given, faults)]
        takes = takes if force else _alike(enroller, takes, faults)
    if len(takes) < TAKES and any(each.reason == "unlike" for each in faults):
        click.echo("  --force takes those that are unlike the others all the same", err=True)
    needed = TAKES if microphone and not force else LEAST_TAKES
    if len(takes) < needed:
        few = f"{counted(len(takes), 'recording')} accepted, at least {needed} are needed"
        raise SourceError(f"{name}: not enrolled: {few}")
    word = enroller.word(name, takes)
    neighbour, score = enroller.neighbour(name, takes)
    store = open_store()
    for other in store.names():
        _warn_of_rival(enroller, takes, name, other)
    store.put(word, [_wav(each) for each in takes] if keep else [])
    if as_json:
        facts: dict[str, Any] = word.model_dump(mode="json", exclude={"templates"})
        facts["neighbour"] = {"word": neighbour, "score": round(score, 4)}
        facts["rejected"] = [
            {"source": each.source, "reason": each.reason, "message": each.message}
            for each in faults
        ]
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        likeness = min(take.likeness for take in word.takes)
        click.echo(
            f"{name}: enrolled with {counted(len(takes), 'take')}, threshold {word.threshold:.3f} "
            f"(the takes are alike by {likeness:.1f} or more)"
        )
    if len(takes) < TAKES:
        click.echo("  three takes, each a little different, are heard better", err=True)
    if score >= enroller.threshold:
        click.echo(f"  sounds like {neighbour!r}, which may be taken for it", err=True)
    click.echo("  a running daemon takes it over when it is told to reload", err=True)


@command.command(epilog='\b\nExample:\n  porter words remove "hello porter" --yes')
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def remove(names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Erase words and, if they were kept, their recordings."""
    from daemon.audio.words.store import open_store

    store = open_store()
    for name in names:
        store.require(name)
    for name in names:
        if not yes:
            click.confirm(f"Erase {name} for good?", abort=True, err=True)
        store.remove(name)
        if not as_json:
            click.echo(f"{name}: erased")
    if as_json:
        click.echo(json.dumps({"erased": names}, ensure_ascii=False))


@command.command(
    epilog="\b\nExamples:\n  porter words test one.wav two.wav\n"
    "  porter words test 'evening/*.flac' --json\n\n\b\n"
    "Exit codes: 0 a word was heard in each recording, 1 not in all, 66 none could be read."
)
@click.argument("given", nargs=-1, required=True, type=MANY_FILES, metavar="RECORDING...")
@json_option
@provider_option
@config_option
@click.pass_context
def test(
    ctx: click.Context,
    given: tuple[Path, ...],
    as_json: bool,
    provider: Provider | None,
    path: Path | None,
) -> None:
    """Say how near each recording comes to each enrolled word, as the daemon would hear it."""
    from daemon.audio.recordings import list_recordings, read_recording
    from daemon.audio.words.trial import Trial, open_trial
    from daemon.cli.options import override_provider
    from daemon.config import load_config
    from daemon.errors import SourceError

    trial: Trial = open_trial(override_provider(load_config(path), provider))
    rows: list[dict[str, Any]] = []
    skipped = Skipped("recording")
    files = list_recordings(given, skip=skipped.input)
    total = len(files) + len(skipped.messages)
    with progress(files, "listening") as bar:
        for file in bar:
            try:
                results = trial.hear(read_recording(file, 3600.0))
            except SourceError as error:
                skipped(str(error))
                continue
            rows.append({"recording": str(file), "words": [each.facts() for each in results]})
    if as_json:
        facts = {"recordings": rows, "skipped": skipped.messages}
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        for row in rows:
            for each in row["words"]:
                heard = f"heard at {each['heard']}" if each["heard"] else "not heard"
                click.echo(
                    f"{row['recording']}  {each['word']}: {heard}; score {each['score']:.3f} at "
                    f"{each['time']:.2f} s, threshold {each['threshold']:.3f}"
                )
    sys.stdout.flush()
    skipped.sum_up(total)
    if not all(any(each["heard"] for each in row["words"]) for row in rows):
        ctx.exit(1)


def _enroller(config: Config) -> Enroller:
    from daemon.audio.wake import open_wake_model
    from daemon.audio.words.encoder import open_word_encoder
    from daemon.audio.words.enrolled import find_host
    from daemon.audio.words.enrolment import Enroller
    from daemon.cards import load_wake_card
    from daemon.inference import choose_providers

    providers = choose_providers(config.inference.provider)
    threads = config.inference.threads
    encoder = open_word_encoder(config.wake.enrolled.encoder, providers, threads)
    host = find_host(encoder.card, [load_wake_card(each.model) for each in config.wake.models])
    return Enroller(open_wake_model(host, providers, threads), encoder)


def _not_trained(name: str, config: Config) -> None:
    from daemon.cards import load_wake_card
    from daemon.errors import WordError

    for each in config.wake.models:
        for word in load_wake_card(each.model).words:
            if word.word.casefold() == name.casefold():
                raise WordError(f"{name}: is a trained word of {each.model} already; it needs none")


def _report(fault: Fault) -> None:
    say(f"  {fault.source}: left out: {fault.message}", err=True)


def _alike(enroller: Enroller, takes: list[Encoded], faults: list[Fault]) -> list[Encoded]:
    """The takes that are like the others; those that are not are reported."""
    alike, unlike = enroller.sort_out(takes)
    for fault in unlike:
        _report(fault)
    faults += unlike
    return alike


def _from_files(given: tuple[Path, ...], faults: list[Fault]) -> list[Recording]:
    from daemon.audio.recordings import list_recordings, read_recording
    from daemon.audio.words.takes import Fault, Recording, check, check_new
    from daemon.errors import SourceError

    found: list[Recording] = []

    def leave_out(fault: Fault) -> None:
        _report(fault)
        faults.append(fault)

    files = list_recordings(
        given, skip=lambda place, why: leave_out(Fault(str(place), "unreadable", why))
    )
    with progress(files, "reading") as bar:
        for file in bar:
            try:
                taken = check(file.name, read_recording(file, LONGEST_FILE))
            except SourceError as error:
                taken = Fault(str(file), "unreadable", str(error).removeprefix(f"{file}: "))
            if isinstance(taken, Recording):
                taken = check_new(taken, found)
            if isinstance(taken, Fault):
                leave_out(taken)
            else:
                found.append(taken)
    return found


def _from_microphone(
    config: Config, name: str, enroller: Enroller, faults: list[Fault], force: bool
) -> list[Encoded]:
    """Takes that are good and, without `force`, alike: as many as are wanted, or those there are.

    What is left out is asked for again.
    """
    from daemon.audio.sources import make_source
    from daemon.audio.words.booth import listen
    from daemon.audio.words.takes import Fault, check, check_new

    source = make_source(config.audio)
    source.open()
    found: list[Encoded] = []
    try:
        for attempt in range(1, ATTEMPTS + 1):
            click.echo(f"say: {name}  ({len(found) + 1} of {TAKES}) ...", err=True)
            taken = check(f"take {attempt}", listen(source))
            if not isinstance(taken, Fault):
                taken = check_new(taken, [each.recording for each in found])
            if isinstance(taken, Fault):
                _report(taken)
                faults.append(taken)
                continue
            click.echo(f"  heard {taken.speech.seconds:.2f} s", err=True)
            found.append(enroller.encode(taken))
            if len(found) == TAKES and not force:
                found = _alike(enroller, found, faults)
            if len(found) == TAKES:
                break
    finally:
        source.close()
    return found


def _warn_of_rival(enroller: Enroller, takes: list[Encoded], name: str, other: str) -> None:
    from daemon.audio.words.store import open_store
    from daemon.errors import WordError

    if other.casefold() == name.casefold():
        return
    try:
        word = open_store().get(other)
        score = enroller.rivalry(takes, word)
    except WordError:
        return  # the list says what is wrong with it
    if score is not None and score >= word.threshold:
        click.echo(f"  sounds like {other}, which may be heard in its place", err=True)


def _wav(take: Encoded) -> bytes:
    import io

    import soundfile

    from daemon.audio.features import SAMPLE_RATE

    buffer = io.BytesIO()
    soundfile.write(buffer, take.recording.pcm, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
