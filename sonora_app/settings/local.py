"""The settings of what runs on this machine: which models, and where they are fetched from."""

from importlib.util import find_spec
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from sonora_app.settings.choices import Language, Vendor, VoiceOf
from sonora_app.settings.vendors import VendorSettings

_WHISPER = "whisper"
_NONE = "none"
_ENGLISH_ONLY = ".en"

_VOICES = {Language.ES: "es_MX-claude-high", Language.EN: "en_US-joe-medium"}
"""Piper's voice for each language, where the setting names none."""


class LocalSettings(VendorSettings):
    """Local models."""

    whisper_model: str = Field(
        "base",
        validation_alias="SONORA_WHISPER_MODEL",
        description="The model that recognises speech on this machine: `tiny`, `base`, `small` or "
        "`large-v3-turbo`, which is fetched once, or the folder of another one that was converted "
        "for CTranslate2. A model that knows English alone, such as `base.en`, is refused. With "
        "`none`, what is said is recognised here only where `SONORA_STT` asks for it. See "
        "[local.md](local.md).",
    )
    voice_of: VoiceOf | None = Field(
        None,
        validation_alias="SONORA_TTS",
        description="Whose voice speaks. `piper`: a voice on this machine, which needs the extra "
        "`voice` ([local.md](local.md)). `cartesia`: Cartesia's, or its stand-in. Empty: Piper's "
        "where there is no key and the extra is installed.",
    )
    piper_voice: str = Field(
        "",
        validation_alias="SONORA_PIPER_VOICE",
        description="Piper's voice: a name from `sonora models list`, which is fetched once, or "
        "the `.onnx` file of another one, with its `.onnx.json` beside it. It speaks both "
        "languages then. Empty: a Mexican voice for Spanish and an American one for English.",
    )
    models_url: str = Field(
        "",
        validation_alias="SONORA_MODELS_URL",
        description="The address of a mirror to fetch models from. It takes the place of the "
        "scheme and the host of each model's own address. Empty: where they were published.",
    )

    @field_validator("whisper_model")
    @classmethod
    def _knows_spanish(cls, value: str) -> str:
        if value.lower().endswith(_ENGLISH_ONLY):
            raise PydanticCustomError("model", "a model that knows English alone")
        return value

    @property
    def whisper_folder(self) -> Path | None:
        """The folder of a model that is not to be fetched, where the setting names one."""
        named = Path(self.whisper_model).expanduser()
        return named if len(named.parts) > 1 or named.is_dir() else None

    @property
    def whisper_name(self) -> str:
        """What the model that recognises speech is called in `sonora models`."""
        return f"whisper-{self.whisper_model.removeprefix('whisper-')}"

    @property
    def piper_file(self) -> Path | None:
        """The file of a voice that is not to be fetched, where the setting names one."""
        return Path(self.piper_voice).expanduser() if self.piper_voice.endswith(".onnx") else None

    def piper_name(self, language: Language) -> str:
        """What the voice of a language is called in `sonora models`."""
        return f"piper-{(self.piper_voice or _VOICES[language]).removeprefix('piper-')}"

    @property
    def hears_locally(self) -> bool:
        """Whether what is said is recognised on this machine.

        It is where the settings ask for it; and where they say nothing, there is no key, and the
        package for it is installed.
        """
        if "speech_model" in self.written_as:
            # Deepgram has models of this name too.
            named = self.written_as["speech_model"] == "SONORA_STT"
            return named and self.speech_model.lower() == _WHISPER
        unasked = self.key(Vendor.STT) is None and self.whisper_model != _NONE
        return unasked and find_spec("faster_whisper") is not None

    @property
    def speaks_locally(self) -> bool:
        """Whether a voice on this machine speaks: by the same rule."""
        if self.voice_of is not None:
            return self.voice_of is VoiceOf.PIPER
        return self.key(Vendor.TTS) is None and find_spec("piper") is not None

    def local_parts(self) -> frozenset[Vendor]:
        """The vendors whose part a model on this machine does: it needs no key."""
        heard = frozenset({Vendor.STT} if self.hears_locally else ())
        spoken = frozenset({Vendor.TTS} if self.speaks_locally else ())
        return super().local_parts() | heard | spoken
