"""Which models the settings need on this machine."""

from sonora_app.local.catalogue import Model, find_model
from sonora_app.settings import Settings


def wanted_models(settings: Settings) -> list[Model]:
    """The models that calls with these settings use, and that are fetched if they are missing.

    Raises:
        NotFoundError: A setting names a model that there is not.
    """
    wanted: list[Model] = []
    if settings.hears_locally and settings.whisper_folder is None:
        wanted.append(find_model(settings.whisper_name))
    if settings.speaks_locally and settings.piper_file is None:
        wanted.append(find_model(settings.piper_name(settings.language)))
    return wanted
