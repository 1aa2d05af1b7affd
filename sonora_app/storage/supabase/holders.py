"""Looks in Supabase, every few seconds, for other machines' calls that took conversations over."""

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.errors import SupabaseError

_LOOK_SECS = 2.0
"""How often to look, in seconds. A call speaks for so long at most after it was taken over."""
_WANTED_SECS = 10.0
"""For how long a conversation is looked after once it was asked for."""


class Holders:
    """Which calls hold conversations, as Supabase said last.

    One request asks for all conversations of the process.

    Args:
        api: The Supabase project.
    """

    def __init__(self, api: SupabaseApi) -> None:
        """Know nothing yet; `run` looks."""
        self._api = api
        self._wanted: dict[UUID, float] = {}
        self._known: dict[UUID, UUID] = {}

    def of(self, conversation_id: UUID) -> UUID | None:
        """The call that holds a conversation; None is not known. Asking has it looked after."""
        self._wanted[conversation_id] = time.monotonic()
        return self._known.get(conversation_id)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECS)
            since = time.monotonic() - _WANTED_SECS
            wanted = [each for each, asked in [*self._wanted.items()] if asked >= since]
            self._wanted = {each: self._wanted[each] for each in wanted}
            self._known = {each: held for each, held in self._known.items() if each in self._wanted}
            if not wanted:
                continue
            try:
                self._known |= await self._read(wanted)
            except (SupabaseError, ValueError, KeyError):
                # The shipper tells how Supabase is doing.
                continue

    async def _read(self, conversation_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        names = [str(each) for each in conversation_ids]
        rows = await self._api.rows(
            lambda client: (
                client.table("positions")
                .select("conversation_id,session_id")
                .in_("conversation_id", names)
            )
        )
        return {UUID(row["conversation_id"]): UUID(row["session_id"]) for row in rows}
