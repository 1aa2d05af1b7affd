"""The settings of the process: whose machine it runs on, who may reach it, and what it logs."""

from pydantic import Field, field_validator

from sonora_app.settings.environment import EnvironmentSettings


class ProcessSettings(EnvironmentSettings):
    """The process."""

    env: str = Field(
        "production",
        validation_alias="ENV",
        description="`local` on your own machine, where stand-ins may replace vendors; anything "
        "else is a deployment. `bot.py` and `sonora` set `local` when you run them by hand.",
    )
    allowed_hosts: str = Field(
        "",
        validation_alias="SONORA_ALLOWED_HOSTS",
        description="Names by which people reach the development runner besides this machine's "
        "own, such as a tunnel's, with commas between them: `bot.example, talk.example`. Pages of "
        "these names may start calls. See [security.md](security.md).",
    )
    log_level: str = Field(
        "INFO",
        validation_alias="SONORA_LOG_LEVEL",
        description="What `bot.py` logs. At `DEBUG` Pipecat logs what people say.",
    )

    @field_validator("log_level")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()

    @property
    def is_local(self) -> bool:
        """Whether this is a developer's machine, where stand-ins may run."""
        return self.env.lower() == "local"
