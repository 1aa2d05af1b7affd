"""What the console asks about documents: which there are, a search, and what was missed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import FastAPI, Query
from starlette.responses import JSONResponse

from sonora_app.commands.knowledge_data import document_data, findings_data
from sonora_app.console.answers import answer
from sonora_app.knowledge.making import AnySearch
from sonora_app.settings import Settings

Searching = Callable[[], Awaitable[AnySearch | None]]
"""Gives the search of the bot; None where there are no documents."""


def add_knowledge(api: FastAPI, settings: Settings, search: Searching) -> None:
    """Serve it on `api`.

    Args:
        api: The console's API.
        settings: The settings of the bot.
        search: Gives the bot's own search, whose missed questions are shown.
    """

    @api.get("/knowledge")
    async def knowledge() -> JSONResponse:
        searching = await search()
        documents = await searching.documents() if searching is not None else []
        return answer(
            {
                "where": settings.knowledge,
                "searchable": searching is not None,
                "documents": [document_data(document) for document in documents],
                "unanswered": [
                    {
                        "question": each.question,
                        "user_id": each.user_id,
                        "asked_at": datetime.fromtimestamp(each.asked_at, UTC).isoformat(),
                    }
                    for each in (reversed(searching.unanswered) if searching is not None else ())
                ],
            }
        )

    @api.get("/knowledge/search")
    async def find(
        question: Annotated[str, Query(max_length=500)],
        user_id: Annotated[str | None, Query(max_length=200)] = None,
    ) -> JSONResponse:
        searching = await search()
        findings = await searching.find(question, user_id) if searching is not None else None
        return answer(findings_data(findings) if findings is not None else None)

    # Registered by their decorators.
    del knowledge, find
