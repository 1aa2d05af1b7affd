"""Where the settings come from: environment variables, and the file `.env` in the working folder.

A variable of the environment wins over a line of `.env`. Where a setting has two names, the first
that is set counts, and errors name the one that was written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

ENV_FILE = Path(".env")
"""The file of a developer's machine, in the working folder."""


def names(field: FieldInfo) -> list[str]:
    """The environment variables of a setting, the one to use first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(name) for name in alias.choices]
    return [] if alias is None else [str(alias)]


class EnvironmentSettings(BaseSettings):
    """Settings that remember by which of its names each was written."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    written_as: dict[str, str] = Field(default_factory=dict, exclude=True, repr=False)

    def name_of(self, setting: str) -> str:
        """The variable that a setting was written as; the one to use, where none was.

        Args:
            setting: The name of the field.
        """
        return self.written_as.get(setting) or names(type(self).model_fields[setting])[0]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment and `.env` by the variables' names alone."""
        sources = (env_settings, dotenv_settings)
        variables = [source.env_vars for source in sources if isinstance(source, EnvSettingsSource)]
        return init_settings, _ByVariable(settings_cls, variables)


class _ByVariable(PydanticBaseSettingsSource):
    """Gives each setting what its variable holds, and the name of that variable.

    Pydantic's own source also takes a field's name for a variable, and the case of letters for
    nothing: `LANGUAGE`, which desktops set to `en_US:en`, would be Sonora's language.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], variables: list[Mapping[str, str | None]]
    ) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        for variables in self._variables:
            for name in names(field):
                value = (variables.get(name.lower()) or "").strip()
                if value:
                    return value, name, False
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        written_as: dict[str, str] = {}
        for setting, field in self.settings_cls.model_fields.items():
            value, name, _ = self.get_field_value(field, setting)
            if value is not None:
                values[names(field)[0]] = value
                written_as[setting] = name
        return {**values, "written_as": written_as}
