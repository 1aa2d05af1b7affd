"""The journal's schema, as numbered migrations.

A released migration is never edited: a change comes as another migration.
"""

from sonora_app.storage.journal import figures, label_rows, report_rows, request_rows, said

# Timestamps are text of one width in UTC, so that their order as text is their order in time.
# Columns that a record does not have, and only the journal uses:
#   conversations.message_count  kept by the triggers, so that no read has to count
#   sessions.process_id          the process that writes the session; see locks.py
_TABLES = (
    """
    CREATE TABLE conversations (
        id TEXT PRIMARY KEY NOT NULL,
        user_id TEXT,
        title TEXT,
        summary TEXT,
        status TEXT NOT NULL,
        language TEXT,
        metadata TEXT NOT NULL DEFAULT '{}',
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        last_message_at TEXT,
        message_count INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY NOT NULL,
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        transport TEXT NOT NULL,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        end_reason TEXT,
        metrics TEXT NOT NULL DEFAULT '{}',
        app_version TEXT NOT NULL,
        process_id TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE messages (
        id TEXT PRIMARY KEY NOT NULL,
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        session_id TEXT REFERENCES sessions (id) ON DELETE CASCADE,
        seq INTEGER,
        role TEXT NOT NULL,
        content TEXT,
        modality TEXT NOT NULL DEFAULT 'text',
        interrupted INTEGER NOT NULL DEFAULT 0,
        node TEXT,
        images TEXT,
        metadata TEXT,
        metrics TEXT,
        created_at TEXT NOT NULL,
        deleted_at TEXT
    )
    """,
    """
    CREATE TABLE transitions (
        id TEXT PRIMARY KEY NOT NULL,
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        from_node TEXT NOT NULL,
        to_node TEXT NOT NULL,
        trigger TEXT NOT NULL,
        arguments TEXT NOT NULL DEFAULT '{}',
        created_at TEXT NOT NULL
    )
    """,
    # Updates have no id: this is how one that comes again is known.
    """
    CREATE TABLE applied_updates (
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        digest BLOB NOT NULL,
        PRIMARY KEY (conversation_id, digest)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE outbox (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        table_name TEXT NOT NULL,
        row_id TEXT NOT NULL,
        operation TEXT NOT NULL CHECK (operation IN ('insert', 'update')),
        payload TEXT NOT NULL,
        created_at TEXT NOT NULL
    )
    """,
)

_INDEXES = (
    "CREATE INDEX conversations_of_user"
    " ON conversations (user_id, last_message_at, created_at, id)",
    "CREATE INDEX sessions_of_conversation ON sessions (conversation_id)",
    "CREATE INDEX sessions_unended ON sessions (started_at, id) WHERE ended_at IS NULL",
    "CREATE INDEX messages_in_order"
    " ON messages (conversation_id, created_at, seq, id) WHERE deleted_at IS NULL",
    "CREATE INDEX messages_by_seq ON messages (conversation_id, seq)",
    "CREATE INDEX messages_of_session ON messages (session_id, created_at)",
    "CREATE INDEX transitions_by_seq ON transitions (conversation_id, seq)",
    "CREATE INDEX transitions_of_session ON transitions (session_id)",
)

_TRIGGERS = (
    """
    CREATE TRIGGER message_inserted AFTER INSERT ON messages BEGIN
        UPDATE conversations SET
            message_count = message_count + (NEW.deleted_at IS NULL),
            last_message_at = max(coalesce(last_message_at, NEW.created_at), NEW.created_at),
            updated_at = max(updated_at, NEW.created_at)
        WHERE id = NEW.conversation_id;
    END
    """,
    """
    CREATE TRIGGER message_hidden AFTER UPDATE OF deleted_at ON messages BEGIN
        UPDATE conversations SET
            message_count = message_count + (NEW.deleted_at IS NULL) - (OLD.deleted_at IS NULL)
        WHERE id = NEW.conversation_id;
    END
    """,
    """
    CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
        UPDATE conversations SET message_count = message_count - (OLD.deleted_at IS NULL)
        WHERE id = OLD.conversation_id;
    END
    """,
)

# The outbox holds what waits, in order; what was refused for good lies in `set_aside`.
#   shipping  of a row: 0 it never was in the outbox, 1 it was or is, 2 shipping it was given up
#   shipped   the latest that was shipped, for the processes that another one ships for
_SHIPPING = (
    *(
        f"ALTER TABLE {table} ADD COLUMN shipping INTEGER NOT NULL DEFAULT 0"
        for table in ("conversations", "sessions", "messages", "transitions")
    ),
    *(
        f"UPDATE {table} SET shipping = 1 WHERE id IN ("  # noqa: S608  # names of ours
        f"SELECT row_id FROM outbox WHERE table_name = '{table}' AND operation = 'insert')"
        for table in ("conversations", "sessions", "messages", "transitions")
    ),
    "ALTER TABLE outbox ADD COLUMN conversation_id TEXT",
    """
    UPDATE outbox SET conversation_id = CASE table_name
        WHEN 'conversations' THEN row_id
        WHEN 'sessions' THEN (SELECT conversation_id FROM sessions WHERE sessions.id = row_id)
        ELSE json_extract(payload, '$.conversation_id')
    END
    """,
    "CREATE INDEX outbox_of_conversation ON outbox (conversation_id)",
    """
    CREATE TABLE set_aside (
        position INTEGER PRIMARY KEY,
        table_name TEXT NOT NULL,
        row_id TEXT NOT NULL,
        operation TEXT NOT NULL,
        payload TEXT NOT NULL,
        created_at TEXT NOT NULL,
        conversation_id TEXT,
        reason TEXT NOT NULL,
        set_aside_at TEXT NOT NULL
    )
    """,
    "CREATE INDEX set_aside_of_conversation ON set_aside (conversation_id)",
    """
    CREATE TABLE shipped (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        table_name TEXT NOT NULL,
        row_id TEXT NOT NULL
    )
    """,
)

# See provisional.py.
#   asked_for  the conversation that was asked for
#   kept_as    where it belongs: null while that is unknown, and its entries are held back
_PROVISIONAL = (
    """
    CREATE TABLE provisional (
        conversation_id TEXT PRIMARY KEY NOT NULL,
        asked_for TEXT NOT NULL,
        user_id TEXT NOT NULL,
        kept_as TEXT
    ) WITHOUT ROWID
    """,
)

# What is remembered of people, which outlasts the conversations it came from. See memory_rows.py.
_MEMORIES = (
    """
    CREATE TABLE memories (
        id TEXT PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL,
        content TEXT NOT NULL,
        source_message_id TEXT,
        conversation_id TEXT,
        created_at TEXT NOT NULL,
        valid_until TEXT,
        replaced_by TEXT,
        forgotten_at TEXT,
        metadata TEXT NOT NULL DEFAULT '{}',
        shipping INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE memory_choices (
        id TEXT PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL,
        remembers INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        shipping INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX memories_of_user ON memories (user_id, created_at, id)"
    " WHERE forgotten_at IS NULL AND replaced_by IS NULL",
    "CREATE INDEX memories_by_user ON memories (user_id, created_at, id)",
    "CREATE INDEX memory_choices_of_user ON memory_choices (user_id, created_at, id)",
    "CREATE INDEX memories_of_conversation ON memories (conversation_id)",
    "CREATE INDEX outbox_of_memories ON outbox (row_id) WHERE table_name = 'memories'",
    "CREATE INDEX set_aside_of_memories ON set_aside (row_id) WHERE table_name = 'memories'",
)

# Which call holds a conversation, and where the talk is. See position_rows.py.
_POSITIONS = (
    """
    CREATE TABLE positions (
        conversation_id TEXT PRIMARY KEY NOT NULL
            REFERENCES conversations (id) ON DELETE CASCADE,
        session_id TEXT NOT NULL,
        node TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT '{}',
        saying TEXT,
        updated_at TEXT NOT NULL,
        shipping INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
)

# A call that is about to hold the conversation, and waits for the one that does.
_CLAIMS = ("ALTER TABLE positions ADD COLUMN claimed_by TEXT",)

# What the bot did with its tools. See tool_call_rows.py.
_TOOL_CALLS = (
    """
    CREATE TABLE tool_calls (
        id TEXT PRIMARY KEY NOT NULL,
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        message_id TEXT,
        name TEXT NOT NULL,
        arguments TEXT NOT NULL DEFAULT '{}',
        status TEXT NOT NULL,
        result TEXT,
        idempotency_key TEXT NOT NULL,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        shipping INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX tool_calls_of_conversation ON tool_calls (conversation_id, started_at, id)",
    "CREATE INDEX tool_calls_of_session ON tool_calls (session_id)",
    "CREATE INDEX tool_calls_unended ON tool_calls (started_at, id) WHERE status = 'started'",
)

# The words of what was said, to find it by. See said.py.
_SAID = said.SCHEMA

# Which reports of calls are still to be sent. See report_rows.py.
_REPORTS = report_rows.SCHEMA

# What is added up of many calls. See figures.py.
_FIGURES = figures.SCHEMA

# What is noted of conversations. See label_rows.py.
_LABELS = label_rows.SCHEMA

# What the model was asked, on a developer's machine. See request_rows.py.
_REQUESTS = request_rows.SCHEMA

# When a message was kept; see kept_at.py.
_KEPT_AT = (
    "ALTER TABLE messages ADD COLUMN written_at TEXT",
    "ALTER TABLE messages ADD COLUMN stored_at TEXT",
)

# The messages that go on with another, as one turn. See finding.py.
_CONTINUED = (
    "ALTER TABLE messages ADD COLUMN continues TEXT GENERATED ALWAYS AS"
    " (iif(json_valid(metadata), json_extract(metadata, '$.continues'), NULL)) VIRTUAL",
    "CREATE INDEX messages_continued ON messages (continues) WHERE continues IS NOT NULL",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (*_TABLES, *_INDEXES, *_TRIGGERS),
    _SHIPPING,
    _PROVISIONAL,
    _MEMORIES,
    _POSITIONS,
    _CLAIMS,
    _TOOL_CALLS,
    _SAID,
    _REPORTS,
    _FIGURES,
    _LABELS,
    _REQUESTS,
    _KEPT_AT,
    _CONTINUED,
)
"""The statements of each migration, the first migration first."""
