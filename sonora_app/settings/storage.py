"""The settings of storage: where conversations are kept, for how long, and who may open them."""

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, field_validator

from sonora_app.errors import SettingsError
from sonora_app.settings.choices import Identity, KnowledgeIn, MemoryMode, Seconds
from sonora_app.settings.environment import EnvironmentSettings
from sonora_app.wording.translation import worded


class StorageSettings(EnvironmentSettings):
    """Storage and identity."""

    data_dir: Path = Field(
        Path(".sonora"),
        validation_alias="SONORA_DATA_DIR",
        description="The folder of the journal, the database that every conversation is written "
        "to first.",
    )
    supabase_url: str = Field(
        "",
        validation_alias="SUPABASE_URL",
        description="The Supabase project that conversations are kept in "
        "(`https://<project>.supabase.co`). Empty: they stay in the journal.",
    )
    supabase_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(
            "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY"
        ),
        description="The project's secret key (`sb_secret_…`), or its older service_role key.",
    )
    supabase_timeout_secs: Seconds = Field(
        5.0,
        validation_alias="SONORA_SUPABASE_TIMEOUT_SECS",
        description="How long one attempt to read or write in Supabase may take.",
    )
    history_secs: Seconds = Field(
        1.5,
        validation_alias="SONORA_HISTORY_SECS",
        description="How long a call that opens a conversation waits for its history. After that "
        "the call starts without the history, and gets it when it comes.",
    )
    history_messages: int = Field(
        40,
        validation_alias="SONORA_HISTORY_MESSAGES",
        ge=0,
        description="How many of a conversation's newest messages the model is given when the "
        "conversation is resumed.",
    )
    history_chars: int = Field(
        12_000,
        validation_alias="SONORA_HISTORY_CHARS",
        ge=0,
        description="How many characters those messages may have in all.",
    )
    journal_keep_days: float = Field(
        30.0,
        validation_alias="SONORA_JOURNAL_KEEP_DAYS",
        ge=0,
        description="How many days the journal keeps a call that is safely in Supabase.",
    )
    recording: bool = Field(
        False,
        validation_alias="SONORA_RECORDING",
        description="`True` keeps the sound of calls whose person agrees: in the page (`recording` "
        "of `set_conversation_id`), or when the bot asks. See [privacy.md](privacy.md).",
    )
    prompts_kept: int = Field(
        100,
        validation_alias="SONORA_PROMPTS_KEPT",
        ge=0,
        description="Of how many of the latest conversations the journal keeps what the model was "
        "asked, word for word, for the console. On your own machine only; never in Supabase.",
    )
    log_unshipped: bool = Field(
        False,
        validation_alias="SONORA_LOG_UNSHIPPED",
        description="`True` lets a process that ends write to the log, content and all, what it "
        "could not bring to Supabase. For machines whose disk goes away with the process.",
    )
    identity: Identity = Field(
        Identity.CLAIMED,
        validation_alias="SONORA_IDENTITY",
        description="How callers prove who they are. `claimed` takes their word for it; "
        "`verified` asks for an access token of the project at `SUPABASE_URL`. See "
        "[security.md](security.md).",
    )
    supabase_jwt_audience: str = Field(
        "authenticated",
        validation_alias="SUPABASE_JWT_AUDIENCE",
        min_length=1,
        description="The audience (`aud`) that those access tokens must have.",
    )
    memory: MemoryMode = Field(
        MemoryMode.ON,
        validation_alias="SONORA_MEMORY",
        description="Whether people are remembered from call to call: `on`, `ask` (the bot asks "
        "once, and keeps nothing until then) or `off`. A person's own switch beats `on`. See "
        "[privacy.md](privacy.md).",
    )
    shared_memory: bool = Field(
        False,
        validation_alias="SONORA_SHARED_MEMORY",
        description="Whether the notes of an older project's `shared_memory` are told in "
        "everybody's calls. No call writes there.",
    )
    knowledge: KnowledgeIn = Field(
        KnowledgeIn.LOCAL,
        validation_alias="SONORA_KNOWLEDGE",
        description="Where calls search for documents. `local`: the index beside the journal; "
        "`supabase`: the project at `SUPABASE_URL`, to which `sonora knowledge push` brings them; "
        "`match_documents`: a function of that name which the project has already. See "
        "[knowledge.md](knowledge.md).",
    )
    knowledge_match_from: float = Field(
        0.4,
        validation_alias="SONORA_KNOWLEDGE_MATCH_FROM",
        ge=-1,
        le=1,
        description="With `match_documents`: the similarity from which a text is given to the "
        "model. It is the function's `match_threshold`.",
    )

    @field_validator("data_dir")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser()

    @property
    def journal_path(self) -> Path:
        """The journal's file."""
        return self.data_dir / "journal.db"

    @property
    def knowledge_path(self) -> Path:
        """The file of the index of documents."""
        return self.data_dir / "knowledge.db"

    @property
    def models_path(self) -> Path:
        """The folder of the models that were fetched."""
        return self.data_dir / "models"

    @property
    def auth_url(self) -> str:
        """The address of the project's auth server, which is also the issuer of its tokens.

        Raises:
            SettingsError: No project is set, and `verified` identity needs one.
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
            SettingsError: Only one of the URL and the key is set. The URL alone is enough where
                it only serves `verified` identity.
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
                worded("{key} is set, but SUPABASE_URL is not.", key=self.name_of("supabase_key")),
                hint=worded("Set it to the URL of the project, https://<project>.supabase.co."),
            )
        return False
