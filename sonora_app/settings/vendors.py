"""The settings of the vendors: whose key is there, which model is asked, and at which address."""

import re

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from sonora_app.settings.addresses import is_local_model
from sonora_app.settings.choices import Vendor
from sonora_app.settings.environment import EnvironmentSettings

_KEYS = {
    Vendor.STT: ("deepgram_api_key", "DEEPGRAM_API_KEY"),
    Vendor.LLM: ("openai_api_key", "OPENAI_API_KEY"),
    Vendor.TTS: ("cartesia_api_key", "CARTESIA_API_KEY"),
}

_MODEL = re.compile(r"[A-Za-z0-9][\w.:-]*", re.ASCII)

_FLUX = re.compile(r"flux(-.*)?", re.IGNORECASE)

FLUX_MULTI = "flux-general-multi"


class VendorSettings(EnvironmentSettings):
    """Vendors."""

    deepgram_api_key: SecretStr | None = Field(
        None,
        validation_alias="DEEPGRAM_API_KEY",
        description="The key of Deepgram, which recognises speech.",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_API_KEY",
        description="The key of OpenAI, whose language model answers.",
    )
    cartesia_api_key: SecretStr | None = Field(
        None,
        validation_alias="CARTESIA_API_KEY",
        description="The key of Cartesia, which speaks.",
    )

    speech_model: str = Field(
        "nova-3",
        validation_alias=AliasChoices("SONORA_STT", "DEEPGRAM_MODEL"),
        description="Deepgram's model. With `flux`, or a model whose name begins so, Deepgram "
        "decides when a turn ends; with any other, Sonora does. With `whisper`, no Deepgram: what "
        "is said is recognised on this machine ([local.md](local.md)).",
    )
    openai_model: str = Field(
        "gpt-4.1", validation_alias="OPENAI_MODEL", description="The language model."
    )
    sees_pictures: bool = Field(
        True,
        validation_alias="SONORA_PICTURES",
        description="Whether the language model is shown the pictures that people send. `False` "
        "for a model that takes none: then the bot says that it cannot see them.",
    )
    cartesia_model: str = Field(
        "sonic-3.6", validation_alias="CARTESIA_MODEL", description="Cartesia's model."
    )
    cartesia_voice_id: str = Field(
        "",
        validation_alias="CARTESIA_VOICE_ID",
        description="The id of one voice for every language. Empty: a native voice for each.",
    )

    deepgram_base_url: str = Field(
        "",
        validation_alias="DEEPGRAM_BASE_URL",
        description="The address of a gateway to Deepgram, or of a Deepgram of your own "
        "(`wss://` or `https://`). Empty: Deepgram's own.",
    )
    openai_base_url: str = Field(
        "",
        validation_alias="OPENAI_BASE_URL",
        description="The address of another chat completions API, up to and including `/v1`. "
        "A model on this machine needs no key; `sonora doctor` finds it at the usual ports. "
        "Empty: OpenAI's own.",
    )
    cartesia_base_url: str = Field(
        "",
        validation_alias="CARTESIA_BASE_URL",
        description="The address of a gateway to Cartesia (`wss://host`, without a path). "
        "Empty: Cartesia's own.",
    )

    openai_fallback_model: str = Field(
        "",
        validation_alias="OPENAI_FALLBACK_MODEL",
        description="The model that answers when the first cannot. There is a fallback where this "
        "or its address is set. Empty: the same model at the other address.",
    )
    openai_fallback_base_url: str = Field(
        "",
        validation_alias="OPENAI_FALLBACK_BASE_URL",
        description="The address of the fallback model. Empty: the address of the first.",
    )
    openai_fallback_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_FALLBACK_API_KEY",
        description="The key of the fallback model. Empty: the key of the first.",
    )
    cartesia_fallback_voice_id: str = Field(
        "",
        validation_alias="CARTESIA_FALLBACK_VOICE_ID",
        description="The voice that speaks when the first cannot. There is a fallback where this, "
        "its model or its address is set. Empty: the same voice.",
    )
    cartesia_fallback_model: str = Field(
        "",
        validation_alias="CARTESIA_FALLBACK_MODEL",
        description="The model of the fallback voice. Empty: the model of the first.",
    )
    cartesia_fallback_base_url: str = Field(
        "",
        validation_alias="CARTESIA_FALLBACK_BASE_URL",
        description="The address of the fallback voice. Empty: the address of the first.",
    )

    @field_validator("speech_model")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not _MODEL.fullmatch(value):
            raise PydanticCustomError("model", "not the name of a model")
        return value

    @property
    def uses_flux(self) -> bool:
        """Whether the speech model is Flux, which decides by itself when a turn ends."""
        return _FLUX.fullmatch(self.speech_model) is not None

    @property
    def flux_model(self) -> str:
        """The Flux model to ask for: the one that was named, or the one that knows Spanish."""
        return FLUX_MULTI if self.speech_model.lower() == "flux" else self.speech_model

    def key(self, vendor: Vendor) -> SecretStr | None:
        """The API key for `vendor`, or None when there is none."""
        value: SecretStr | None = getattr(self, _KEYS[vendor][0])
        return value if value is not None and value.get_secret_value().strip() else None

    def has_fallback(self, vendor: Vendor) -> bool:
        """Whether anything is set for what takes over when `vendor` fails."""
        return {
            Vendor.STT: False,
            Vendor.LLM: bool(self.openai_fallback_model or self.openai_fallback_base_url),
            Vendor.TTS: bool(
                self.cartesia_fallback_voice_id
                or self.cartesia_fallback_model
                or self.cartesia_fallback_base_url
            ),
        }[vendor]

    def local_parts(self) -> frozenset[Vendor]:
        """The vendors whose part a model on this machine does: it needs no key."""
        local = is_local_model(self.openai_base_url, self.openai_api_key)
        return frozenset({Vendor.LLM} if local else ())

    def stand_ins(self) -> frozenset[Vendor]:
        """The vendors that have no key, and so are replaced by stand-ins."""
        vendors = frozenset(vendor for vendor in Vendor if self.key(vendor) is None)
        return vendors - self.local_parts()

    def missing_keys(self) -> list[str]:
        """The names of the environment variables whose keys are missing, in a fixed order."""
        stand_ins = self.stand_ins()
        return [_KEYS[vendor][1] for vendor in Vendor if vendor in stand_ins]
