"""The search in a project that has a `match_documents` of its own. It is only read.

Such a function compares a vector of text-embedding-3-small with what somebody else put there:
`match_documents(query_embedding, match_threshold, match_count)`. Its rows have `content` and
`similarity`, and as a rule `id` and `metadata`.
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from uuid import NAMESPACE_URL, UUID, uuid5

from sonora_app.errors import SettingsError, StorageError
from sonora_app.knowledge.questions import cleaned
from sonora_app.knowledge.ranking import GIVEN
from sonora_app.knowledge.records import Document, Findings, Found, Passage
from sonora_app.knowledge.supabase.search import DEADLINE_SECS
from sonora_app.knowledge.unanswered import RemembersUnanswered
from sonora_app.settings import Settings, Vendor
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.circuit import Circuit
from sonora_app.storage.supabase.errors import SupabaseError, garbled
from sonora_app.wording.translation import worded

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MODEL = "text-embedding-3-small"
SIZE = 1536

_LONGEST = 1_200
"""Characters of a passage that a turn is given: those rows were not cut for speech."""


class MatchSearch(RemembersUnanswered):
    """Asks the project's own `match_documents`. Shared by all calls of a process.

    Args:
        api: The project; it is closed with the search.
        client: OpenAI's, which makes the vector of a question.
        threshold: The similarity from which a row is given.
    """

    def __init__(self, api: SupabaseApi, client: "AsyncOpenAI", threshold: float) -> None:
        """Note whom to ask."""
        super().__init__()
        self._api = api
        self._client = client
        self._threshold = threshold
        self._circuit = Circuit()

    @classmethod
    async def connect(cls, settings: Settings) -> "MatchSearch":
        """Set up both clients; asks neither.

        Raises:
            SettingsError: Supabase or OpenAI is not set.
        """
        key = settings.key(Vendor.LLM)
        if key is None:
            raise SettingsError(
                worded("SONORA_KNOWLEDGE=match_documents needs OPENAI_API_KEY."),
                hint=worded("Its embeddings are made by {model}.", model=MODEL),
            )
        api = await SupabaseApi.connect(settings)
        from openai import AsyncOpenAI

        client = AsyncOpenAI(
            api_key=key.get_secret_value(),
            base_url=settings.openai_base_url or None,
            timeout=DEADLINE_SECS,
            max_retries=0,
        )
        return cls(api, client, settings.knowledge_match_from)

    async def warm_up(self) -> None:
        """Nothing has to be loaded."""

    async def find(
        self, question: str, user_id: str | None = None, *, limit: int = GIVEN
    ) -> Findings:
        """The rows that `match_documents` gives for `question`, the likeliest first.

        Args:
            question: As it was said.
            user_id: Who asks; rows that name another user are left out.
            limit: How many at most.

        Raises:
            StorageError: OpenAI or Supabase failed, was too slow, or failed a moment ago.
        """
        began = time.perf_counter()
        asked = cleaned(question)
        if not asked:
            return Findings("")
        if self._circuit.wait_secs() > 0:
            raise StorageError(
                worded("Supabase failed a moment ago, and is not asked for documents yet.")
            )
        try:
            async with asyncio.timeout(DEADLINE_SECS):
                rows = await self._rows(asked, limit)
            found = [_found(row) for row in rows if _may_see(row, user_id)]
        except TimeoutError:
            self._circuit.failed()
            raise StorageError(
                worded("Supabase did not find documents within {secs} s.", secs=DEADLINE_SECS)
            ) from None
        except StorageError as error:
            wait = error.retry_after_secs if isinstance(error, SupabaseError) else None
            self._circuit.failed(wait)
            raise
        self._circuit.succeeded()
        found.sort(key=lambda each: -each.score)
        given = tuple(
            replace(each, passage=_shortened(each.passage))
            for each in found[:GIVEN]
            if each.score >= self._threshold
        )
        likely = found[0].score if found else 0.0
        took = (time.perf_counter() - began) * 1000
        return Findings(asked, tuple(found), likely, given, took)

    async def documents(self) -> list[Document]:
        """None: where its rows come from is its owner's business."""
        return []

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self._api.aclose()

    async def _rows(self, asked: str, limit: int) -> Sequence[Mapping[str, Any]]:
        vector = await embedded(self._client, asked)
        answer = await self._api.call(
            "match_documents",
            {
                # As text: a list is not taken for a vector by every server.
                "query_embedding": f"[{','.join(map(str, vector))}]",
                "match_threshold": self._threshold,
                "match_count": limit,
            },
        )
        if not isinstance(answer, list):
            raise garbled()
        return cast(list[Mapping[str, Any]], answer)


async def embedded(client: "AsyncOpenAI", text: str) -> list[float]:
    """The vector of a text, by OpenAI.

    Raises:
        StorageError: OpenAI failed, or its answer is not one vector of the right size.
    """
    from openai import OpenAIError

    try:
        answer = await client.embeddings.create(model=MODEL, input=[text])
    except OpenAIError as error:
        raise StorageError(
            worded("OpenAI made no embedding ({what}).", what=type(error).__name__)
        ) from None
    except ValueError:
        raise _not_a_vector() from None
    # The client checks neither their order nor how many there are.
    data = sorted(answer.data, key=lambda each: each.index)
    if len(data) != 1 or len(data[0].embedding) != SIZE:
        raise _not_a_vector()
    vector = [float(number) for number in data[0].embedding]
    if not all(map(math.isfinite, vector)):
        raise _not_a_vector()
    return vector


def _not_a_vector() -> StorageError:
    return StorageError(
        worded("OpenAI's answer is not a vector of {size} numbers.", size=SIZE),
        hint=worded("Check OPENAI_BASE_URL: what is there must serve {model}.", model=MODEL),
    )


def _may_see(row: Mapping[str, Any], user_id: str | None) -> bool:
    owner = row.get("user_id") or _metadata(row).get("user_id")
    return owner is None or str(owner) == user_id


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    return cast(Mapping[str, Any], metadata) if isinstance(metadata, Mapping) else {}


def _found(row: Mapping[str, Any]) -> Found:
    """A row as a passage, whatever its owner calls what."""
    said = {**_metadata(row), **{name: value for name, value in row.items() if value is not None}}
    content, similarity = said.get("content"), said.get("similarity")
    if not isinstance(content, str) or not isinstance(similarity, int | float):
        raise garbled()
    source = _first(said, "url", "source", "file_name", "filename", "path")
    title = _first(said, "title", "name", "file_name", "filename") or source.rpartition("/")[2]
    page = said.get("page")
    return Found(
        Passage(
            id=_id(said.get("id"), content),
            document_id=_id(said.get("document_id"), source or title or content),
            title=title or "match_documents",
            source=source,
            headings=tuple(h for h in (_first(said, "heading", "section"),) if h),
            page=page if isinstance(page, int) else None,
            anchor=None,
            content=content,
            seq=0,
        ),
        float(similarity),
    )


def _first(said: Mapping[str, Any], *names: str) -> str:
    return next((said[n] for n in names if isinstance(said.get(n), str) and said[n]), "")


def _id(given: object, otherwise: str) -> UUID:
    try:
        return UUID(str(given))
    except ValueError:
        return uuid5(NAMESPACE_URL, f"match_documents/{given if given is not None else otherwise}")


def _shortened(passage: Passage) -> Passage:
    content = passage.content
    if len(content) <= _LONGEST:
        return passage
    return replace(passage, content=f"{content[:_LONGEST].rsplit(maxsplit=1)[0]}…")
