"""What the console asks for of the files that people sent: a link, made when it is shown."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import urlencode

from fastapi import FastAPI, Query
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from sonora_app.console.answers import HEADERS, answer
from sonora_app.errors import NotFoundError
from sonora_app.storage.files.files import Found
from sonora_app.storage.files.kept_file import KeptFile, name_in
from sonora_app.storage.store import Store
from sonora_app.wording.translation import worded

_Reference = Annotated[str, Query(max_length=1000)]


def add_files(api: FastAPI, store: Callable[[], Awaitable[Store]]) -> None:
    """Serve it on `api`.

    Args:
        api: The console's API.
        store: Gives the bot's store.
    """

    @api.get("/files")
    async def link(reference: _Reference) -> JSONResponse:
        file, found = await _found(await store(), reference)
        # Of what is on this machine, a link to the route below.
        here = f"/sonora/api/files/content?{urlencode({'reference': reference})}"
        return answer(
            {
                "url": found.link or here,
                "name": name_in(reference),
                "media_type": file.media_type,
            }
        )

    @api.get("/files/content")
    async def content(reference: _Reference) -> Response:
        file, found = await _found(await store(), reference)
        if found.path is None:
            # Storage answers for a part of it by itself, as this does.
            return RedirectResponse(found.link or "", headers=HEADERS)
        try:
            facts = await asyncio.to_thread(found.path.stat)
        except FileNotFoundError:
            raise _gone() from None  # it went this instant
        return FileResponse(
            found.path,
            stat_result=facts,
            media_type=file.media_type,
            filename=name_in(reference) or f"{file.id}.{file.ending}",
            content_disposition_type="inline" if file.is_picture else "attachment",
            # Whatever is in it, it is no page of this origin.
            headers={**HEADERS, "Content-Security-Policy": "sandbox; default-src 'none'"},
        )

    # Registered by their decorators.
    del link, content


async def _found(store: Store, reference: str) -> tuple[KeptFile, Found]:
    file = KeptFile.referred_to(reference)
    found = await store.files.find(file) if file is not None else None
    if file is None or found is None:
        raise _gone()
    return file, found


def _gone() -> NotFoundError:
    return NotFoundError(worded("This file is not kept any more."))
