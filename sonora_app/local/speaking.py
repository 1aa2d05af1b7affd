"""The voices of this process: fetched and loaded behind the calls, and used by all of them."""

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sonora_app.errors import SettingsError
from sonora_app.local.catalogue import find_model, is_here
from sonora_app.local.preparation import Preparation, State, missing_extra
from sonora_app.settings import Language, Settings
from sonora_app.wording.translation import worded

if TYPE_CHECKING:
    from sonora_app.local.piper import PiperVoice


class Speaking:
    """How far the voices are. Until one is ready espeak-ng speaks in its place.

    The voice of the settings' language is fetched. That of the other language is used where it is
    here already, and loaded when a call first asks for it. A voice that the settings name speaks
    both languages.
    """

    def __init__(self) -> None:
        """Begin with no voice."""
        self._settings: Settings | None = None
        self._voices = {language: Preparation["PiperVoice"]() for language in Language}

    def prepare(self, settings: Settings) -> threading.Thread | None:
        """Fetch and load the voice on a thread, where the settings have one speak here.

        Returns:
            The thread, or None where nothing is to be done, or is being done already.
        """
        if not settings.speaks_locally:
            return None
        self._settings = settings
        if settings.piper_voice:
            self._voices = dict.fromkeys(Language, self._voices[settings.language])
        return self._prepare(settings, settings.language)

    def of(self, language: Language) -> Preparation["PiperVoice"]:
        """How far the voice of a language is."""
        return self._voices[language]

    def want(self, language: Language) -> None:
        """Have the voice of a language loaded, where it needs no fetching."""
        settings = self._settings
        if settings is None or self._voices[language].state is not State.UNUSED:
            return
        if is_here(find_model(settings.piper_name(language)), settings.models_path):
            self._prepare(settings, language)

    def _prepare(self, settings: Settings, language: Language) -> threading.Thread | None:
        voice = self._voices[language]
        return voice.begin(
            lambda: self._make(settings, language),
            name=f"sonora-voice-{language}",
            ready=f"Piper speaks on this machine ({language})",
            instead="Piper does not speak: espeak-ng does.",
            failed=lambda error: SettingsError(
                worded("The voice cannot be loaded ({reason}).", reason=error),
                hint=worded("Look whether SONORA_PIPER_VOICE is right: uv run sonora doctor"),
            ),
        )

    def _make(self, settings: Settings, language: Language) -> "PiperVoice":
        if find_spec("piper") is None:
            raise missing_extra(
                worded("A voice on this machine needs the extra `voice`, which is not installed."),
                "voice",
            )
        voice = self._voices[language]
        file = settings.piper_file or self._fetched(voice, settings, language)
        voice.state = State.LOADING
        from sonora_app.local.piper import PiperVoice

        return PiperVoice(file)

    def _fetched(
        self, voice: Preparation["PiperVoice"], settings: Settings, language: Language
    ) -> Path:
        name = settings.piper_name(language)
        folder = voice.fetch(name, settings)
        return folder / f"{name.removeprefix('piper-')}.onnx"


speaking = Speaking()
"""The voices of this process."""
