"""The stream of an answer, each piece of which comes in time, and which is closed at its end."""

import asyncio
from collections.abc import AsyncGenerator

from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk

from sonora_app.vendors.openai.answers import Progress


class Paced:
    """The chunks of a stream, each of which comes in time.

    Args:
        stream: Gives them.

    Attributes:
        next_secs: How long the next one may take, in seconds, once that is limited.
    """

    def __init__(self, stream: AsyncStream[ChatCompletionChunk]) -> None:
        """Read a stream from here on."""
        self.next_secs: float | None = None
        self._stream = stream
        self._chunks = aiter(stream)

    def __aiter__(self) -> "Paced":
        """Give the chunks."""
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        """Give the next chunk, or raise TimeoutError."""
        try:
            async with asyncio.timeout(self.next_secs):
                return await anext(self._chunks)
        except TimeoutError:
            raise TimeoutError(f"no further token within {self.next_secs or 0:g} s") from None

    async def close(self) -> None:
        """Read no further."""
        await self._stream.close()


async def rejoined(
    first: list[ChatCompletionChunk],
    chunks: AsyncGenerator[ChatCompletionChunk | Progress],
    paced: Paced,
) -> AsyncGenerator[ChatCompletionChunk]:
    """An answer from its beginning, which has come, and on."""
    try:
        for chunk in first:
            yield chunk
        async for chunk in chunks:
            if not isinstance(chunk, Progress):
                yield chunk
    finally:
        await chunks.aclose()
        await paced.close()
