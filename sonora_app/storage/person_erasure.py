"""Erases a person from the journal and from Supabase.

What goes: what was said with them, what sums it up, the files they sent, the facts about them,
their choices, and whatever of it waits to be shipped.

Calls of theirs that go on are ended first. Supabase comes before the journal: if it cannot be
reached, nothing is erased on this machine either, and running the same again does all of it.
"""

import asyncio
import sqlite3
from collections.abc import Set
from dataclasses import dataclass, field
from uuid import UUID

from sonora_app.errors import StorageError
from sonora_app.storage.calls_to_end import LOOK_SECS, CallsToEnd
from sonora_app.storage.files.kept_file import KeptFile, folder_of
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.person_rows import (
    WhoseRows,
    calls_of,
    conversations_of,
    count_rows,
    delete_rows,
    known_sessions,
)
from sonora_app.storage.records import utc_now
from sonora_app.storage.removal import Stores, files_held, shipping_held
from sonora_app.storage.supabase import erasure as supabase_erasure
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.bucket import Bucket
from sonora_app.storage.supabase.erasure import OfPerson
from sonora_app.storage.supabase.errors import SupabaseError
from sonora_app.wording.translation import worded

_SEEN_SECS = 2 * LOOK_SECS
"""By when each process of this machine has seen that calls are to end."""
_LOOK_SECS = 0.5
_PATIENCE_SECS = 30.0
"""How long to wait for a call to end, and for a bot to ship what waits."""

Places = dict[str, dict[str, int]]
"""For each place, how many rows each of its tables has, or had. Empty tables are left out."""


@dataclass(frozen=True)
class Receipt:
    """What was erased of a person.

    Parameters:
        calls_ended: How many of their calls were ended for it.
        places: What went, by place.
    """

    calls_ended: int
    places: Places = field(default_factory=dict[str, dict[str, int]])


async def count(stores: Stores, user_id: str) -> Places:
    """How much there is of a person.

    Raises:
        StorageError: A store cannot be read.
    """
    places: Places = {}
    whose = WhoseRows(user_id)
    if stores.api:
        there = await supabase_erasure.count_person(stores.api, user_id)
        places["supabase"] = there.counts
        whose = WhoseRows(user_id, there.conversation_ids)
        paths = await Bucket(stores.api).of_person(user_id, there.conversation_ids)
        _add_files(places, "supabase", len(paths))
    if stores.journal:
        places["journal"] = await stores.journal.erasure.look(
            lambda connection, _: count_rows(connection, whose)
        )
        files = await _files_here(stores.journal, whose)
        _add_files(places, "journal", len(files))
    return places


async def erase(stores: Stores, user_id: str) -> Receipt:
    """Erase a person for good, and leave no byte of them in the journal's files.

    Raises:
        StorageError: A call does not end, something is on its way to Supabase, or a store failed.
            The words say what was erased by then, and what to do.
    """
    journal, api = stores.journal, stores.api
    if journal is None:
        places: Places = {}
        await _end_calls(stores, user_id)
        if api is not None:
            await _erase_there(api, user_id, places)
        return Receipt(0, places)
    with CallsToEnd(journal.path).asking(user_id):
        ended = await _end_calls(stores, user_id)
        places = await _erase_everywhere(stores, journal, user_id)
        # Within the block: a call that begins before the last byte is gone would leave others.
        await journal.erasure.leave_no_byte()
    return Receipt(ended, places)


async def _erase_everywhere(stores: Stores, journal: Journal, user_id: str) -> Places:
    places: Places = {}
    whose = WhoseRows(user_id)
    async with shipping_held(journal) as held, files_held(journal):
        if stores.api is not None:
            if not held:
                await _wait_until_shipped(journal, user_id)
            there = await _erase_there(stores.api, user_id, places)
            whose = WhoseRows(user_id, there.conversation_ids)
        files = await _files_here(journal, whose)
        places["journal"] = await journal.erasure.delete_rows(
            lambda connection, living: _delete(connection, living, whose)
        )
        _add_files(places, "journal", await journal.files.folder.remove(files))
    return places


async def _erase_there(api: SupabaseApi, user_id: str, places: Places) -> OfPerson:
    bucket = Bucket(api)
    try:
        known = await supabase_erasure.count_person(api, user_id)
        # Before the messages, which name them.
        removed = await bucket.remove(await bucket.of_person(user_id, known.conversation_ids))
        there = await supabase_erasure.erase_person(api, user_id)
        places["supabase"] = there.counts
        _add_files(places, "supabase", removed)
        return there
    except SupabaseError as error:
        raise StorageError(
            worded(
                "{problem} Nothing was erased on this machine; in Supabase it may be.",
                problem=error.message,
            ),
            hint=" ".join(
                filter(None, (error.hint, worded("Run it again: it then erases what is left.")))
            ),
        ) from None


async def _files_here(journal: Journal, whose: WhoseRows) -> list[KeptFile]:
    """Their files on this machine: those in their folder, and in conversations that are theirs."""
    theirs = await journal.erasure.look(lambda connection, _: conversations_of(connection, whose))
    folder = folder_of(whose.user_id)
    return [
        file
        for file in await journal.files.folder.files()
        if file.folder == folder or file.conversation_id in theirs
    ]


def _add_files(places: Places, place: str, number: int) -> None:
    if number:
        places[place] = {**places.get(place, {}), "files": number}


def _delete(connection: sqlite3.Connection, living: Set[UUID], whose: WhoseRows) -> dict[str, int]:
    if calls_of(connection, living, whose):
        raise StorageError(
            worded("Another call of this person has begun. Nothing was erased on this machine."),
            hint=worded("Run it again: it then erases what is left."),
        )
    return delete_rows(connection, whose)


async def _end_calls(stores: Stores, user_id: str) -> int:
    """Wait until no call of theirs goes on. Gives how many did."""
    going: set[UUID] = set()
    # Another process may still be busy with a call that has ended.
    unseen = stores.journal is not None and await _others_live(stores.journal)
    for _ in range(int(_PATIENCE_SECS / _LOOK_SECS)):
        now = await _going_on(stores, user_id)
        going |= now
        if not now and not unseen:
            return len(going)
        await asyncio.sleep(_SEEN_SECS if unseen else _LOOK_SECS)
        unseen = False
    raise StorageError(
        worded("A call of this person goes on and does not end. Nothing was erased."),
        hint=worded(
            "Only calls of this machine can be ended from here. Run it again when it has ended."
        ),
    )


async def _going_on(stores: Stores, user_id: str) -> Set[UUID]:
    """The sessions of theirs that go on, here and on other machines."""
    elsewhere: Set[UUID] = set()
    if stores.api:
        since = utc_now() - stores.longest_call
        try:
            there = await supabase_erasure.count_person(stores.api, user_id)
        except SupabaseError as error:
            raise StorageError(
                worded("{problem} Nothing was erased.", problem=error.message),
                hint=error.hint or worded("Run it again when Supabase can be reached."),
            ) from None
        # A call that began before that and has no end goes on no more: its machine is gone.
        elsewhere = {call for call, began in there.calls.items() if began >= since}
    if stores.journal is None:
        return elsewhere

    def look(connection: sqlite3.Connection, living: Set[UUID]) -> Set[UUID]:
        here = calls_of(connection, living, WhoseRows(user_id))
        # Of its own calls this machine knows better which go on.
        return here | (elsewhere - known_sessions(connection, elsewhere))

    return await stores.journal.erasure.look(look)


async def _others_live(journal: Journal) -> bool:
    return await journal.erasure.look(lambda _, living: len(living) > 1)


async def _wait_until_shipped(journal: Journal, user_id: str) -> None:
    for _ in range(int(_PATIENCE_SECS / _LOOK_SECS)):
        there = await journal.erasure.look(
            lambda connection, _: count_rows(connection, WhoseRows(user_id))
        )
        if "outbox" not in there:
            return
        await asyncio.sleep(_LOOK_SECS)
    raise StorageError(
        worded("Something of this person is still on its way to Supabase. Nothing was erased."),
        hint=worded(
            "`uv run sonora sync list` shows it. Try again when it is there, or stop the bot."
        ),
    )
