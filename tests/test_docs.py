"""The documentation says what is so: dependencies, events, settings, commands, links."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import jsonschema
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from daemon import documents
from daemon.cli.main import porter
from daemon.config import Config, load_config
from daemon.errors import PorterError
from daemon.events import CATALOGUE, choices, schema
from export.cli import cli
from tests.schema import closed

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_every_dependency_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"]) + project["build-system"]["requires"]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    names = {re.match(r"[\w.-]+", each)[0] for each in wanted} - {"porter"}
    listed = [line for line in page("dependencies.md").splitlines() if line.startswith("- ")]
    explained = {
        name for line in listed for name in re.findall(r"`([\w.-]+)`", line.partition(":")[0])
    }
    assert explained == names


def test_every_event_is_described_with_a_valid_example():
    published = closed(schema())
    text = page("events.md")
    examples = {}
    for block in fences(text, "json"):
        event = json.loads(block)
        jsonschema.validate(event, published, format_checker=jsonschema.FormatChecker())
        examples[event["type"]] = event
    assert list(examples) == [kind.type for kind in CATALOGUE]
    for event in published["oneOf"]:
        name = event["properties"]["data"]["$ref"].rpartition("/")[2]
        section = re.search(rf"^## `{event['title']}`\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
        for field, facts in published["$defs"][name]["properties"].items():
            allowed = ", ".join(f"`{each}`" for each in choices(facts))
            described = " ".join(facts["description"].split()) + (
                f" One of {allowed}." if allowed else ""
            )
            assert f"| `{field}` | {described} |" in section
    assert len({each["id"] for each in examples.values()}) == len(examples)
    parts = {"wake": "microphone", "audio": "microphone", "door": "door"}
    parts |= {"started": "daemon", "stopped": "daemon"}
    for kind, event in examples.items():
        assert event["source"] == f"porter/hall/{parts.get(kind.split('.')[1], 'camera')}"


def settings(annotation: Any, path: str = "") -> set[str]:
    """Dotted names of all settings; `[]` for the items of a list, `*` for names of one's own."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found = set()
        for name, field in annotation.model_fields.items():
            own = f"{path}.{name}".lstrip(".")
            inner = settings(field.annotation, own)
            # A section is shown by its settings; a list or a mapping of one's own also by itself.
            free = get_origin(field.annotation) in (list, dict)
            found |= inner | ({own} if free or not inner else set())
        return found
    arguments = get_args(annotation)
    if get_origin(annotation) is list:
        return settings(arguments[0], f"{path}[]")
    if get_origin(annotation) is dict:
        return settings(arguments[1], f"{path}.*")
    return set().union(*(settings(each, path) for each in arguments)) if arguments else set()


def test_every_setting_is_in_the_table_with_its_default():
    rows = dict(re.findall(r"^\| `([\w.*\[\]]+)` \| (.*?) \|", page("configure.md"), re.M))
    assert set(rows) == settings(Config)
    defaults = Config().model_dump(mode="json")
    for name, text in rows.items():
        if "*" in name or "[]" in name or name == "wake.models":
            continue
        *sections, last = name.split(".")
        inside: Any = defaults
        for part in sections:
            inside = None if inside is None else inside[part]
        if inside is None:  # a section that is left out unless it is needed
            continue
        value = inside[last]
        shown = value if isinstance(value, str) else json.dumps(value)
        assert text == f"`{shown}`", name


def test_every_exit_code_is_in_the_table():
    kinds = (each for each in PorterError.__subclasses__() if each.__module__.startswith("daemon."))
    codes = {each.exit_code for each in kinds} | {0, 1, 2, 130}
    text = page("configure.md").partition("## Exit codes")[2]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.M)} == codes
    assert {int(code) for code in re.findall(r"^ +(\d+)  ", porter.epilog or "", re.M)} == codes


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_configuration_shown_is_accepted(path, tmp_path):
    for number, block in enumerate(fences(path.read_text(), "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block)
        load_config(file)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_file_named_exists(path):
    text = path.read_text()
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
        assert (path.parent / target).exists(), target
    folders = "scripts|systemd|bench|assets|models"
    for target in re.findall(rf"(?<![\w/-])(?:{folders})/[\w./-]*\w", text):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
@pytest.mark.parametrize("program", [porter, cli], ids=["porter", "porter-export"])
def test_every_command_shown_has_those_options(path, program):
    name = {porter: "porter", cli: "porter-export"}[program]
    text = path.read_text().replace("\\\n", " ")
    code = re.findall(r"^```sh\n(.*?)^```$|`([^`\n]+)`", text, re.M | re.S)
    lines = [line for block in code for part in block for line in part.splitlines()]
    for line in lines:
        for words in re.findall(rf"(?:^|[ /|]){name} ([^|#]*)", line):
            assert unknown_words(program, words.split()) == set(), line


def unknown_words(program: click.Group, words: list[str]) -> set[str]:
    """Options and subcommands in a command line that the program does not have."""
    command: click.Command = program
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        following = command.get_command(click.Context(command), words[0])
        if following is None:
            return {words[0]}
        command, words = following, words[1:]
    known = {option for each in command.params for option in each.opts} | {"--help"}
    return {word for word in words if word.startswith("--")} - known


def test_porter_export_explains_itself():
    done = CliRunner().invoke(cli, ["-h"])
    assert {int(code) for code in re.findall(r"^ +(\d+)  ", done.output, re.M)} == {
        *(0, 1, 2, 65, 66, 69, 74, 130)
    }
    assert CliRunner().invoke(cli, ["features", "-h"]).exit_code == 0
    assert re.fullmatch(
        r"porter-export \d+\.\d+\.\d+\n", CliRunner().invoke(cli, ["--version"]).output
    )


def test_every_command_that_trains_has_a_smoke_test_but_the_trunk():
    """As docs/train.md says."""
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    quick = {
        name for name, each in commands.items() if any("--quick" in p.opts for p in each.params)
    }
    assert set(commands) - quick == {"convert-vgg19", "evaluate", "label", "trunk"}


def test_nobody_is_told_to_install_a_stranger_s_package():
    """`porter` on PyPI is somebody else's."""
    for path in [*PAGES, *(ROOT / "daemon").rglob("*.py"), *(ROOT / "scripts").iterdir()]:
        for line in re.findall(r"pip install[^\n`]*\bporter\b[^\n]*", path.read_text()):
            assert "--no-index" in line, f"{path}: {line}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_benchmark_shown_runs(path):
    for module in set(re.findall(r"python -m (bench\.\w+)", path.read_text())):
        # In this process: twenty that each load PyTorch anew would take minutes.
        done = CliRunner().invoke(import_module(module).main, ["--help"])
        assert done.exit_code == 0, done.output
        assert "--help" in done.output


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", DOCS / "train.md"], ids=lambda path: path.name
)
def test_a_word_of_your_own_is_listened_to_as_shown(path, tmp_path, monkeypatch):
    """What stands between training and listening."""
    (block,) = (each for each in fences(path.read_text(), "sh") if '--word "hello' in each)
    train, *between, listen = block.splitlines()[-3:]
    assert train.endswith("--out my-models/")
    assert listen == "porter listen --config my.yaml"
    monkeypatch.chdir(tmp_path)
    subprocess.run(between[0], shell=True, check=True)
    (model,) = load_config(Path("my.yaml")).wake.models
    assert Path(model.model) == tmp_path / "my-models/hello_porter.yaml"


def test_the_errors_shown_are_those_printed(tmp_path, monkeypatch):
    """The two mistakes of the guide, made."""
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text("audio:\n  sorce: file\n\n\nlog:\n  level: loud\n")
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli.main", "config", "check", "my.yaml"],
        capture_output=True,
        text=True,
    )
    assert done.stderr in fences(page("configure.md"), "text")


def test_the_default_configuration_reads_back_from_what_show_prints():
    text = documents.dump(Config().model_dump(mode="json"))
    assert "\non: {}\n" in text, "on: must not be quoted as YAML 1.1 would have it"
