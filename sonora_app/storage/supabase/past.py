"""Records that the journal does not take, brought to Supabase past it."""

from collections.abc import Sequence

from sonora_app.errors import StorageError
from sonora_app.storage.journal.outbox import Outbox
from sonora_app.storage.journal.outbox_rows import Entry
from sonora_app.storage.journal.writes import entry_of
from sonora_app.storage.records import Conversation, Record, RecordedCall
from sonora_app.storage.supabase.shipper import LARGEST_BATCH, Destination


async def apply_past(
    outbox: Outbox, api: Destination, call: RecordedCall, records: Sequence[Record]
) -> Sequence[bool]:
    """Apply records of one call, after what waits of its conversation. Again changes nothing.

    Args:
        outbox: The journal's, which may be unreadable.
        api: Where to.
        call: The call that the records are of.
        records: Those that the journal does not take, in order.

    Returns:
        Of each, whether it is there.

    Raises:
        SupabaseError: Some of them may be there.
    """
    try:
        waiting = await outbox.of_conversation(call.conversation_id)
    except StorageError:
        waiting = ()
    entries = [*waiting, *entries_of(call, records)]
    there: list[bool] = []
    for start in range(0, len(entries), LARGEST_BATCH):
        refusals = await api.apply(entries[start : start + LARGEST_BATCH])
        there += [refusal is None for refusal in refusals]
    return there[len(entries) - len(records) :]


def entries_of(call: RecordedCall, records: Sequence[Record]) -> list[Entry]:
    """Records of a call as the outbox has them."""
    owners = [each.user_id for each in call.records if isinstance(each, Conversation)]
    return [
        entry_of(
            record, conversation_id=call.conversation_id, user_id=owners[0] if owners else None
        )
        for record in records
    ]
