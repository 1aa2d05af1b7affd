"""README.md says what is there, and README.es.md says the same.

What moved from the README to a page of its own is held to the same: the commands, the common
problems and their Spanish, the settings.
"""

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

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
ENGLISH, SPANISH = "README.md", "README.es.md"
COMMANDS = "docs/commands.md"
PROBLEMS = ("docs/troubleshooting.md", "docs/troubleshooting.es.md")
both = pytest.mark.parametrize("name", [ENGLISH, SPANISH])
every = pytest.mark.parametrize("name", [ENGLISH, SPANISH, COMMANDS, *PROBLEMS])
LONGEST = 160

TWINS = {
    SPANISH: ENGLISH,
    "../README.es.md": "../README.md",
    "docs/console.es.png": "docs/console.en.png",
    "docs/troubleshooting.es.md": "docs/troubleshooting.md",
}
"""What each has in its own language: the Spanish, and the English for it."""

COMMENT = re.compile(r"(?:^|\s+)#\s.*$")
OPTION = re.compile(r"(?<!\S)--?[a-z][a-z-]*")
PROGRAMS = ("uv", "pipecat", "scripts/image", "scripts/test")


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


def test_the_common_problems_are_the_same() -> None:
    english, spanish = (
        [[len(row) for row in table] for table in tables(name)] for name in PROBLEMS
    )

    assert len(english[0]) > 10
    assert english == spanish
    assert code_by_section(PROBLEMS[0]) == code_by_section(PROBLEMS[1])
    assert links(PROBLEMS[0]) == [TWINS.get(link, link) for link in links(PROBLEMS[1])]


@both
def test_it_is_short(name: str) -> None:
    assert len((PROJECT / name).read_text("utf-8").splitlines()) <= LONGEST


def test_the_code_in_the_text_is_the_same_in_each_section() -> None:
    assert code_by_section(ENGLISH) == code_by_section(SPANISH)


def test_the_links_are_the_same() -> None:
    english, spanish = links(ENGLISH), links(SPANISH)

    assert english.count(SPANISH) == spanish.count(ENGLISH) == 1
    assert english[1:] == [TWINS.get(link, link) for link in spanish[1:]]


@every
def test_every_relative_link_leads_somewhere(name: str) -> None:
    relative = [urlsplit(link) for link in links(name) if not urlsplit(link).scheme]

    assert relative
    for link in relative:
        assert link.path
        assert not Path(link.path).is_absolute()
        assert (PROJECT / name).parent.joinpath(link.path).exists(), link.path


@both
def test_the_files_it_lists_are_there(name: str) -> None:
    listing = fences(name)[-1].content.splitlines()

    assert len(listing) > 5
    for line in listing:
        assert (PROJECT / line.split()[0]).exists(), line


# --- Commands


@dataclass(frozen=True)
class Command:
    """A command that the README, or a page that it leads to, gives.

    Parameters:
        words: The command, without variables set for it; `python3 -m uv` is `uv`.
        whole: Whether it can be run as it stands; in the text, its arguments may be left out.
        mentioned: The options that the comment after it tells of.
    """

    words: tuple[str, ...]
    whole: bool
    mentioned: tuple[str, ...] = ()


def commands() -> list[Command]:
    """Each command of the README and of the pages that it leads to: in a block or in the text."""
    return [command for name in (ENGLISH, COMMANDS, PROBLEMS[0]) for command in commands_of(name)]


def commands_of(name: str) -> list[Command]:
    found: list[Command] = []
    for block in fences(name):
        for line in block.content.splitlines() if block.info == "sh" else ():
            comment = COMMENT.search(line)
            mentioned = tuple(OPTION.findall(comment[0])) if comment else ()
            for part in COMMENT.sub("", line).split(" && "):
                found.append(Command(words(part), True, mentioned))
    for token in inline(name):
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
        ("uv", "run", "--extra", "knowledge", "sonora"),
        ("uv", "run", "--group", "dev", "sonora"),
        ("uv", "run", "bot.py"),
        ("uv", "run", "--extra", "local", "bot.py"),
        ("uv", "run", "--extra", "voice", "bot.py"),
        ("uv", "run", "python", "bot.py"),
        ("scripts/test",),
        ("pipecat", "cloud"),
        ("scripts/image",),
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
    with_extra = starting("uv", "run", "--extra", "knowledge", "sonora")
    with_group = starting("uv", "run", "--group", "dev", "sonora")
    for command in (*starting("uv", "run", "sonora"), *with_extra, *with_group):
        after = command.words.index("sonora") + 1
        way = assert_parses(command, root, command.words[after:])
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
    (secrets,) = (
        command for command in starting("pipecat", "cloud", "secrets", "set") if command.whole
    )
    (logs,) = starting("pipecat", "cloud", "agent", "logs")

    assert starting("scripts/image", "--push")
    assert secrets.words[4] == config["secret_set"]
    assert logs.words[4] == config["agent_name"]


def test_the_bot_is_run_from_a_file_that_is_there_with_flags_that_are_used() -> None:
    (first,) = (command for command in starting("uv", "run", "python") if command.whole)
    assert first.words == ("uv", "run", "python", "bot.py", "--local")

    # The bot of the session tests is started with each of the flags.
    used = (PROJECT / "simulators" / "clients" / "bot_process.py").read_text("utf-8")
    with_extra = [
        *starting("uv", "run", "--extra", "local"),
        *starting("uv", "run", "--extra", "voice"),
    ]
    for command in (first, *starting("uv", "run", "bot.py"), *with_extra):
        (script,) = (word for word in command.words if word.endswith(".py"))
        assert (PROJECT / script).is_file()
        assert all(f'"{flag}"' in used for flag in OPTION.findall(shlex.join(command.words[3:])))


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
