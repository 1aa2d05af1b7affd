"""Keeps the speech of fixed lines, so that later calls do not wait for Cartesia to make it.

A line is kept as Cartesia sent it: the audio, and the time at which each word is heard. Kept speech
is played through the voice like any other. So a line that is interrupted is remembered exactly as
far as it was heard.
"""

import asyncio
import base64
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from loguru import logger
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

AHEAD_SECS = 10.0
"""How long making a line may take, in seconds, before it is given up."""

KEPT_LINES = 16
"""How many lines are kept, the latest used ones. A line of 4 s is 190 kB."""


@dataclass(frozen=True)
class Words:
    """When words are heard.

    Parameters:
        words: As they are written.
        starts_secs: When each begins, from the start of the speech.
    """

    words: tuple[str, ...]
    starts_secs: tuple[float, ...]


Speech = tuple[bytes | Words, ...]
"""16-bit mono PCM, and words, in the order they came."""

_kept: OrderedDict[str, Speech] = OrderedDict()


def kept(request: str) -> Speech | None:
    """What a request to Cartesia was answered with, if that is kept.

    Args:
        request: See `request_key`.
    """
    speech = _kept.get(request)
    if speech is not None:
        _kept.move_to_end(request)
    return speech


def request_key(message: str) -> str:
    """What two requests have in common that are answered with the same speech.

    Args:
        message: A request to Cartesia, as JSON.
    """
    fields: dict[str, Any] = json.loads(message)
    del fields["context_id"], fields["continue"]
    return json.dumps(fields, sort_keys=True)


async def keep(message: str, *, url: str, headers: dict[str, str]) -> None:
    """Have Cartesia speak a line, on a connection of its own, unless that is kept already.

    A line that cannot be made is left out: it is then spoken when it is due, as any other text.

    Args:
        message: The request, as JSON; the whole line and nothing after it.
        url: Cartesia's WebSocket.
        headers: What it wants to see.
    """
    key = request_key(message)
    if key in _kept:
        return
    try:
        async with asyncio.timeout(AHEAD_SECS):
            speech = await _speak(message, url, headers)
    except (OSError, WebSocketException, TimeoutError, ValueError) as error:
        logger.debug(f"A line could not be spoken ahead: {type(error).__name__}")
        return
    _kept[key] = speech
    while len(_kept) > KEPT_LINES:
        _kept.popitem(last=False)


async def _speak(message: str, url: str, headers: dict[str, str]) -> Speech:
    parts: list[bytes | Words] = []
    async with connect(url, additional_headers=headers) as connection:
        await connection.send(message)
        async for answer in connection:
            event: dict[str, Any] = json.loads(answer)
            match event["type"]:
                case "chunk":
                    parts.append(base64.b64decode(event["data"]))
                case "timestamps":
                    times = event["word_timestamps"]
                    parts.append(Words(tuple(times["words"]), tuple(times["start"])))
                case "done":
                    return tuple(parts)
                case "error":
                    raise ValueError("refused")
                case _:
                    pass
    raise ValueError("broken off")
