"""The house: how large its files and functions may grow, and what stands at its root."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from sonora_app.storage.journal import schema

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 320
MAX_FUNCTION_LINES = 60

SOURCES = sorted(
    path.relative_to(PROJECT)
    for root in ("sonora_app", "flows")
    for path in (PROJECT / root).rglob("*.py")
)


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    assert len(SOURCES) > 80
    lengths = {str(path): len((PROJECT / path).read_text("utf-8").splitlines()) for path in SOURCES}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_too_long_to_be_read_at_once() -> None:
    lengths = {
        f"{path}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse((PROJECT / path).read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(lengths) > 500
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


def test_at_the_root_stands_only_what_everybody_uses() -> None:
    assert {path.name for path in (PROJECT / "sonora_app").glob("*.py")} == {
        "__init__.py",
        "cli.py",
        "errors.py",
        "llm.py",
    }


def test_the_page_lists_the_rooms_as_they_are_checked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    page = (PROJECT / "docs" / "architecture.md").read_text("utf-8")
    rows = [row for row in re.findall(r"^\| (`.+?`) \|", page, re.M) if "/`" in row]
    listed = [{*re.findall(r"`([a-z]+)(?:/|\.py)`", row)} - {"flows"} for row in rows]
    assert listed == [{*re.findall("[a-z]+", layer)} for layer in layers]


def test_each_migration_of_the_project_has_a_version_of_its_own() -> None:
    names = sorted(path.name for path in (PROJECT / "supabase" / "migrations").iterdir())
    versions = [re.fullmatch(r"(\d{14})_sonora_[a-z_]+\.sql", name) for name in names]
    assert [name for name, version in zip(names, versions, strict=True) if version is None] == []
    assert len({version[1] for version in versions if version}) == len(names) > 10

    scripts = [(PROJECT / "supabase" / "migrations" / name).read_text("utf-8") for name in names]
    body = r"function public\.sonora_schema_version\(\)[^$]*\$\$ select (\d+) \$\$"
    numbers = [int(number) for script in scripts for number in re.findall(body, script)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_migration_of_the_journal_is_listed_once_and_in_order() -> None:
    written = [
        statement
        for part in vars(schema).values()
        if isinstance(part, tuple) and part is not schema.MIGRATIONS
        for statement in part
    ]
    listed = [statement for migration in schema.MIGRATIONS for statement in migration]
    assert listed == written
    assert len(set(listed)) == len(listed) > 40
