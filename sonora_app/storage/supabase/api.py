"""Requests to Supabase: records are written to it, and a resumed conversation is read from it.

They go through Supabase's official client, on an HTTP client configured here: it gives up after
seconds, it repeats nothing by itself, and its errors are sorted by what to do about them. It keeps
to HTTP/1.1, because the library for HTTP/2 writes headers, and so keys, to the log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

import httpx

from sonora_app.errors import SettingsError
from sonora_app.settings import Settings
from sonora_app.storage.journal.outbox_rows import Entry
from sonora_app.storage.store import NOTHING, Found, Known, Recall, Transcript
from sonora_app.storage.supabase.errors import (
    Refusal,
    SupabaseError,
    Trouble,
    garbled,
    refusals,
    unanswered,
    unreachable,
)
from sonora_app.storage.supabase.http_client import http_client
from sonora_app.storage.supabase.label_rows import to_label
from sonora_app.storage.supabase.rows import (
    found_in,
    known_in,
    readable,
    recall_argument,
    rows_in,
    to_conversation,
    to_message,
    to_session,
    to_tool_call,
    to_transition,
)
from sonora_app.wording.translation import worded

if TYPE_CHECKING:
    from supabase import AsyncClient

REQUIRED_SCHEMA = 10
"""The version of the project's schema that this code needs; later ones serve as well."""

_PAGE = 1_000
"""Rows per request where there may be many. A server may give fewer."""

_Result = TypeVar("_Result")


class SupabaseRequest(Protocol):
    """A request of the client's, ready to be sent."""

    async def execute(self) -> Any:  # noqa: ANN401  # the client's answers have no common type
        """Send it, and give the answer."""
        ...


class SupabaseApi:
    """A Supabase project, by its secret key. Made by `SupabaseApi.connect`.

    Every method may raise `SupabaseError`; each request takes no longer than the time-out.
    """

    def __init__(self, client: "AsyncClient", http: httpx.AsyncClient, timeout_secs: float) -> None:
        """Wrap the client that `connect` made."""
        self._client = client
        self._http = http
        self._timeout_secs = timeout_secs

    @classmethod
    async def connect(cls, settings: Settings) -> "SupabaseApi":
        """Set up the client. Loads its library off the event loop; asks the server nothing.

        Raises:
            SettingsError: Supabase is not configured, or what is set cannot be used.
        """
        if not settings.uses_supabase or settings.supabase_key is None:
            raise SettingsError(
                worded(
                    "Supabase is not configured: SUPABASE_URL and SUPABASE_SECRET_KEY are not set."
                ),
                hint=worded(
                    "Set both to keep conversations there. Without them they stay in the journal."
                ),
            )
        key = settings.supabase_key.get_secret_value().strip()
        unusable = SettingsError(
            worded("SUPABASE_URL or {key} cannot be used.", key=settings.name_of("supabase_key")),
            hint=worded("The URL is https://<project>.supabase.co; the key has no spaces in it."),
        )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise unusable
        timeout_secs = settings.supabase_timeout_secs
        http = await asyncio.to_thread(http_client, timeout_secs)
        from supabase import AsyncClientOptions, acreate_client

        try:
            client = await acreate_client(
                settings.supabase_url.strip(),
                key,
                AsyncClientOptions(
                    httpx_client=http,
                    auto_refresh_token=False,
                    persist_session=False,
                    postgrest_client_retry=False,
                ),
            )
            # Built on first use: a URL that cannot be used is told now.
            _ = client.postgrest
        except Exception:  # noqa: BLE001  # it may quote the key
            await http.aclose()
            raise unusable from None
        return cls(client, http, timeout_secs)

    async def apply(self, entries: Sequence[Entry]) -> tuple[Refusal | None, ...]:
        """Apply entries of the outbox, in order, in one round trip. Again changes nothing.

        Returns:
            Of each entry, why it is refused for good, or None: it is there.
        """
        sent = [
            {
                "table": entry.table,
                "operation": entry.operation,
                "conversation_id": str(entry.conversation_id) if entry.conversation_id else None,
                "user_id": entry.user_id,
                "payload": entry.payload,
            }
            for entry in entries
        ]
        return refusals(await self.call("sonora_apply", {"entries": sent}), len(entries))

    async def schema_version(self) -> int:
        """The version of the project's schema; 0 where none of our migrations was applied."""
        try:
            version = await self.call("sonora_schema_version", {})
        except SupabaseError as error:
            if error.trouble is Trouble.OLD_SCHEMA:
                return 0
            raise
        if not isinstance(version, int):
            raise garbled()
        return version

    async def has_older_tables(self) -> bool:
        """Whether the project has the tables that were there before our migrations."""
        try:
            await self._ask(self._client.table("messages").select("id").limit(1))
        except SupabaseError as error:
            if error.trouble is Trouble.OLD_SCHEMA:
                return False
            raise
        return True

    async def look_up(
        self,
        conversation_id: UUID | None,
        user_id: str | None,
        *,
        message_limit: int,
        recall: Recall = NOTHING,
    ) -> Found:
        """Read all that opening a conversation needs, in one round trip.

        Args:
            conversation_id: Which; None is a new one.
            user_id: Who asks; None holds nothing back, and finds no previous one.
            message_limit: How many of its newest messages to read.
            recall: What to read of what is remembered of who asks.
        """
        answer = await self.call(
            "sonora_open_call",
            {
                "conversation_id": str(conversation_id) if conversation_id else None,
                "user_id": user_id,
                "message_limit": message_limit,
                "recall": recall_argument(recall),
            },
        )
        return _read(lambda: found_in(answer, recall))

    async def known(self, user_id: str, recall: Recall) -> Known:
        """What `Store.known` gives."""
        answer = await self.call(
            "sonora_known", {"user_id": user_id, "recall": recall_argument(recall)}
        )
        return _read(lambda: known_in(answer, recall))

    async def transcript(self, conversation_id: UUID) -> Transcript | None:
        """What `Store.transcript` gives, a page of rows at a time."""
        rows = await self._read_rows(
            self._client.table("conversations").select("*").eq("id", str(conversation_id))
        )
        if not rows:
            return None
        sessions, messages, transitions, tool_calls, labels = await asyncio.gather(
            self._pages("sessions", conversation_id, "started_at"),
            self._pages("messages", conversation_id, "created_at", "seq"),
            self._pages("transitions", conversation_id, "created_at", "seq"),
            self._pages("tool_calls", conversation_id, "started_at"),
            self._pages("labels", conversation_id, "created_at"),
        )
        return _read(
            lambda: Transcript(
                conversation=to_conversation(rows[0]),
                sessions=tuple(readable(sessions, to_session)),
                messages=tuple(readable(messages, to_message)),
                transitions=tuple(readable(transitions, to_transition)),
                tool_calls=tuple(readable(tool_calls, to_tool_call)),
                labels=tuple(readable(labels, to_label)),
            )
        )

    async def rows(
        self, request: Callable[["AsyncClient"], SupabaseRequest]
    ) -> list[dict[str, Any]]:
        """The rows that a request gives.

        Args:
            request: Makes it, of the client.
        """
        return await self._read_rows(request(self._client))

    async def ask(
        self, work: Callable[["AsyncClient"], Awaitable[_Result]], *, timeout_secs: float = 0
    ) -> _Result:
        """What `work` makes of the client. It may take `timeout_secs`, where that is longer."""
        return await self._guarded(work(self._client), max(timeout_secs, self._timeout_secs))

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._http.aclose()

    async def _pages(self, table: str, conversation_id: UUID, *order: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            query = self._client.table(table).select("*")
            query = query.eq("conversation_id", str(conversation_id))
            if table == "messages":
                query = query.is_("deleted_at", "null")
            for column in order:
                query = query.order(column, nullsfirst=True if column == "seq" else None)
            query = query.order("id").range(len(rows), len(rows) + _PAGE - 1)
            page = await self._read_rows(query)
            if not page:
                return rows
            rows += page

    async def _read_rows(self, request: SupabaseRequest) -> list[dict[str, Any]]:
        answer = await self._ask(request)
        return _read(lambda: rows_in(answer))

    async def call(self, function: str, values: dict[str, object]) -> object:
        """What a function of the project gives."""
        return await self._ask(self._client.rpc(function, values))

    async def _ask(self, request: SupabaseRequest) -> object:
        return (await self._execute(request)).data

    async def _execute(self, request: SupabaseRequest) -> Any:  # noqa: ANN401  # see SupabaseRequest
        return await self._guarded(request.execute(), self._timeout_secs)

    async def _guarded(self, answer: Awaitable[_Result], timeout_secs: float) -> _Result:
        try:
            # The client's own limit is for each read, which a trickle of bytes never reaches.
            async with asyncio.timeout(timeout_secs):
                return await answer
        except SupabaseError:
            raise
        except (TimeoutError, httpx.TimeoutException):
            raise unanswered(timeout_secs) from None
        except httpx.TransportError as error:
            raise unreachable(type(error).__name__) from None
        except Exception:  # noqa: BLE001  # whatever it is, it may quote what was sent
            raise garbled() from None


def _read(read: Callable[[], _Result]) -> _Result:
    try:
        return read()
    except (ValueError, KeyError, TypeError):
        raise garbled() from None
