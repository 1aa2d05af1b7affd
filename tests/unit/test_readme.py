"""README.md says what is there, and README.es.md says the same."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import typer.main
from loguru import logger
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.testing import CliRunner

from sonora_app.cli import app
from sonora_app.settings import Settings
from tests.unit.test_env_example import assignments, default, variables

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
ENGLISH, SPANISH = "README.md", "README.es.md"
both = pytest.mark.parametrize("name", [ENGLISH, SPANISH])

COMMENT = re.compile(r"(?:^|\s+)#\s.*$")
OPTION = re.compile(r"(?<!\S)--?[a-z][a-z-]*")
PROGRAMS = ("uv", "pipecat", "docker", "scripts/test")


@cache
def tokens(name: str) -> list[Token]:
    return MarkdownIt().enable("table").parse((PROJECT / name).read_text("utf-8"))


def inline(name: str) -> Iterator[Token]:
    for token in tokens(name):
        yield from token.children or []


def fences(name: str) -> list[Token]:
    return [token for token in tokens(name) if token.type == "fence"]


def tables(name: str) -> list[list[list[Token]]]:
    """Each table's rows, the heading's too, as the cells' inline tokens."""
    found: list[list[list[Token]]] = []
    previous = ""
    for token in tokens(name):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif previous in ("th_open", "td_open"):
            found[-1][-1].append(token)
        previous = token.type
    return found


def code(cell: Token) -> list[str]:
    return [child.content for child in cell.children or [] if child.type == "code_inline"]


def links(name: str) -> list[str]:
    """Where its links and pictures lead, in order."""
    targets = [token.attrGet("href") or token.attrGet("src") for token in inline(name)]
    return [str(target) for target in targets if target is not None]


def code_by_section(name: str) -> list[list[str]]:
    """The pieces of code in the text, section by section; a language may order them anew."""
    sections: list[list[str]] = [[]]
    for token in tokens(name):
        if token.type == "heading_open":
            sections.append([])
        sections[-1] += code(token)
    return [sorted(section) for section in sections]


# --- The two say the same


def test_the_headings_are_of_the_same_levels() -> None:
    levels = [
        [token.tag for token in tokens(name) if token.type == "heading_open"]
        for name in (ENGLISH, SPANISH)
    ]

    assert len(levels[0]) > 5
    assert levels[0] == levels[1]


def test_the_code_blocks_are_the_same_but_for_the_comments() -> None:
    english, spanish = (
        [
            # A comment that one of them lacks would show: its mark stays.
            (token.info, [COMMENT.sub(" #", line) for line in token.content.splitlines()])
            for token in fences(name)
        ]
        for name in (ENGLISH, SPANISH)
    )

    assert len(english) > 5
    assert english == spanish


def test_the_tables_have_the_same_rows() -> None:
    english, spanish = (
        [[len(row) for row in table] for table in tables(name)] for name in (ENGLISH, SPANISH)
    )

    assert len(english) == 3
    assert english == spanish


def test_the_code_in_the_text_is_the_same_in_each_section() -> None:
    assert code_by_section(ENGLISH) == code_by_section(SPANISH)


def test_the_links_are_the_same() -> None:
    english, spanish = links(ENGLISH), links(SPANISH)

    assert english.count(SPANISH) == spanish.count(ENGLISH) == 1
    twins = {SPANISH: ENGLISH, "docs/console.en.png": "docs/console.es.png"}
    assert [twins.get(link, link) for link in english] == spanish


@both
def test_every_relative_link_leads_somewhere(name: str) -> None:
    relative = [urlsplit(link) for link in links(name) if not urlsplit(link).scheme]

    assert relative
    for link in relative:
        assert link.path
        assert not Path(link.path).is_absolute()
        assert (PROJECT / link.path).exists(), link.path


@both
def test_the_files_it_lists_are_there(name: str) -> None:
    listing = fences(name)[-1].content.splitlines()

    assert len(listing) > 5
    for line in listing:
        assert (PROJECT / line.split()[0]).exists(), line


# --- Settings


def settings_rows(name: str) -> list[list[Token]]:
    """The rows of the table of settings: the cells of names, defaults and words."""
    (table,) = (table for table in tables(name) if "ENV" in code(table[-1][0]))
    return table[1:]


@both
def test_the_settings_are_those_there_are(name: str) -> None:
    named = [variable for row in settings_rows(name) for variable in code(row[0])]
    settings = [alias for field in Settings.model_fields.values() for alias in variables(field)]

    assert sorted(named) == sorted(settings)
    assert {match["name"] for match in assignments()} <= set(named)


@both
def test_the_defaults_are_those_of_the_settings(name: str) -> None:
    fields = {
        alias: (variables(field)[0], default(field))
        for field in Settings.model_fields.values()
        for alias in variables(field)
    }
    for names, defaults, _ in settings_rows(name):
        row = dict(fields[variable] for variable in code(names))

        # A default that is none is told in words.
        assert code(defaults) == [value for value in row.values() if value], names.content
        assert code(defaults) or defaults.content, names.content


@both
def test_the_wait_for_an_id_is_as_long_as_it_says(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SONORA_WAITING_SECS", raising=False)
    (told,) = (row[1] for row in settings_rows(name) if code(row[0]) == ["SONORA_WAITING_SECS"])
    limits = [
        Settings(_env_file=None, env=env).waiting_limit_secs  # pyright: ignore[reportCallIssue]
        for env in ("local", "production")
    ]

    assert [float(number) for number in re.findall(r"\d+", told.content)] == limits


# --- Commands


@dataclass(frozen=True)
class Command:
    """A command that the README gives.

    Parameters:
        words: The command, without variables set for it; `python3 -m uv` is `uv`.
        whole: Whether it can be run as it stands; in the text, its arguments may be left out.
        mentioned: The options that the comment after it tells of.
    """

    words: tuple[str, ...]
    whole: bool
    mentioned: tuple[str, ...] = ()


def commands() -> list[Command]:
    """The README's commands: each of its shell blocks, and those in the text."""
    found: list[Command] = []
    for block in fences(ENGLISH):
        for line in block.content.splitlines() if block.info == "sh" else ():
            comment = COMMENT.search(line)
            mentioned = tuple(OPTION.findall(comment[0])) if comment else ()
            for part in COMMENT.sub("", line).split(" && "):
                found.append(Command(words(part), True, mentioned))
    for token in inline(ENGLISH):
        if token.type == "code_inline" and words(token.content)[0] in PROGRAMS:
            found.append(Command(words(token.content), False))
    return found


def words(text: str) -> tuple[str, ...]:
    without_variables = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", text)
    return tuple(shlex.split(re.sub(r"^python3 -m uv\b", "uv", without_variables))) or ("",)


def starting(*start: str) -> list[Command]:
    found = [command for command in commands() if command.words[: len(start)] == start]
    assert found, start
    return found


def assert_parses(command: Command, root: Any, arguments: tuple[str, ...]) -> list[str]:
    """Hold `arguments` against the commands under `root`; the way to the command comes back."""
    way: list[str] = []
    rest = list(arguments)
    while rest and hasattr(root, "commands"):
        assert rest[0] in root.commands, command
        root = root.commands[rest[0]]
        way.append(rest.pop(0))
    known = {option for parameter in root.params for option in parameter.opts}
    assert known.issuperset([*OPTION.findall(" ".join(rest)), *command.mentioned]), command
    if command.whole:
        assert not hasattr(root, "commands") or root.invoke_without_command, command
        root.make_context(way[-1], [placeholder(word, way) for word in rest])
    return way


def placeholder(word: str, way: list[str]) -> str:
    """Something that may stand where the README has `ID` or `FILE`."""
    if word == "FILE":
        return str(PROJECT / ENGLISH)
    if word == "ID":
        return "1" if way[0] == "sync" else str(uuid4())
    return word


def test_each_command_is_of_a_kind_that_is_checked_here() -> None:
    checked = (
        ("uv", "run", "sonora"),
        ("uv", "run", "bot.py"),
        ("uv", "run", "python", "bot.py"),
        ("scripts/test",),
        ("pipecat", "cloud"),
        ("docker", "build"),
        ("docker", "push"),
        # They name nothing of ours.
        ("uv",),
        ("uv", "sync"),
        ("uv", "tool", "install"),
        ("python3", "-m", "pip", "install", "--quiet", "--user", "uv"),
    )
    for command in commands():
        matches = [kind for kind in checked if command.words[: len(kind)] == kind]
        assert matches, command
        assert matches != [("uv",)] or command.words == ("uv",), command


def test_the_sonora_commands_parse() -> None:
    root = typer.main.get_command(app)
    for command in starting("uv", "run", "sonora"):
        way = assert_parses(command, root, command.words[3:])
        result = CliRunner().invoke(app, [*way, "--help"])

        assert result.exit_code == 0, command
        assert way[-1] in result.stdout


def test_the_cloud_tool_has_its_commands() -> None:
    # Importing it takes the log's handlers away.
    with mock.patch.object(logger, "remove"), mock.patch.object(logger, "add"):
        from pipecatcloud.cli.entry_point import entrypoint_cli_typer

    root = typer.main.get_command(entrypoint_cli_typer)
    for command in starting("pipecat", "cloud"):
        assert_parses(command, root, command.words[2:])


def test_what_is_deployed_is_what_was_built() -> None:
    config = tomllib.loads((PROJECT / "pcc-deploy.toml").read_text("utf-8"))
    (build,) = starting("docker", "build")
    (push,) = starting("docker", "push")
    (secrets,) = (
        command for command in starting("pipecat", "cloud", "secrets", "set") if command.whole
    )
    (logs,) = starting("pipecat", "cloud", "agent", "logs")

    assert build.words[build.words.index("-t") + 1] == push.words[2] == config["image"]
    assert shlex.join(build.words) in (PROJECT / "Dockerfile").read_text("utf-8")
    assert secrets.words[4] == config["secret_set"]
    assert logs.words[4] == config["agent_name"]


def test_the_bot_is_run_from_a_file_that_is_there_with_flags_that_are_used() -> None:
    (first,) = (command for command in starting("uv", "run", "python") if command.whole)
    assert first.words == ("uv", "run", "python", "bot.py", "--local")

    # The bot of the session tests is started with each of the flags.
    used = (PROJECT / "simulators" / "clients" / "bot_process.py").read_text("utf-8")
    for command in (first, *starting("uv", "run", "bot.py")):
        (script,) = (word for word in command.words if word.endswith(".py"))
        assert (PROJECT / script).is_file()
        assert all(f'"{flag}"' in used for flag in OPTION.findall(shlex.join(command.words)))


def test_the_tests_are_run_as_ci_runs_them() -> None:
    (tests,) = (command for command in starting("scripts/test") if command.whole)
    ci = (PROJECT / ".ci" / "run").read_text("utf-8").splitlines()

    assert tests.words == ("scripts/test",)
    assert shlex.join(tests.words) in ci


def test_the_kinds_of_test_it_names_are_there() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    markers = project["tool"]["pytest"]["ini_options"]["markers"]
    chosen = " ".join(command.words[2] for command in starting("scripts/test", "-m"))

    kinds = {marker.split(":")[0] for marker in markers}
    assert {*chosen.split()} - {"not", "and"} <= kinds
