"""What the console asks about what is remembered of people: to see, correct, forget, switch off."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse

from sonora_app.commands.memories import known_data, memory_data
from sonora_app.console.answers import answer
from sonora_app.memories import owner
from sonora_app.page.memory_messages import FactText
from sonora_app.page.protocol import UserId
from sonora_app.storage.store import Recall, Store

_LISTED = 500

Person = Annotated[str, Query(min_length=1, max_length=200)]


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user_id: UserId


class Correction(_Change):
    """Another sentence for one that is wrong."""

    content: FactText


class Choice(_Change):
    """Whether a person wants to be remembered."""

    remembers: bool


def add_memories(api: FastAPI, store: Callable[[], Awaitable[Store]]) -> None:
    """Have `api` answer about what is remembered.

    Args:
        api: The console's API, behind its guard.
        store: Gives the bot's store.
    """

    @api.get("/memories")
    async def memories(user_id: Person, past: bool = False) -> JSONResponse:
        known = await (await store()).known(user_id, Recall(limit=_LISTED, past=past))
        return answer(known_data(known))

    @api.put("/memories")
    async def choose(choice: Choice) -> JSONResponse:
        await owner.choose(await store(), choice.user_id, choice.remembers)
        return answer({"remembers": choice.remembers})

    @api.put("/memories/{memory_id}")
    async def correct(memory_id: UUID, correction: Correction) -> JSONResponse:
        corrected = await owner.correct(
            await store(), correction.user_id, memory_id, correction.content, kind="console"
        )
        return answer({"memory": memory_data(corrected) if corrected else None})

    @api.delete("/memories/{memory_id}")
    async def forget(memory_id: UUID, user_id: Person) -> JSONResponse:
        await owner.forget(await store(), user_id, memory_id)
        return answer({"forgotten": str(memory_id)})

    # Registered by their decorators.
    del memories, choose, correct, forget
