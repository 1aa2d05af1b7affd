"""The environment, typed and checked once.

Read from environment variables and, for a developer's machine, from `.env` in the working
folder. Nothing else in the project reads the environment. Secrets are `SecretStr`: their
value appears in no repr, log or error.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sonora_app.errors import SettingsError
from sonora_app.wording.translation import worded


class Language(StrEnum):
    """The languages Sonora speaks."""

    ES = "es"
    EN = "en"


class Vendor(StrEnum):
    """The services a call is made of, by what they do."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"


class SpeechModel(StrEnum):
    """How speech is recognised: nova-3 with our own turn detection, or Flux with Deepgram's."""

    NOVA = "nova-3"
    FLUX = "flux"


class Identity(StrEnum):
    """How a caller proves who they are. See `sonora_app/identity/callers.py`."""

    CLAIMED = "claimed"
    VERIFIED = "verified"


Seconds = Annotated[float, Field(gt=0)]
"""A length of time in seconds."""

_KEYS = {
    Vendor.STT: ("deepgram_api_key", "DEEPGRAM_API_KEY"),
    Vendor.LLM: ("openai_api_key", "OPENAI_API_KEY"),
    Vendor.TTS: ("cartesia_api_key", "CARTESIA_API_KEY"),
}


class Settings(BaseSettings):
    """Everything that can be set from outside, with its default. Durations are in seconds."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    env: str = Field(
        "production",
        validation_alias="ENV",
        description="`local` on a developer's machine, where stand-ins may take a vendor's "
        "place. Anything else is a deployment. `bot.py` sets `local` when it is run by hand.",
    )

    deepgram_api_key: SecretStr | None = Field(None, validation_alias="DEEPGRAM_API_KEY")
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    cartesia_api_key: SecretStr | None = Field(None, validation_alias="CARTESIA_API_KEY")

    supabase_url: str = Field(
        "",
        validation_alias="SUPABASE_URL",
        description="The Supabase project that conversations are kept in (`https://…`). Empty: "
        "they stay in the journal.",
    )
    supabase_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
        description="Its secret key (`sb_secret_…`), or the older service_role key.",
    )

    deepgram_base_url: str = Field(
        "",
        validation_alias="DEEPGRAM_BASE_URL",
        description="Where Deepgram's API is, when not at Deepgram (`wss://` or `https://`).",
    )
    openai_base_url: str = Field(
        "",
        validation_alias="OPENAI_BASE_URL",
        description="Where the chat completions API is, up to and including `/v1`.",
    )
    cartesia_base_url: str = Field(
        "",
        validation_alias="CARTESIA_BASE_URL",
        description="Where Cartesia's API is (`wss://host`), without the path.",
    )

    openai_model: str = Field("gpt-4.1", validation_alias="OPENAI_MODEL")
    openai_fallback_model: str = Field(
        "",
        validation_alias="OPENAI_FALLBACK_MODEL",
        description="The model that answers when the first cannot.",
    )
    openai_fallback_base_url: str = Field(
        "",
        validation_alias="OPENAI_FALLBACK_BASE_URL",
        description="Where the fallback model is; empty: where the first is.",
    )
    openai_fallback_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_FALLBACK_API_KEY",
        description="The fallback's key; empty: the first one's.",
    )
    cartesia_fallback_voice_id: str = Field(
        "",
        validation_alias="CARTESIA_FALLBACK_VOICE_ID",
        description="The voice that speaks when the first cannot; empty: the same.",
    )
    cartesia_fallback_model: str = Field(
        "",
        validation_alias="CARTESIA_FALLBACK_MODEL",
        description="The fallback voice's speech model; empty: the same.",
    )
    cartesia_fallback_base_url: str = Field(
        "",
        validation_alias="CARTESIA_FALLBACK_BASE_URL",
        description="Where the fallback voice is; empty: where the first is.",
    )
    speech_model: SpeechModel = Field(
        SpeechModel.NOVA, validation_alias=AliasChoices("SONORA_STT", "DEEPGRAM_MODEL")
    )
    cartesia_model: str = Field("sonic-3.6", validation_alias="CARTESIA_MODEL")
    cartesia_voice_id: str = Field(
        "",
        validation_alias="CARTESIA_VOICE_ID",
        description="The voice for every language; empty: a native voice per language.",
    )
    language: Language = Field(
        Language.ES,
        validation_alias="SONORA_LANGUAGE",
        description="What is spoken when the page does not say.",
    )

    data_dir: Path = Field(
        Path(".sonora"),
        validation_alias="SONORA_DATA_DIR",
        description="The folder of the journal, the embedded database.",
    )
    identity: Identity = Field(
        Identity.CLAIMED,
        validation_alias="SONORA_IDENTITY",
        description="How callers prove who they are: not at all (`claimed`), or by an access "
        "token of the Supabase project at SUPABASE_URL (`verified`).",
    )
    supabase_jwt_audience: str = Field(
        "authenticated",
        validation_alias="SUPABASE_JWT_AUDIENCE",
        min_length=1,
        description="The audience (`aud`) that those access tokens must have.",
    )

    allowed_hosts: str = Field(
        "",
        validation_alias="SONORA_ALLOWED_HOSTS",
        description="Names, besides this machine's own, that the development runner is reached by "
        "and whose pages may start calls: `bot.example, talk.example`.",
    )

    supabase_timeout_secs: Seconds = Field(
        5.0,
        validation_alias="SONORA_SUPABASE_TIMEOUT_SECS",
        description="How long one attempt to read or write in Supabase may take.",
    )
    history_secs: Seconds = Field(
        1.5,
        validation_alias="SONORA_HISTORY_SECS",
        description="How long opening a conversation waits for Supabase. After that the call "
        "starts without what was said earlier, and gets it when it comes.",
    )
    journal_keep_days: float = Field(
        30.0,
        validation_alias="SONORA_JOURNAL_KEEP_DAYS",
        ge=0,
        description="How many days the journal keeps calls that are safely in Supabase.",
    )
    log_unshipped: bool = Field(
        False,
        validation_alias="SONORA_LOG_UNSHIPPED",
        description="Whether a process that ends writes to the log, content and all, what it "
        "could not bring to Supabase. For where the disk goes away with the process.",
    )

    answer_early: bool = Field(
        True,
        validation_alias="SONORA_ANSWER_EARLY",
        description="Whether the model is asked as soon as a turn sounds complete, and its answer "
        "held back until the turn is over. Takes a second request where the user goes on.",
    )
    unfinished_secs: Seconds = Field(
        1.4,
        validation_alias="SONORA_UNFINISHED_SECS",
        description="The silence, after Silero's 0.16 s, that ends a turn which does not sound "
        "complete, or whose last word leaves the sentence open.",
    )
    history_messages: int = Field(
        40,
        validation_alias="SONORA_HISTORY_MESSAGES",
        ge=0,
        description="How many of a conversation's newest messages a resumed call starts with.",
    )
    history_chars: int = Field(
        12_000,
        validation_alias="SONORA_HISTORY_CHARS",
        ge=0,
        description="How many characters those may have in all.",
    )

    waiting_secs: Seconds | None = Field(
        None,
        validation_alias="SONORA_WAITING_SECS",
        description="How long to wait for a conversation id: 5 locally (then a fresh "
        "conversation opens), 60 elsewhere and with `verified` identity (then the call ends).",
    )
    idle_secs: float = Field(
        12.0,
        validation_alias="SONORA_IDLE_SECS",
        ge=0,
        description="Silence from the user before a nudge; 0 never nudges.",
    )
    idle_nudges: int = Field(
        2,
        validation_alias="SONORA_IDLE_NUDGES",
        ge=0,
        description="How many nudges before silence winds the call up.",
    )
    max_call_secs: Seconds = Field(
        1800.0,
        validation_alias="SONORA_MAX_CALL_SECS",
        description="The longest a call may last before it is wound up.",
    )
    call_warning_secs: float = Field(
        60.0,
        validation_alias="SONORA_CALL_WARNING_SECS",
        ge=0,
        description="How long before that the caller is told; 0 tells nothing.",
    )
    closing_secs: Seconds = Field(
        30.0,
        validation_alias="SONORA_CLOSING_SECS",
        description="How long winding up may take before the farewell, and the farewell "
        "before the call is cut.",
    )
    summary_secs: Seconds = Field(
        8.0,
        validation_alias="SONORA_SUMMARY_SECS",
        description="How long the summary after a call may take.",
    )
    drain_secs: Seconds = Field(
        5.0,
        validation_alias="SONORA_DRAIN_SECS",
        description="How long the end of a call waits for its last records to be written.",
    )
    log_level: str = Field(
        "INFO",
        validation_alias="SONORA_LOG_LEVEL",
        description="What `bot.py` logs. At DEBUG Pipecat logs what people say.",
    )

    @field_validator("data_dir")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("log_level")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()

    @property
    def is_local(self) -> bool:
        """Whether this is a developer's machine, where stand-ins may run."""
        return self.env.lower() == "local"

    @property
    def waiting_limit_secs(self) -> float:
        """How long a call waits for its conversation id, in seconds."""
        if self.waiting_secs is not None:
            return self.waiting_secs
        # Nobody can be given a conversation of their own who has not proven who they are.
        return 5.0 if self.is_local and self.identity is Identity.CLAIMED else 60.0

    @property
    def longest_call_secs(self) -> float:
        """The longest that a call can take until it is kept, in seconds."""
        return self.max_call_secs + 2 * self.closing_secs + self.summary_secs + 2 * self.drain_secs

    @property
    def auth_url(self) -> str:
        """The auth server of the Supabase project, which is also what its tokens' issuer is.

        Raises:
            SettingsError: There is none, and `verified` identity needs one.
        """
        url = self.supabase_url.strip().rstrip("/")
        if not url:
            raise SettingsError(
                worded("SONORA_IDENTITY is verified, but SUPABASE_URL is not set."),
                hint=worded(
                    "Set it to the URL of the Supabase project that your users sign in to."
                ),
            )
        return f"{url}/auth/v1"

    @property
    def uses_supabase(self) -> bool:
        """Whether conversations are kept in Supabase, with the journal in front of it.

        Raises:
            SettingsError: Only one of the URL and the key is set, and the URL is not there for
                `verified` identity either.
        """
        key = self.supabase_key.get_secret_value().strip() if self.supabase_key else ""
        url = self.supabase_url.strip()
        if url and key:
            return True
        if url and self.identity is not Identity.VERIFIED:
            raise SettingsError(
                worded("SUPABASE_URL is set, but SUPABASE_SECRET_KEY is not."),
                hint=worded("Copy a secret key from the project's settings, API keys."),
            )
        if key and not url:
            raise SettingsError(
                worded("SUPABASE_SECRET_KEY is set, but SUPABASE_URL is not."),
                hint=worded("Set it to the URL of the project, https://<project>.supabase.co."),
            )
        return False

    @property
    def journal_path(self) -> Path:
        """The journal's file."""
        return self.data_dir / "journal.db"

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

    def stand_ins(self) -> frozenset[Vendor]:
        """The vendors that have no key, and so are stood in for."""
        return frozenset(vendor for vendor in Vendor if self.key(vendor) is None)

    def missing_keys(self) -> list[str]:
        """The names of the environment variables whose keys are missing, in a fixed order."""
        return [_KEYS[vendor][1] for vendor in Vendor if self.key(vendor) is None]

    def check_deployable(self) -> None:
        """Refuse to run a deployment with stand-ins, or with settings that need another.

        Raises:
            SettingsError: A key is missing and this is not a developer's machine, identity is
                `verified` without a project, or Supabase is set by half.
        """
        _ = self.uses_supabase
        if self.identity is Identity.VERIFIED:
            _ = self.auth_url
        missing = self.missing_keys()
        if missing and not self.is_local:
            raise SettingsError(
                f"Missing: {', '.join(missing)}.",
                hint="Add them to the agent's secret set (pipecat cloud secrets set), or set "
                "ENV=local to rehearse without them on your own machine.",
            )


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: A value cannot be used. The message names the variables, not the values.
    """
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  # every field comes from the environment
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(
            worded("The settings cannot be used: {problems}.", problems=problems),
            hint=worded("See the table of settings in README.md."),
        ) from None
