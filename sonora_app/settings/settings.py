"""The settings of the bot and its commands: all of them together, read once and checked.

They come from environment variables and, on a developer's machine, from `.env` in the working
folder. Nothing else in the project reads the environment. Secrets are `SecretStr`: their value
appears in no repr, log or error.
"""

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from sonora_app.errors import SettingsError
from sonora_app.settings.choices import Identity
from sonora_app.settings.process import ProcessSettings
from sonora_app.settings.storage import StorageSettings
from sonora_app.settings.talk import TalkSettings
from sonora_app.settings.vendors import VendorSettings
from sonora_app.wording.translation import worded


class Settings(VendorSettings, StorageSettings, TalkSettings, ProcessSettings):
    """Everything that can be set from outside, with its default. Durations are in seconds."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    @property
    def waiting_limit_secs(self) -> float:
        """How long a call waits for its conversation id, in seconds."""
        if self.waiting_secs is not None:
            return self.waiting_secs
        # Nobody can be given a conversation of their own who has not proven who they are.
        return 5.0 if self.is_local and self.identity is Identity.CLAIMED else 60.0

    def check_deployable(self) -> None:
        """Refuse to run a deployment with stand-ins, or with settings that need another.

        Raises:
            SettingsError: A key is missing and this is not a developer's machine, identity is
                `verified` without a project, or only half of what Supabase needs is set.
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
            hint=worded("See docs/settings.md."),
        ) from None
