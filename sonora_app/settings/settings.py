"""The settings of the bot and its commands: all of them together, read once and checked.

They come from environment variables and, on a developer's machine, from `.env` in the working
folder. Nothing else in the project reads the environment. Secrets are `SecretStr`: their value
appears in no repr, log or error.
"""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from sonora_app.errors import SettingsError
from sonora_app.settings.choices import Identity
from sonora_app.settings.env_file import (
    IN_ENVIRONMENT,
    Variable,
    environment_variables,
    file_variables,
)
from sonora_app.settings.environment import ENV_FILE, names
from sonora_app.settings.local import LocalSettings
from sonora_app.settings.mistakes import Mistake, find_mistake, meant_name
from sonora_app.settings.process import ProcessSettings
from sonora_app.settings.reports import ReportSettings
from sonora_app.settings.storage import StorageSettings
from sonora_app.settings.talk import TalkSettings
from sonora_app.settings.vendors import FLUX_MULTI
from sonora_app.wording.translation import Worded, joined, worded

_MULTILINGUAL = frozenset({"nova-3", "nova-3-general", "nova-2", "nova-2-general", FLUX_MULTI})
"""Deepgram's models that recognise several languages
(https://developers.deepgram.com/docs/multilingual-code-switching)."""


class Settings(LocalSettings, StorageSettings, TalkSettings, ReportSettings, ProcessSettings):
    """Everything that can be set from outside, with its default. Durations are in seconds."""

    @property
    def waiting_limit_secs(self) -> float:
        """How long a call waits for its conversation id, in seconds."""
        if self.waiting_secs is not None:
            return self.waiting_secs
        # Nobody can be given a conversation of their own who has not proven who they are.
        return 5.0 if self.is_local and self.identity is Identity.CLAIMED else 60.0

    @property
    def hears_both_languages(self) -> bool:
        """Whether Deepgram is asked to recognise either language, and to tell which it was."""
        model = self.flux_model if self.uses_flux else self.speech_model
        return self.change_language and model.lower() in _MULTILINGUAL

    @property
    def hears_change(self) -> bool:
        """Whether a call is told when the person speaks the other language, and follows them."""
        return self.hears_both_languages or (self.change_language and self.hears_locally)

    def check_deployable(self) -> None:
        """Refuse to run a deployment with stand-ins, or with settings that need another.

        Raises:
            SettingsError: A key is missing and this is not a developer's machine, identity is
                `verified` without a project, or only half of what Supabase, or
                sending reports, needs is set.
        """
        _ = self.uses_supabase, self.sends_reports
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
    """Read the settings from the environment and from `.env`.

    Raises:
        SettingsError: `.env` cannot be read, or a value cannot be used. The message names the
            variables and the lines, not the values.
    """
    fields = {name: field for field in Settings.model_fields.values() for name in names(field)}
    variables = [*file_variables(ENV_FILE), *environment_variables()]
    mistakes = [
        mistake
        for variable in variables
        if (name := meant_name(variable.name, fields))
        and (mistake := find_mistake(variable, name, fields[name]))
    ]
    if mistakes:
        raise _unusable(mistakes)
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  # every field comes from the environment
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise _unusable(
            Mistake(_problem(problem, fields, variables), worded("See docs/settings.md."))
            for problem in problems
        ) from None


def _unusable(mistakes: Iterable[Mistake]) -> SettingsError:
    problems, remedies = zip(*mistakes, strict=True)
    return SettingsError(
        worded("The settings cannot be used: {problems}.", problems=joined("; ", problems)),
        hint=joined(" ", dict.fromkeys(remedies)),
    )


def _problem(
    problem: ErrorDetails, fields: Mapping[str, FieldInfo], variables: Sequence[Variable]
) -> Worded:
    """What pydantic says of a setting, with the name by which it was written, and where."""
    first = str(problem["loc"][0])
    aliases = names(fields[first]) if first in fields else []
    written = [variable for variable in variables if variable.name.upper() in aliases]
    if not written:
        return worded("{name}: {problem}", name=first, problem=_in_words(problem))
    read = max(
        reversed(written),
        key=lambda found: (found.where is IN_ENVIRONMENT, -aliases.index(found.name.upper())),
    )
    return worded(
        "{name} ({where}): {problem}",
        name=read.name.upper(),
        where=read.where,
        problem=_in_words(problem),
    )


def _in_words(problem: ErrorDetails) -> str:
    """What pydantic finds wrong with a value; in its own words where ours have none for it."""
    limits = problem.get("ctx", {})
    match problem["type"]:
        case "enum" | "literal_error":
            values = str(limits["expected"]).replace(" or ", ", ")
            return worded("it has to be one of {values}", values=values)
        case "bool_parsing":
            return worded("it has to be True or False")
        case "int_parsing" | "int_from_float":
            return worded("it has to be a whole number")
        case "float_parsing":
            return worded("it has to be a number")
        case "greater_than_equal":
            return worded("it has to be {least} or more", least=f"{limits['ge']:g}")
        case "less_than_equal":
            return worded("it has to be {most} or less", most=f"{limits['le']:g}")
        case "greater_than":
            return worded("it has to be more than {limit}", limit=f"{limits['gt']:g}")
        case _:
            return problem["msg"]
