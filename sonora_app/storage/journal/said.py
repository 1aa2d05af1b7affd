"""The journal's index of the words that were said, in small letters without accents.

Triggers keep it. It holds no text: a word is taken out of it by naming the text that it came from.
See `scrub.py` for how it forgets what was deleted.
"""

# `said` numbers what is in the index: a message, or a conversation's title and summary, which has
# no message_id. VACUUM renumbers the rows of the other tables.
SCHEMA = (
    """
    CREATE TABLE said (
        number INTEGER PRIMARY KEY,
        conversation_id TEXT NOT NULL,
        message_id TEXT
    )
    """,
    "CREATE UNIQUE INDEX said_of_message ON said (message_id)",
    "CREATE INDEX said_of_conversation ON said (conversation_id, message_id)",
    """
    CREATE VIRTUAL TABLE said_words USING fts5
        (words, content = '', tokenize = "unicode61 remove_diacritics 2")
    """,
    "INSERT INTO said (conversation_id, message_id) SELECT conversation_id, id FROM messages"
    " WHERE content IS NOT NULL AND deleted_at IS NULL",
    "INSERT INTO said (conversation_id) SELECT id FROM conversations"
    " WHERE title IS NOT NULL OR summary IS NOT NULL",
    "INSERT INTO said_words (rowid, words) SELECT number, content"
    " FROM said JOIN messages ON messages.id = message_id",
    "INSERT INTO said_words (rowid, words)"
    " SELECT number, coalesce(title, '') || ' ' || coalesce(summary, '') FROM said"
    " JOIN conversations ON conversations.id = conversation_id WHERE message_id IS NULL",
    """
    CREATE TRIGGER message_said AFTER INSERT ON messages
    WHEN NEW.content IS NOT NULL AND NEW.deleted_at IS NULL BEGIN
        INSERT INTO said (conversation_id, message_id) VALUES (NEW.conversation_id, NEW.id);
        INSERT INTO said_words (rowid, words)
            SELECT number, NEW.content FROM said WHERE message_id = NEW.id;
    END
    """,
    """
    CREATE TRIGGER message_unsaid BEFORE DELETE ON messages BEGIN
        INSERT INTO said_words (said_words, rowid, words)
            SELECT 'delete', number, OLD.content FROM said WHERE message_id = OLD.id;
        DELETE FROM said WHERE message_id = OLD.id;
    END
    """,
    """
    CREATE TRIGGER message_resaid AFTER UPDATE OF content, deleted_at, conversation_id ON messages
    BEGIN
        INSERT INTO said_words (said_words, rowid, words)
            SELECT 'delete', number, OLD.content FROM said WHERE message_id = OLD.id;
        DELETE FROM said WHERE message_id = OLD.id;
        INSERT INTO said (conversation_id, message_id) SELECT NEW.conversation_id, NEW.id
            WHERE NEW.content IS NOT NULL AND NEW.deleted_at IS NULL;
        INSERT INTO said_words (rowid, words)
            SELECT number, NEW.content FROM said WHERE message_id = NEW.id;
    END
    """,
    """
    CREATE TRIGGER conversation_named AFTER INSERT ON conversations
    WHEN NEW.title IS NOT NULL OR NEW.summary IS NOT NULL BEGIN
        INSERT INTO said (conversation_id) VALUES (NEW.id);
        INSERT INTO said_words (rowid, words)
            SELECT number, coalesce(NEW.title, '') || ' ' || coalesce(NEW.summary, '') FROM said
            WHERE conversation_id = NEW.id AND message_id IS NULL;
    END
    """,
    """
    CREATE TRIGGER conversation_unnamed BEFORE DELETE ON conversations BEGIN
        INSERT INTO said_words (said_words, rowid, words)
            SELECT 'delete', number,
                coalesce(OLD.title, '') || ' ' || coalesce(OLD.summary, '') FROM said
            WHERE conversation_id = OLD.id AND message_id IS NULL;
        DELETE FROM said WHERE conversation_id = OLD.id AND message_id IS NULL;
    END
    """,
    """
    CREATE TRIGGER conversation_renamed AFTER UPDATE OF title, summary ON conversations
    WHEN OLD.title IS NOT NEW.title OR OLD.summary IS NOT NEW.summary BEGIN
        INSERT INTO said_words (said_words, rowid, words)
            SELECT 'delete', number,
                coalesce(OLD.title, '') || ' ' || coalesce(OLD.summary, '') FROM said
            WHERE conversation_id = OLD.id AND message_id IS NULL;
        DELETE FROM said WHERE conversation_id = OLD.id AND message_id IS NULL;
        INSERT INTO said (conversation_id) SELECT NEW.id
            WHERE NEW.title IS NOT NULL OR NEW.summary IS NOT NULL;
        INSERT INTO said_words (rowid, words)
            SELECT number, coalesce(NEW.title, '') || ' ' || coalesce(NEW.summary, '') FROM said
            WHERE conversation_id = NEW.id AND message_id IS NULL;
    END
    """,
    "CREATE INDEX conversations_in_order ON conversations (last_message_at, created_at, id)",
)
"""The statements of the migration that begins the index."""
