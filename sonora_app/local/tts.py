"""A call's voice on this machine: Piper's, and espeak-ng's until that is ready."""

from sonora_app.local.speaking import Speaking
from sonora_app.rehearsal.tts import RehearsalTTSService, Speaks
from sonora_app.settings import Language


class LocalTTSService(RehearsalTTSService):
    """Speaks with the voice of this process, and says when each word is heard.

    Pipecat's `PiperTTSService` fetches and loads the voice where it is made, anew for each call,
    and tells no word times; so of an answer that was cut off only whole sentences would be
    remembered. So its base class is used here, by way of the rehearsal's.

    Args:
        language: What is spoken at first.
        speaking: How far the voices are.

    Raises:
        SettingsError: espeak-ng is not installed.
    """

    def __init__(self, language: Language, speaking: Speaking) -> None:
        """Create the service. Nothing is loaded."""
        self._speaking = speaking
        self._language = language
        super().__init__(language)

    @property
    def is_real(self) -> bool:
        """Whether the voice is ready, and not stood in for."""
        return self._speaking.of(self._language).part is not None

    def speak_with(self, language: str) -> None:
        """Speak another language from now on."""
        super().speak_with(language)
        spoken = language.split("-")[0].lower()
        if spoken in set(Language):
            self._language = Language(spoken)
            self._speaking.want(self._language)

    def speaker(self) -> Speaks:
        """Who speaks the next text."""
        return self._speaking.of(self._language).part or super().speaker()
