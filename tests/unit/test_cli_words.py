"""The words of `sonora`, in two languages."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from simulators.clients.kept_journal import write_journal
from sonora_app.cli import app
from sonora_app.doctor.checks import CheckState
from sonora_app.errors import ErrorCode, MessageError
from sonora_app.storage.records import ConversationStatus, EndReason
from sonora_app.wording.kept_words import kept_words
from sonora_app.wording.translation import (
    as_data,
    from_data,
    in_spanish,
    is_spanish,
    preferred,
    say,
    spanish,
    worded,
)

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = [*PROJECT.glob("sonora_app/**/*.py")]
TOLD = ("say", "worded")
PLACE = re.compile(r"\{\w+\}")


def literals(node: ast.AST) -> set[str]:
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def said() -> set[str]:
    """What is said or worded in the code, and the values that it is called with by name."""
    found: set[str] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TOLD:
                found |= literals(node.args[0])
    return found | {*CheckState, "User", "Sonora"}


def test_each_text_has_its_spanish_and_there_is_no_other() -> None:
    assert said() == spanish().keys()


def test_each_command_that_is_named_can_be_copied() -> None:
    whole = re.compile(r"uv run (--group \w+ )?sonora")
    texts = [*spanish().keys(), *spanish().values()]
    for language in ("en", "es"):
        words = PROJECT / "sonora_app" / "console" / "src" / "words" / f"{language}.ts"
        texts += words.read_text("utf-8").splitlines()
    assert [text for text in texts if re.search(r"\bsonora [a-z]", whole.sub("", text))] == []


def test_no_text_has_two_translations() -> None:
    file = PROJECT / "sonora_app" / "wording" / "spanish.yaml"
    keys = re.findall(r'^("(?:[^"\\]|\\.)*"):', file.read_text("utf-8"), re.MULTILINE)
    assert sorted(keys) == sorted(set(keys))
    assert len(keys) == len(spanish())


def test_each_value_that_is_kept_has_its_words_in_both_languages() -> None:
    schema = yaml.safe_load((PROJECT / "flows" / "summary.yaml").read_text("utf-8"))["schema"]
    for language in ("es", "en"):
        assert kept_words()[language]["ends"].keys() == {*EndReason}
        assert kept_words()[language]["status"].keys() == {*ConversationStatus}
        outcomes = schema["properties"]["outcome"]["enum"]
        assert kept_words()[language]["outcomes"].keys() == {*outcomes}


@pytest.mark.parametrize(("english", "translated"), spanish().items())
def test_the_spanish_has_the_same_values(english: str, translated: str) -> None:
    assert sorted(PLACE.findall(english)) == sorted(PLACE.findall(translated))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"LANG": "es_MX.UTF-8"}, True),
        ({"LANG": "es"}, True),
        ({"LANG": "est_EE"}, False),
        ({"LANG": "es_MX", "LC_MESSAGES": "en_US.UTF-8"}, False),
        ({"LANG": "en_US", "LC_MESSAGES": "en_US", "LC_ALL": "es_ES"}, True),
        ({"LANG": "es_MX", "LC_ALL": ""}, True),
        ({"LANG": "es_MX", "LC_ALL": "C"}, False),
    ],
)
def test_the_environment_says_which_language(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: bool
) -> None:
    for name in ("LANG", "LC_MESSAGES", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert is_spanish() is expected
    assert say("Call {number}", number=2) == ("Llamada 2" if expected else "Call 2")


def test_what_is_worded_can_be_said_later() -> None:
    inner = worded("{where}, without encryption", where="gateway.example")
    outer = worded("{problem} Nothing was deleted.", problem=inner)

    assert outer == "gateway.example, without encryption Nothing was deleted."
    assert in_spanish(outer) == "gateway.example, sin cifrar No se borró nada."
    assert in_spanish("nothing that is translated") == "nothing that is translated"
    assert in_spanish(worded("nothing {that} is translated", that=1)) == "nothing 1 is translated"


def test_an_error_is_told_in_the_language_of_the_call_from_another_process_too() -> None:
    reason = worded("it wants a password")
    message = worded("The document cannot be read: {reason}.", reason=reason)
    sent = json.loads(json.dumps(as_data(message)))
    error = MessageError(
        ErrorCode.FILE_UNREADABLE, from_data(sent), hint=worded("Send it as JPEG, PNG or WebP.")
    )

    assert error.said_in("es") == (
        "No se puede leer el documento: pide una contraseña. Envíala en JPEG, PNG o WebP."
    )
    assert error.said_in("en") == str(error)
    assert [preferred(tags) for tags in ("es-MX,es;q=0.9", "fr, en-GB", "de", "")] == [
        "es",
        "en",
        "en",
        "en",
    ]


@pytest.mark.parametrize(
    ("typed", "spanish", "english"),
    [
        ("converse", "¿Quisiste decir 'conversations'?", "Did you mean 'conversations'?"),
        ("zzz", "No existe el comando 'zzz'.", "No such command 'zzz'."),
        ("--foo", "No existe la opción --foo.", "No such option: --foo"),
        ("flow --jso", "Se parece a --json.", "(Possible options: --json)"),
        ("conversations show", "Falta el argumento 'ID'.", "Missing argument 'ID'."),
        (
            "conversations prune",
            "Falta la opción '--older-than'.",
            "Missing option '--older-than'.",
        ),
        ("conversations list --limit", "le falta un valor.", "requires an argument."),
        ("conversations list --json=1", "no lleva valor.", "does not take a value."),
        ("conversations list a b", "Sobran argumentos: a b", "extra argument(s) (a b)"),
        (
            "conversations prune --older-than 1d",
            "1d no es un número de días. Da uno de 1",
            "from 1 to",
        ),
        ("conversations prune --older-than 99999999999", "a 36500, como 30.", "1 to 36500"),
        ("conversations list --limit x", "tiene que ser un número entero.", "a valid integer"),
        ("conversations list --limit 0", "sirve: tiene que ser 1 o más.", "or equal to 1"),
        (
            "conversations list --status x",
            "'x' no es ninguno de estos: 'abi",
            "'x' is not one of 'open",
        ),
        ("conversations list --since x", "Escríbelo como 2026-", "x is not a day or a time. Write"),
        ("sync restore x", "No existe el archivo 'x'.", "file 'x' does not exist."),
        ("flow --format x", "'--format' no sirve: 'x' no es", "for '--format': 'x' is not one of"),
        ("sync retry", "Ese valor no sirve: Da un ID", "Invalid value: Give either"),
        ("conversations", "Uso: sonora conversations [OPCIONES] COMANDO", "Options:"),
    ],
)
def test_wrong_usage_is_told_in_the_language_of_the_words(
    monkeypatch: pytest.MonkeyPatch, typed: str, spanish: str, english: str
) -> None:
    for locale, told in (("es_MX.UTF-8", spanish), ("C", english)):
        monkeypatch.setenv("LC_ALL", locale)
        result = CliRunner().invoke(app, typed.split(), prog_name="sonora")
        assert (result.exit_code, result.stdout) == (2, "")
        assert told in result.stderr
        assert ("Error: " in result.stderr) is (typed != "conversations")
        if locale != "C":
            for said in ("Usage", "Try ", "OPTIONS", "Options", "Commands", "Show this message"):
                assert said not in result.stderr


def test_data_is_the_same_in_any_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = write_journal(tmp_path / "data" / "journal.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: str, locale: str) -> str:
        monkeypatch.setenv("LC_ALL", locale)
        command = [sys.executable, "-m", "sonora_app.cli", "conversations", *arguments]
        return subprocess.run(
            command, capture_output=True, check=True, timeout=60, text=True
        ).stdout

    show = ("show", str(kept.talk))
    assert "Llamada 1" in run(*show, locale="es_ES.UTF-8")
    assert "Call 1" in run(*show, locale="en_GB.UTF-8")
    data = run(*show, "--json", locale="es_ES.UTF-8")
    assert data == run(*show, "--json", locale="C.UTF-8")
