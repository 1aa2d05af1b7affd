"""The console's API: conversations, the flow and the health of the bot, as JSON for its page alone.

Conversations come from the store that the bot itself writes to. No answer contains a path of the
disk.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from sonora_app import __version__
from sonora_app.console.answers import answer
from sonora_app.console.conversations import Live, add_conversations
from sonora_app.console.files import add_files
from sonora_app.console.flow import flow_data
from sonora_app.console.guard import LocalPagesOnly
from sonora_app.console.knowledge import Searching, add_knowledge
from sonora_app.console.labels import add_labels
from sonora_app.console.memories import add_memories
from sonora_app.console.parts import add_parts, parts_data
from sonora_app.console.requests import add_requests
from sonora_app.doctor.checks import CheckState, run_checks
from sonora_app.errors import (
    ErrorCode,
    NotFoundError,
    SettingsError,
    SonoraError,
    StorageError,
    without_paths,
)
from sonora_app.flow.check import check_flows
from sonora_app.flow.edited import edited_flow
from sonora_app.flow.picture.diagram import load_graph, with_tools
from sonora_app.flow.told import told_at_nodes
from sonora_app.settings import Language, Settings
from sonora_app.storage.records import JsonObject
from sonora_app.storage.store import Store
from sonora_app.tools.declared import tools_of_nodes
from sonora_app.wording.translation import in_language, preferred, worded


def build_api(
    settings: Settings, store: Callable[[], Awaitable[Store]], search: Searching, live: Live
) -> FastAPI:
    """The API, to be mounted.

    Args:
        settings: The settings of the bot.
        store: Gives the bot's store.
        search: Gives the bot's search for documents.
        live: Tells of the calls that the bot holds.
    """
    api = _guarded()

    @api.get("/flow")
    def flow(language: Language = Language.EN) -> JSONResponse:
        try:
            check_flows()
            from flows import handlers

            edited_flow.take_up(handlers)
            graph = with_tools(load_graph(handlers), tools_of_nodes(settings))
            told = told_at_nodes(handlers)
        except SettingsError as error:
            message = without_paths(error.said_in(language))
            return answer({"code": error.code, "message": message}, 500)
        return answer(flow_data(graph, told, language))

    @api.get("/health")
    async def health(language: Language = Language.EN) -> JSONResponse:
        return answer(await _health(settings, language))

    add_parts(api, settings)
    add_conversations(api, settings, store, live)
    add_labels(api, store)
    add_requests(api, store)
    add_files(api, store)
    add_memories(api, store)
    add_knowledge(api, settings, search)
    del flow, health  # registered as decorated
    return api


def _guarded() -> FastAPI:
    """An API that answers the runner's own pages alone, and each error in the same form."""
    api = FastAPI(openapi_url=None)
    api.add_exception_handler(SonoraError, _failed)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _unknown)
    api.add_middleware(LocalPagesOnly)
    return api


async def _health(settings: Settings, language: Language) -> JsonObject:
    checks = await run_checks(port=None)
    return {
        "ok": all(check.state is not CheckState.PROBLEM for check in checks),
        "version": __version__,
        "language": settings.language.value,
        "identity": settings.identity.value,
        "supabase": settings.uses_supabase,
        "recording": settings.recording,
        "stand_ins": sorted(settings.stand_ins()),
        "local": sorted(settings.local_parts()),
        "parts": parts_data(settings),
        "checks": [
            {
                "state": check.state,
                "name": in_language(check.name, language),
                "found": without_paths(in_language(check.found, language)),
                "advice": without_paths(in_language(check.advice, language)),
            }
            for check in checks
        ],
    }


_STATUS = {NotFoundError: 404, StorageError: 503}


def _failed(request: Request, error: Exception) -> JSONResponse:
    language = preferred(request.headers.get("accept-language", ""))
    said = error.said_in(language) if isinstance(error, SonoraError) else str(error)
    code = error.code if isinstance(error, SonoraError) else ErrorCode.INTERNAL
    status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 500)
    return answer({"code": code, "message": without_paths(said)}, status)


def _invalid(request: Request, _: Exception) -> JSONResponse:
    language = preferred(request.headers.get("accept-language", ""))
    message = in_language(worded("The request cannot be read."), language)
    return answer({"code": "invalid", "message": message}, 422)


def _unknown(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return answer({"code": "unknown", "message": "There is nothing here."}, status)
