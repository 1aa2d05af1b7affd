"""Has what the model is asked kept, word for word, for whoever looks at the call afterwards.

It is off the voice path: a request is copied while it is built, which takes some microseconds, and
written to the journal's thread beside the call. What cannot be written is left out.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from loguru import logger

from sonora_app.call.call import Call
from sonora_app.errors import StorageError
from sonora_app.storage.records import utc_now, uuid7
from sonora_app.storage.requests import ModelRequest, RequestKeeping

_LEFT_OUT = frozenset({"image_url", "input_audio", "file"})
"""Parts of a message that are kept as files, or not at all."""


class Asking:
    """Follows the requests of one call.

    Args:
        call: The call.
        requests: Where they are kept.
        conversations: Of how many conversations.
    """

    def __init__(self, call: Call, requests: RequestKeeping, *, conversations: int) -> None:
        """Follow the call's models."""
        self._call = call
        self._requests = requests
        self._conversations = conversations
        self._in_turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        for model in call.services.models:
            model.on_asked = self._asked

    def _asked(self, params: Mapping[str, Any], aside: bool) -> None:
        opened = self._call.opened
        if opened is None:
            return
        tools: object = params.get("tools")
        # The messages' own fields are changed later, as when a function has its result.
        messages = [dict(message) for message in params["messages"]]
        about = ModelRequest(
            id=uuid7(),
            conversation_id=opened.conversation_id,
            session_id=opened.session_id,
            node=self._call.driver.node,
            model=str(params.get("model") or ""),
            aside=aside,
            asked_at=utc_now(),
            messages=(),
            tools="",
        )
        offered = cast(list[Any], tools) if isinstance(tools, list) else []
        task = asyncio.create_task(self._keep(about, messages, list(offered)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(
        self, about: ModelRequest, messages: list[dict[str, Any]], tools: list[Any]
    ) -> None:
        async with self._in_turn:
            try:
                request = await asyncio.to_thread(_written, about, messages, tools)
                await self._requests.keep(request, conversations=self._conversations)
            except StorageError as error:
                logger.debug(f"A request to the model is not kept: {error}")


def _written(about: ModelRequest, messages: list[dict[str, Any]], tools: list[Any]) -> ModelRequest:
    return replace(
        about,
        messages=tuple(_as_json(_without_files(message)) for message in messages),
        tools=_as_json(tools) if tools else "",
    )


def _without_files(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [
        {"type": part["type"], "left_out": True} if part.get("type") in _LEFT_OUT else part
        for part in cast(list[dict[str, Any]], content)
    ]
    return {**message, "content": parts}


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
