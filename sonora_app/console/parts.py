"""Who plays each part of a call in this process now, and what is on its way."""

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import JSONResponse

from sonora_app.console.answers import answer
from sonora_app.local.hearing import hearing
from sonora_app.local.preparation import State
from sonora_app.local.speaking import speaking
from sonora_app.settings import Settings, Vendor
from sonora_app.storage.records import JsonObject

_ON_ITS_WAY = (State.FETCHING, State.LOADING)


def add_parts(api: FastAPI, settings: Settings) -> None:
    """Have the API tell who plays each part: asked again and again, it must cost next to nothing.

    Args:
        api: The console's.
        settings: The settings of the bot.
    """

    @api.get("/parts")
    def parts() -> JSONResponse:
        return answer(parts_data(settings))

    del parts  # registered by its decorator


def parts_data(settings: Settings) -> JsonObject:
    """The parts, by the vendor's: who plays it, the model's name, and how far that model is.

    `played` is `real`, `local` or `stand_in`. A model on this machine that is not ready is stood
    in for. `percent` is how much of it is here; None where nothing is on its way.
    """
    local, stand_ins = settings.local_parts(), settings.stand_ins()
    names = {
        Vendor.STT: f"Whisper {Path(settings.whisper_model).name}",
        Vendor.LLM: settings.openai_model,
        Vendor.TTS: "Piper",
    }
    preparing = {Vendor.STT: hearing, Vendor.TTS: speaking.of(settings.language)}
    parts: JsonObject = {}
    for vendor in Vendor:
        part = preparing.get(vendor) if vendor in local else None
        ready = part is None or part.state is State.READY
        stood_in = vendor in stand_ins or not ready
        parts[vendor] = {
            "played": "stand_in" if stood_in else "local" if vendor in local else "real",
            "name": names[vendor] if vendor in local else "",
            "percent": part.percent if part is not None and part.state in _ON_ITS_WAY else None,
        }
    return parts
