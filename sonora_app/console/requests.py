"""What the console asks about what the model was asked in a conversation."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from uuid import UUID

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from starlette.responses import JSONResponse

from sonora_app.console.answers import answer
from sonora_app.storage.store import Store


def add_requests(api: FastAPI, store: Callable[[], Awaitable[Store]]) -> None:
    """Serve it on `api`.

    Args:
        api: The console's API, behind its guard.
        store: Gives the bot's store.
    """

    @api.get("/conversations/{conversation_id}/requests")
    async def requests(conversation_id: UUID) -> JSONResponse:
        kept = await (await store()).requests.of(conversation_id)
        data = {
            "requests": [jsonable_encoder(asdict(each)) for each in kept.requests],
            "texts": {name: json.loads(text) for name, text in kept.texts.items()},
        }
        return answer(data)

    del requests  # registered by its decorator
