"""Who may open which conversation.

`claimed`: the ids come from the page and are taken at its word. A conversation that exists opens
only for the user it belongs to; one without an owner opens for whoever holds its id, and stays
without one; one that does not exist yet is created for this user. A refusal does not tell
whether the conversation exists.
"""

from sonora_app.conversation.records import Conversation
from sonora_app.errors import ConversationRefusedError, ErrorCode, MessageError
from sonora_app.protocol import SetConversationId


def claimed_user(claim: SetConversationId) -> str:
    """The user that a claim names.

    Raises:
        MessageError: It names none.
    """
    if claim.user_id is None:
        raise MessageError(
            ErrorCode.USER_REQUIRED,
            "The message names no user.",
            hint="Send user_id with set_conversation_id.",
        )
    return claim.user_id


def check_may_open(conversation: Conversation, user_id: str) -> None:
    """Let `user_id` into a conversation that exists, or not.

    Raises:
        ConversationRefusedError: It belongs to somebody else.
    """
    if conversation.user_id is not None and conversation.user_id != user_id:
        raise ConversationRefusedError(
            "This conversation cannot be opened.",
            hint="Check its id, or leave it out to start a new one.",
        )
