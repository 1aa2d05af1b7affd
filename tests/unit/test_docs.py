"""What the pages name is there: settings, files, commands, modules and functions."""

import ast
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
from markdown_it import MarkdownIt
from markdown_it.token import Token

from sonora_app.cli import app
from sonora_app.settings.reference import names, settings

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    str(page.relative_to(PROJECT))
    for pattern in ("README*.md", "docs/*.md", "supabase/*.md")
    for page in PROJECT.glob(pattern)
)
each_page = pytest.mark.parametrize("name", PAGES)

SOURCES = ("sonora_app", "flows", "simulators", "supabase", "examples", "benchmarks", "tests")
LEFT_OUT = {"node_modules", "__pycache__", ".next", "static", "docs"}
CODE = {".py", ".ts", ".tsx", ".mjs", ".js", ".sql", ".yaml", ".toml", ".json", ".css", ".html"}

VARIABLE = re.compile(r"\b(?:SONORA|DEEPGRAM|OPENAI|CARTESIA|SUPABASE)_[A-Z0-9_]*[A-Z0-9]\b")
IDENTIFIER = re.compile(r"(?:[A-Za-z_]\w*\.)*(?P<last>[A-Za-z_]\w*)(?:\([^()]*\))?")
NAMED = re.compile(r"[a-z]_[a-z]|[a-z][A-Z]|[A-Z]_[A-Z]|\(")
"""What tells a name of the code from a word: `snake_case`, `camelCase`, `CONSTANT_CASE`, `f()`."""
FILE = re.compile(r"(?:\.{0,2}/)?(?:[\w.-]+/)*[\w.-]*")
ENDINGS = (".py", ".md", ".yaml", ".toml", ".ts", ".tsx", ".sql", ".svg", ".png", ".lock", ".mjs")

MADE_LATER = {"artifacts/soak/", "index.ts"}
"""Files that a command makes, or that a reader writes."""

OF_OTHERS = {
    "randomUUID",  # of browsers
    "PIPECAT_LOG_LEVEL",  # of Pipecat Cloud's base image
    *("waiting_server", "pipecatcloud_system", "feature_manager", "pcc_observers"),  # the same
    "getStats",  # of browsers
    "OTEL_EXPORTER_OTLP_HEADERS",  # of OpenTelemetry
    "extra_body",  # of OpenAI's client
}
"""Names that are not in this repository, and whose they are."""


@cache
def text(name: str) -> str:
    return (PROJECT / name).read_text("utf-8")


@cache
def tokens(name: str) -> list[Token]:
    return MarkdownIt().enable("table").parse(text(name))


def code(name: str) -> list[str]:
    """The pieces of code in the text of a page."""
    return [
        child.content
        for token in tokens(name)
        for child in token.children or []
        if child.type == "code_inline"
    ]


def command_lines(name: str) -> Iterator[str]:
    """Each command of a page: of its shell blocks, and those in the text."""
    for token in tokens(name):
        if token.type == "fence" and token.info == "sh":
            for line in token.content.splitlines():
                yield from re.sub(r"(?:^|\s+)#\s.*$", "", line).split(" && ")
    yield from code(name)


@cache
def sources() -> dict[Path, str]:
    """The code of the project, without its pages and without what is built."""
    files = [path for path in PROJECT.iterdir() if path.is_file() and path.suffix != ".md"]
    for folder in (*SOURCES, "scripts", ".ci", ".github", "evals"):
        files += [path for path in (PROJECT / folder).rglob("*") if path.is_file()]
    return {
        path: path.read_text("utf-8", errors="replace")
        for path in files
        if path != Path(__file__)
        and not LEFT_OUT & set(path.relative_to(PROJECT).parts)
        and path.suffix in {*CODE, "", ".lock"}
    }


@cache
def words() -> frozenset[str]:
    """Every word of the code."""
    return frozenset(word for content in sources().values() for word in re.findall(r"\w+", content))


@cache
def paths() -> frozenset[str]:
    """Every file and folder of the project, from its root."""
    found: set[str] = set()
    for path in PROJECT.rglob("*"):
        relative = path.relative_to(PROJECT)
        if not {"node_modules", "__pycache__", ".venv", ".git"} & set(relative.parts):
            found.add(relative.as_posix())
    return frozenset(found)


@cache
def strings_of_tests() -> frozenset[str]:
    """The strings of the tests and benchmarks, which have variables of their own."""
    return frozenset(
        node.value
        for path, content in sources().items()
        if path.suffix == ".py" and path.relative_to(PROJECT).parts[0] in ("tests", "benchmarks")
        for node in ast.walk(ast.parse(content))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@each_page
def test_each_setting_that_it_names_is_one(name: str) -> None:
    known = {variable for field in settings().values() for variable in names(field)}
    unknown = {found for found in VARIABLE.findall(text(name)) if found not in known}

    assert unknown <= strings_of_tests()


@each_page
def test_each_file_that_it_names_is_there(name: str) -> None:
    for piece in code(name):
        if not FILE.fullmatch(piece) or piece.startswith("/") or piece in MADE_LATER:
            continue
        if piece.endswith(ENDINGS) or ("/" in piece and piece.split("/")[0] in (*SOURCES, "docs")):
            path = piece.removeprefix("../").rstrip("/")
            assert any(f"/{known}".endswith(f"/{path}") for known in paths()), piece


@each_page
def test_each_name_of_the_code_is_in_the_code(name: str) -> None:
    for piece in code(name):
        match = IDENTIFIER.fullmatch(piece)
        if match and NAMED.search(piece) and not piece.endswith(ENDINGS):
            assert match["last"] in words() | OF_OTHERS, piece


@each_page
def test_each_command_is_one(name: str) -> None:
    for line in command_lines(name):
        told = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line.strip())
        try:
            command = shlex.split(told)
        except ValueError:
            continue
        if command[:2] == ["uv", "run"]:
            command = command[2:]
        if command[:1] == ["sonora"]:
            check_sonora(command[1:])
        elif command[:2] == ["python", "-m"]:
            check_module(command[2:])
        elif command[:2] == ["npm", "run"]:
            assert command[2] in npm_scripts(), told
        elif command and command[0].startswith(("scripts/", ".ci/", "bot.py")):
            assert (PROJECT / command[0]).is_file(), told


def check_sonora(arguments: list[str]) -> None:
    root = typer.main.get_command(app)
    rest = list(arguments)
    while rest and hasattr(root, "commands"):
        assert rest[0] in root.commands, arguments  # pyright: ignore
        root = root.commands[rest.pop(0)]  # pyright: ignore
    known = {option for parameter in root.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= known, arguments


def check_module(arguments: list[str]) -> None:
    spec = importlib.util.find_spec(arguments[0])
    assert spec is not None, arguments
    folder = Path(spec.origin or "").parent
    written = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    for word in arguments[1:]:
        assert not word.startswith("-") or f'"{word}"' in written, (arguments, word)


@cache
def npm_scripts() -> set[str]:
    return {
        script
        for path, content in sources().items()
        if path.name == "package.json"
        for script in json.loads(content).get("scripts", {})
    }
