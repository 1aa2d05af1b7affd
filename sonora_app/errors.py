"""Sonora's errors: everything that can go wrong and that a person should know of.

Each error has a stable code for programs, a sentence for people, and advice. Three places show
errors to somebody: the page's connection as an error-response, the command line as an exit code,
and the start of the bot as a log line. Nothing else formats them.
"""

import re
from enum import StrEnum

from sonora_app.wording.translation import in_language, worded

# A folder and what is in it, anywhere in a sentence; not the path of a URL.
_PATH = re.compile(r"(?<![\w/:.])/(?:[^\s/:,;'\"]+/)+([^\s/:,;'\"]*)")


class ErrorCode(StrEnum):
    """Stable codes of the errors a page or a script can meet. Never renamed."""

    NOT_READY = "not_ready"
    UNKNOWN_ACTION = "unknown_action"
    UNSUPPORTED_MESSAGE = "unsupported_message"
    INVALID_MESSAGE = "invalid_message"
    MESSAGE_TOO_LARGE = "message_too_large"
    OUT_OF_TURN = "out_of_turn"
    ALREADY_OPEN = "already_open"
    CONVERSATION_REFUSED = "conversation_refused"
    USER_REQUIRED = "user_required"
    TOKEN_REQUIRED = "token_required"  # noqa: S105
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    IDENTITY_UNAVAILABLE = "identity_unavailable"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    MODEL_UNAVAILABLE = "model_unavailable"
    VOICE_UNAVAILABLE = "voice_unavailable"
    HEARING_UNAVAILABLE = "hearing_unavailable"
    HEARING_RESTORED = "hearing_restored"
    SPEECH_DROPPED = "speech_dropped"
    CONVERSATION_ENDING = "conversation_ending"
    AT_CAPACITY = "at_capacity"
    MEMORY_UNAVAILABLE = "memory_unavailable"
    RECORDING_UNAVAILABLE = "recording_unavailable"
    FILE_TOO_LARGE = "file_too_large"
    FILE_UNSUPPORTED = "file_unsupported"
    FILE_UNREADABLE = "file_unreadable"
    TOO_MANY_FILES = "too_many_files"
    LINK_REFUSED = "link_refused"
    NOT_FOUND = "not_found"
    MISCONFIGURED = "misconfigured"
    INTERNAL = "internal"


class SonoraError(Exception):
    """Base of Sonora's errors.

    Args:
        message: One sentence for a person, saying what happened.
        hint: What to do about it; may be empty.
    """

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the sentence and the advice apart, so that each edge can lay them out."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The sentence, followed by the advice if there is any."""
        return f"{self.message} {self.hint}".rstrip()

    def said_in(self, language: str) -> str:
        """The same in a language, `es` or `en`, as far as its texts are worded."""
        said = (in_language(text, language) for text in (self.message, self.hint))
        return " ".join(filter(None, said))


class SettingsError(SonoraError):
    """The environment lacks something, or holds a value that cannot be used."""

    code = ErrorCode.MISCONFIGURED


class MessageError(SonoraError):
    """A message from the page cannot be acted on; nothing was changed.

    Args:
        code: Which of the page's errors this is.
        message: One sentence for a person.
        hint: What to do about it.
    """

    def __init__(self, code: ErrorCode, message: str, *, hint: str = "") -> None:
        """Take the code per instance: messages fail in many ways with one handling."""
        super().__init__(message, hint=hint)
        self.code = code


class BusyError(SonoraError):
    """All places for calls are taken."""

    code = ErrorCode.AT_CAPACITY

    def __init__(self) -> None:
        """Say so."""
        super().__init__(worded("All lines are busy. Try again in a moment."))


class ConversationRefusedError(SonoraError):
    """This caller may not open that conversation. The words tell nothing about why."""

    code = ErrorCode.CONVERSATION_REFUSED


class TokenRefusedError(SonoraError):
    """This access token proves nothing. Neither it nor any part of it is in the words."""

    code = ErrorCode.TOKEN_REFUSED


class IdentityUnavailableError(SonoraError):
    """Nobody's identity can be checked at the moment. The same request may pass later."""

    code = ErrorCode.IDENTITY_UNAVAILABLE


class StorageError(SonoraError):
    """The store cannot be read or written."""

    code = ErrorCode.STORAGE_UNAVAILABLE


class RecordRefusedError(StorageError):
    """The store refuses a record for good: writing it again cannot help."""


class NotFoundError(SonoraError):
    """There is nothing of this id."""

    code = ErrorCode.NOT_FOUND


def without_paths(text: str) -> str:
    """`text` with each absolute path cut down to its last name, for who is elsewhere."""
    return _PATH.sub(r"…/\1", text)
