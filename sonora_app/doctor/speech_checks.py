"""Checks that this machine can recognise speech and speak, for `sonora doctor` and Health."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sonora_app.errors import NotFoundError
from sonora_app.identity.callers import Finding
from sonora_app.local.catalogue import find_model, is_here
from sonora_app.local.hearing import hearing
from sonora_app.local.preparation import Preparation, State
from sonora_app.local.speaking import speaking
from sonora_app.local.vocabulary import knows_english_alone
from sonora_app.settings import Settings
from sonora_app.wording.translation import Worded, worded


def examine_hearing(settings: Settings) -> Finding | None:
    """Whether what is said is recognised here; None where the settings have it done elsewhere.

    In the process of a bot it tells how far that one's recogniser is.
    """
    if not settings.hears_locally:
        return None
    return _unready("faster_whisper", "local", hearing) or _model(settings)


def examine_speaking(settings: Settings) -> Finding | None:
    """Whether a voice of this machine speaks; None where the settings have it done elsewhere.

    In the process of a bot it tells how far that one's voice is.
    """
    if not settings.speaks_locally:
        return None
    found = worded("on this machine, by {name}", name=_voice_name(settings))
    return (
        _unready("piper", "voice", speaking.of(settings.language))
        or _voice(settings)
        or ("ok", found, "")
    )


def _unready(package: str, extra: str, part: Preparation[Any]) -> Finding | None:
    """Why the rehearsal's part serves in this process; None where it does not."""
    if find_spec(package) is None:
        found = worded(
            "the extra `{extra}` is not installed: the rehearsal stand-in serves", extra=extra
        )
        return "problem", found, worded("Install it: uv sync --extra {extra}", extra=extra)
    match part.state:
        case State.FAILED if part.problem is not None:
            return "problem", part.problem.message, part.problem.hint
        case State.FETCHING if part.size:
            found = worded(
                "the model is being fetched, {percent} %: the rehearsal stand-in serves",
                percent=part.percent,
            )
            return "note", found, ""
        case State.FETCHING | State.LOADING:
            return "note", worded("the model is being loaded: the rehearsal stand-in serves"), ""
        case _:
            return None


def _model(settings: Settings) -> Finding:
    name = settings.whisper_name
    if settings.whisper_folder is not None:
        if not (settings.whisper_folder / "model.bin").is_file():
            found = worded("no model in the folder that SONORA_WHISPER_MODEL names")
            return "problem", found, worded("Name one that was converted for CTranslate2.")
        if knows_english_alone(settings.whisper_folder):
            found = worded("The model in SONORA_WHISPER_MODEL knows English alone.")
            return "problem", found, worded("Name one that knows Spanish too, such as base.")
        name = settings.whisper_folder.name
    elif (missing := _missing(name, settings)) is not None:
        return missing
    return "ok", worded("on this machine, by {name}: it guesses what is said", name=name), ""


def _voice(settings: Settings) -> Finding | None:
    """What is wrong with the voice that the settings name; None where nothing is."""
    file = settings.piper_file
    if file is None:
        return _missing(settings.piper_name(settings.language), settings)
    if not (file.is_file() and Path(f"{file}.json").is_file()):
        found = worded("the file in SONORA_PIPER_VOICE, or the .json beside it, is not there")
        return (
            "problem",
            found,
            worded("Name a voice from `uv run sonora models list`, or its file."),
        )
    return None


def _voice_name(settings: Settings) -> Worded | str:
    file = settings.piper_file
    return settings.piper_name(settings.language) if file is None else file.name


def _missing(name: str, settings: Settings) -> Finding | None:
    """That a model is not here, or that there is none of this name; None where it is here."""
    try:
        model = find_model(name)
    except NotFoundError as error:
        return "problem", error.message, error.hint
    if is_here(model, settings.models_path):
        return None
    found = worded("{name} is not here yet: a bot that starts fetches it", name=name)
    return "note", found, worded("Fetch it: uv run sonora models fetch {name}", name=name)
