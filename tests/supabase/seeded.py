"""Two users' conversations, and nobody's, for the tests of who may do what."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from tests.supabase.postgres import Connection

ANA = UUID("00000000-0000-4000-8000-00000000000a")
EVA = UUID("00000000-0000-4000-8000-00000000000e")


@dataclass(frozen=True)
class Rows:
    """The ids of the one row that each table has for one conversation, and for its owner.

    What is remembered has an owner always: where the conversation is nobody's, a stranger.
    """

    conversations: UUID
    sessions: UUID
    messages: UUID
    transitions: UUID
    tool_calls: UUID
    labels: UUID
    positions: UUID
    memories: UUID
    memory_choices: UUID
    owner: str

    def of(self, table: str) -> UUID:
        """The id of the row in `table`."""
        found = getattr(self, table)
        assert isinstance(found, UUID)
        return found


def seed(connection: Connection, user_id: UUID | None) -> Rows:
    """Write a conversation of this user's with a call, a message, a transition and a tool."""
    conversation, *ids = [uuid4() for _ in range(8)]
    before, after = ids[:5], ids[5:]
    rows = Rows(conversation, *before, conversation, *after, owner=str(user_id or uuid4()))
    connection.execute(
        "insert into public.conversations (id, user_id, title) values (%s, %s, 'a title')",
        (rows.conversations, str(user_id) if user_id else None),
    )
    connection.execute(
        "insert into public.sessions (id, conversation_id, transport, started_at, app_version)"
        " values (%s, %s, 'daily', now(), '1')",
        (rows.sessions, rows.conversations),
    )
    connection.execute(
        "insert into public.messages (id, conversation_id, session_id, seq, role, content)"
        " values (%s, %s, %s, 1, 'user', 'a secret')",
        (rows.messages, rows.conversations, rows.sessions),
    )
    connection.execute(
        "insert into public.transitions (id, conversation_id, session_id, seq, from_node, to_node,"
        " trigger, created_at) values (%s, %s, %s, 1, 'a', 'b', 'c', now())",
        (rows.transitions, rows.conversations, rows.sessions),
    )
    connection.execute(
        "insert into public.tool_calls (id, conversation_id, session_id, name, status,"
        " idempotency_key, started_at) values (%s, %s, %s, 'book', 'done', 'k', now())",
        (rows.tool_calls, rows.conversations, rows.sessions),
    )
    connection.execute(
        "insert into public.labels (id, conversation_id, session_id, name, note, created_at)"
        " values (%s, %s, %s, 'odd', 'a secret', now())",
        (rows.labels, rows.conversations, rows.sessions),
    )
    connection.execute(
        "insert into public.positions (conversation_id, session_id, node, updated_at)"
        " values (%s, %s, 'conversation', now())",
        (rows.positions, rows.sessions),
    )
    connection.execute(
        "insert into public.memories (id, user_id, content) values (%s, %s, 'a secret')",
        (rows.memories, rows.owner),
    )
    connection.execute(
        "insert into public.memory_choices (id, user_id, remembers) values (%s, %s, true)",
        (rows.memory_choices, rows.owner),
    )
    return rows
