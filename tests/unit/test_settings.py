"""The environment, typed and checked."""

import pytest

from sonora_app.errors import SettingsError
from sonora_app.settings import Settings, Vendor, load_settings
from sonora_app.wording.translation import in_spanish

pytestmark = pytest.mark.unit

KEYS = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    for name in ("ENV", *KEYS):
        monkeypatch.delenv(name, raising=False)


def test_a_deployment_without_keys_names_every_one_that_is_missing() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings().check_deployable()
    assert all(key in str(refused.value) for key in KEYS)


def test_a_developers_machine_may_rehearse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    settings = load_settings()
    settings.check_deployable()
    assert settings.stand_ins() == {Vendor.STT, Vendor.TTS}
    assert settings.waiting_limit_secs == 5


def test_a_recogniser_that_knows_english_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONORA_WHISPER_MODEL", "base.en")
    with pytest.raises(SettingsError, match=r"SONORA_WHISPER_MODEL.*knows English alone"):
        load_settings()


def test_an_empty_key_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "  ")
    assert Vendor.LLM in load_settings().stand_ins()


def test_a_value_that_cannot_be_used_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SONORA_MAX_CALL_SECS", "s3cr3t")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "SONORA_MAX_CALL_SECS" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SONORA_LANGUAGE", "fr", "tiene que ser uno de estos: 'es', 'en'"),
        ("SONORA_IDLE_NUDGES", "x", "tiene que ser un número entero"),
        ("SONORA_IDLE_SECS", "soon", "tiene que ser un número"),
        ("SONORA_IDLE_SECS", "-1", "tiene que ser 0 o más"),
        ("SONORA_MEMORY", "yes", "tiene que ser uno de estos: 'on', 'ask', 'off'"),
        ("SONORA_RECORDING", "sure", "tiene que ser True o False"),
    ],
)
def test_what_a_value_has_to_be_is_told_in_spanish(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert told in in_spanish(refused.value.message)


def test_keys_show_in_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cr3t")
    settings: Settings = load_settings()
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in settings.model_dump_json()
