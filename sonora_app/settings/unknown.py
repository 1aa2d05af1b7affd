"""Finds variables that are named like a setting of Sonora's, and are none."""

from difflib import get_close_matches
from pathlib import Path

from loguru import logger

from sonora_app.settings.env_file import environment_variables, file_variables
from sonora_app.settings.environment import ENV_FILE, names
from sonora_app.settings.mistakes import meant_name
from sonora_app.settings.settings import Settings
from sonora_app.wording.translation import Worded, worded

_PREFIX = "SONORA_"
_OF_TESTS = ("SONORA_TEST_", "SONORA_ARTIFACTS", "SONORA_README_PICTURES")
"""How the names begin that only the tests read."""


def unknown_names(file_of_tools: Path) -> list[Worded]:
    """What is said of each name that no setting has, in `.env` and in the environment.

    A name that the file of the tools mentions is one of a secret of theirs.

    Args:
        file_of_tools: The file that declares the tools.

    Raises:
        SettingsError: `.env` cannot be read.
    """
    known = [name for field in Settings.model_fields.values() for name in names(field)]
    of_tools = _text(file_of_tools)
    found: dict[str, Worded] = {}
    for variable in (*file_variables(ENV_FILE), *environment_variables()):
        name = variable.name
        if not name.upper().startswith(_PREFIX) or name.startswith(_OF_TESTS):
            continue
        if name in found or name in of_tools or meant_name(name, known):
            continue
        near = get_close_matches(name.upper(), known, n=1)
        if near:
            told = worded(
                "{name} ({where}) is not a setting; did you mean {meant}?",
                name=name,
                where=variable.where,
                meant=near[0],
            )
        else:
            told = worded("{name} ({where}) is not a setting", name=name, where=variable.where)
        found[name] = told
    return list(found.values())


def warn_of_unknown_names(file_of_tools: Path) -> None:
    """Log a warning of each name that no setting has."""
    for told in unknown_names(file_of_tools):
        logger.warning(f"{told} See docs/settings.md")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError):
        return ""
