"""The fixed lines, in both languages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from sonora_app.flow.lines import FLOWS_DIR, Lines
from sonora_app.settings import Language

pytestmark = pytest.mark.unit

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def shape(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: shape(value) for key, value in tree.items()}
    return "lines"


def test_every_language_has_the_same_lines() -> None:
    trees = [
        yaml.safe_load((FLOWS_DIR / "lines" / f"{language}.yaml").read_text("utf-8"))
        for language in Language
    ]
    assert all(shape(tree) == shape(trees[0]) for tree in trees)


@pytest.mark.parametrize("language", list(Language))
def test_a_greeting_can_always_be_said(language: Language) -> None:
    lines = Lines(language)
    for kind in ("new", "returning"):
        plain = lines.text(f"greeting.{kind}")
        assert "{" not in plain
        named = lines.text(f"greeting.{kind}", {"name": "Ana", "topic": "Oaxaca", "since": "Ayer"})
        assert "Ana" in named
        assert "{" not in named


@pytest.mark.parametrize("language", list(Language))
def test_every_greeting_begins_with_words_that_need_no_facts(language: Language) -> None:
    lines = Lines(language)
    parts = lines.fixed_greetings()
    for kind in ("new", "returning"):
        assert lines.text(f"greeting.{kind}") in parts
        for greeting in lines.all(f"greeting.{kind}"):
            assert any(greeting == part or greeting.startswith(f"{part} ") for part in parts)


def test_a_line_is_not_said_with_a_fact_missing() -> None:
    lines = Lines(Language.ES)
    greeting = lines.text("greeting.returning", {"topic": "Oaxaca", "since": "Ayer", "name": None})
    assert greeting == "Hola de nuevo. Ayer hablamos de Oaxaca. ¿Seguimos por ahí?"
    with pytest.raises(KeyError):
        lines.text("prompt.user", {"name": ""})


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (timedelta(minutes=3), "Hace un momento"),
        (timedelta(hours=5), "Hace unas horas"),
        (timedelta(hours=30), "Ayer"),
        (timedelta(days=4), "Hace unos días"),
        (timedelta(days=20), "Hace unas semanas"),
        (timedelta(days=300), "Hace tiempo"),
    ],
)
def test_how_long_ago_is_said_as_a_person_would(gap: timedelta, words: str) -> None:
    assert Lines(Language.ES).since(NOW - gap, NOW) == words
