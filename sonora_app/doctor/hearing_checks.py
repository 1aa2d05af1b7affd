"""Checks that speech can be recognised on this machine, for `sonora doctor` and Health."""

from importlib.util import find_spec

from sonora_app.errors import NotFoundError
from sonora_app.identity.callers import Finding
from sonora_app.local.catalogue import find_model, is_here
from sonora_app.local.hearing import State, hearing
from sonora_app.settings import Settings
from sonora_app.wording.translation import worded


def examine_hearing(settings: Settings) -> Finding | None:
    """Whether what is said is recognised here; None where the settings have it done elsewhere.

    In the process of a bot it tells how far that one's recogniser is.
    """
    if not settings.hears_locally:
        return None
    if find_spec("faster_whisper") is None:
        found = worded("the extra `local` is not installed: the rehearsal stand-in serves")
        return "problem", found, worded("Install it: uv sync --extra local")
    match hearing.state:
        case State.FAILED if hearing.problem is not None:
            return "problem", hearing.problem.message, hearing.problem.hint
        case State.FETCHING if hearing.size:
            percent = int(100 * hearing.done / hearing.size)
            found = worded(
                "the model is being fetched, {percent} %: the rehearsal stand-in serves",
                percent=percent,
            )
            return "note", found, ""
        case State.FETCHING | State.LOADING:
            return "note", worded("the model is being loaded: the rehearsal stand-in serves"), ""
        case _:
            return _model(settings)


def _model(settings: Settings) -> Finding:
    name = settings.whisper_name
    if settings.whisper_folder is not None:
        if not (settings.whisper_folder / "model.bin").is_file():
            found = worded("no model in the folder that SONORA_WHISPER_MODEL names")
            return "problem", found, worded("Name one that was converted for CTranslate2.")
        name = settings.whisper_folder.name
    else:
        try:
            model = find_model(name)
        except NotFoundError as error:
            return "problem", error.message, error.hint
        if not is_here(model, settings.models_path):
            found = worded("{name} is not here yet: a bot that starts fetches it", name=name)
            return "note", found, worded("Fetch it: sonora models fetch {name}", name=name)
    return "ok", worded("on this machine, by {name}: it guesses what is said", name=name), ""
