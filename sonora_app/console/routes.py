"""Adds the console to the development runner: its page at `/`, its API below `/sonora/api`."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from sonora_app.settings import Settings
from sonora_app.storage.store import Store

if TYPE_CHECKING:
    from sonora_app.console.conversations import Live
    from sonora_app.console.knowledge import Searching

STATIC = Path(__file__).parent / "static"
"""The built page, see `build.mjs`."""


def add_console(
    app: FastAPI,
    settings: Settings,
    store: Callable[[], Awaitable[Store]],
    search: "Searching",
    live: "Live" = dict,
) -> None:
    """Serve the console on `app`. Before the runner's own routes, since it has one for `/`.

    Args:
        app: The runner's application.
        settings: The settings of the bot.
        store: Gives the bot's store.
        search: Gives the bot's search for documents; None where there are none.
        live: Tells of the calls that the bot holds.
    """

    headers = _headers(settings)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=headers)

    # Registered by its decorator.
    del page
    app.mount("/sonora/api", _Api(settings, store, search, live))
    app.mount("/sonora/static", StaticFiles(directory=STATIC))


def _headers(settings: Settings) -> dict[str, str]:
    # Nothing from outside, nothing inline, but for pictures that people sent: those are in Storage.
    # Sound comes as a stream, which no directive names.
    project = urlsplit(settings.supabase_url.strip()) if settings.uses_supabase else None
    storage = f" {project.scheme}://{project.netloc}" if project and project.netloc else ""
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        f"img-src 'self' data: blob:{storage}",
        "connect-src 'self'",
        f"media-src 'self'{storage}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


class _Api:
    """The API, imported and built at the first request: the port opens without it."""

    def __init__(
        self,
        settings: Settings,
        store: Callable[[], Awaitable[Store]],
        search: "Searching",
        live: "Live",
    ) -> None:
        self._live = live
        self._settings = settings
        self._store = store
        self._search = search
        self._building = asyncio.Lock()
        self._built: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._building:
            if self._built is None:
                self._built = await asyncio.to_thread(self._build)
        await self._built(scope, receive, send)

    def _build(self) -> ASGIApp:
        from sonora_app.console.api import build_api

        return build_api(self._settings, self._store, self._search, self._live)
