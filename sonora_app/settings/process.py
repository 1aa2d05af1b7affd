"""The settings of the process: whose machine it runs on, who may reach it, and what it logs."""

import os

from pydantic import Field, field_validator

from sonora_app.settings.environment import EnvironmentSettings

_CALLS, _CALLS_OF_ONE_PROCESSOR = 8, 4
"""How many calls one process holds with every turn answered. With 8, the slowest twentieth of the
answers took 1.8 times what one call's did, on two processors that the callers took as well
(`python -m benchmarks calls`). `sonora doctor --calls` finds how many a machine holds with less.
More processors help little, since Python runs one thread at a time."""


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
    max_calls: int = Field(
        0,
        validation_alias="SONORA_MAX_CALLS",
        ge=0,
        description="How many calls the process holds at a time. Whoever calls beyond that is told "
        "that all lines are busy. 0 takes 8, or 4 where the machine has one processor.",
    )
    handover_secs: float = Field(
        0.0,
        validation_alias="SONORA_HANDOVER_SECS",
        ge=0,
        description="How long calls may go on after SIGTERM or Ctrl+C, while no new ones are "
        "taken. Then each page is told, and its call ends. 0 ends them at once.",
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
    def call_limit(self) -> int:
        """How many calls the process holds at a time."""
        return self.max_calls or (_CALLS if (os.cpu_count() or 1) > 1 else _CALLS_OF_ONE_PROCESSOR)

    @property
    def is_local(self) -> bool:
        """Whether this is a developer's machine, where stand-ins may run."""
        return self.env.lower() == "local"
