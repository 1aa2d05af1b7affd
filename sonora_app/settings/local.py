"""The settings of what runs on this machine: which models, and where they are fetched from."""

from importlib.util import find_spec
from pathlib import Path

from pydantic import Field

from sonora_app.settings.choices import Vendor
from sonora_app.settings.vendors import VendorSettings

_WHISPER = "whisper"
_NONE = "none"


class LocalSettings(VendorSettings):
    """Local models."""

    whisper_model: str = Field(
        "base",
        validation_alias="SONORA_WHISPER_MODEL",
        description="The model that recognises speech on this machine: `tiny`, `base`, `small` or "
        "`large-v3-turbo`, which is fetched once, or the folder of another one that was converted "
        "for CTranslate2. With `none`, what is said is recognised here only where `SONORA_STT` "
        "asks for it. See [local.md](local.md).",
    )
    models_url: str = Field(
        "",
        validation_alias="SONORA_MODELS_URL",
        description="The address of a mirror to fetch models from. It takes the place of the "
        "scheme and the host of each model's own address. Empty: where they were published.",
    )

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

    def local_parts(self) -> frozenset[Vendor]:
        """The vendors whose part a model on this machine does: it needs no key."""
        heard = frozenset({Vendor.STT} if self.hears_locally else ())
        return super().local_parts() | heard
