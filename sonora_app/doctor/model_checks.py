"""Looks for language models on this machine, for `sonora doctor`.

Nothing is sent to a vendor: only servers on this machine are asked, and only for their models.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any

import httpx

from sonora_app.identity.callers import Finding
from sonora_app.settings import Settings, Vendor
from sonora_app.settings.addresses import host_and_port
from sonora_app.wording.translation import Worded, worded

USUAL = (
    ("Ollama", 11434),
    ("llama.cpp", 8080),
    ("vLLM", 8000),
    ("LM Studio", 1234),
)
"""The servers that people run models with, and the ports that each takes if it is told none."""

_WITHIN_SECS = 2.0
_SHOWN = 6


class _State(Enum):
    SILENT = 1
    LOADING = 2
    OTHER = 3
    SERVING = 4


@dataclass(frozen=True)
class _Server:
    state: _State
    models: tuple[str, ...] = ()
    any_name: bool = False


async def examine_local_model(settings: Settings) -> Finding | None:
    """Whether the model on this machine that the settings name is there; None if they name none."""
    if Vendor.LLM not in settings.local_parts():
        return None
    where, model = host_and_port(settings.openai_base_url), settings.openai_model
    async with httpx.AsyncClient(timeout=_WITHIN_SECS, trust_env=False) as client:
        server = await _ask(client, settings.openai_base_url)
    match server.state:
        case _State.SILENT:
            found = worded("nothing answers at {where}", where=where)
            return "problem", found, worded("Start the model's server, or set OPENAI_BASE_URL.")
        case _State.LOADING:
            found = worded("{where} is loading its model", where=where)
            return "note", found, worded("Wait until it is loaded.")
        case _State.OTHER:
            found = worded("{where} does not serve models", where=where)
            advice = worded("Write OPENAI_BASE_URL up to and including /v1.")
            return "problem", found, advice
        case _State.SERVING:
            pass
    if model in server.models or f"{model}:latest" in server.models:
        return "ok", worded("{model} at {where}", model=model, where=where), ""
    if server.any_name:
        return "ok", worded("{model} at {where}", model=_listed(server.models), where=where), ""
    if not server.models:
        found = worded("{where} has no model", where=where)
        return "problem", found, worded("Have the server fetch one, then set OPENAI_MODEL.")
    found = worded("{where} has no model {model}", where=where, model=model)
    advice = worded("Set OPENAI_MODEL to what it has: {models}.", models=_listed(server.models))
    return "problem", found, advice


async def find_local_models(
    settings: Settings, usual: tuple[tuple[str, int], ...] = USUAL
) -> list[Finding]:
    """What models this machine serves, where nothing else is set to answer: each with the settings
    that have it answer.

    Args:
        settings: The settings.
        usual: The servers to look for, and their ports.
    """
    if not settings.is_local or Vendor.LLM not in settings.stand_ins():
        return []
    async with httpx.AsyncClient(timeout=_WITHIN_SECS, trust_env=False) as client:
        servers = await asyncio.gather(
            *(_ask(client, f"http://localhost:{port}/v1") for _, port in usual)
        )
    return [
        (
            "note",
            worded("{name} at localhost:{port}: {models}", name=name, port=port, models=models),
            worded(
                "Set OPENAI_BASE_URL=http://localhost:{port}/v1 and OPENAI_MODEL={model} in .env "
                "to have it answer.",
                port=port,
                model=server.models[0],
            ),
        )
        for (name, port), server in zip(usual, servers, strict=True)
        if server.models and (models := _listed(server.models))
    ]


async def _ask(client: httpx.AsyncClient, base_url: str) -> _Server:
    """What a server says of its models."""
    try:
        answer = await client.get(f"{base_url.rstrip('/')}/models")
        told: Any = answer.json()
    except httpx.HTTPError:
        return _Server(_State.SILENT)
    except ValueError:
        return _Server(_State.OTHER)
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return _Server(_State.LOADING)
    data: Any = told.get("data") if isinstance(told, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not answer.is_success or not isinstance(data, list | None):
        return _Server(_State.OTHER)
    # Ollama says null where it has none.
    entries: list[Any] = [each for each in data or [] if isinstance(each, dict)]  # pyright: ignore[reportUnknownVariableType]
    names = [str(each.get("id", "")) for each in entries]
    return _Server(
        _State.SERVING,
        # One that makes embeddings does not answer.
        tuple(name for name in names if name and "embed" not in name.lower()),
        # llama.cpp serves the one that it was started with, whatever it is called.
        any(each.get("owned_by") == "llamacpp" for each in entries),
    )


def _listed(models: tuple[str, ...]) -> str | Worded:
    shown = ", ".join(models[:_SHOWN])
    if len(models) <= _SHOWN:
        return shown
    return worded("{models} and {more} more", models=shown, more=len(models) - _SHOWN)
