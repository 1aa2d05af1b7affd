"""Every message between the page and the bot, as models. `docs/protocol.md` has examples.

The messages travel inside RTVI (https://docs.pipecat.ai/client/rtvi-standard). What the page sends
is the data of a `client-message`. What the page gets is a `server-response`, an `error-response`,
or a `server-message` whose data is one of the events below.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from sonora_app.errors import ErrorCode
from sonora_app.page.file_messages import (
    Camera,
    CameraFrame,
    FilePart,
    FrameWanted,
    Shown,
    UserFileMessage,
    UserImage,
    UserMultimodalMessage,
)
from sonora_app.page.file_messages import ShownFile as ShownFile
from sonora_app.page.memory_messages import (
    CorrectMemory,
    ForgetMemory,
    ListMemories,
    Memories,
    MemoryEnded,
    MemoryKept,
    SetMemory,
)
from sonora_app.page.memory_messages import RememberedFact as RememberedFact
from sonora_app.page.messages import Event, Inbound, Outbound
from sonora_app.page.recording_messages import RecordingChanged, SetRecording
from sonora_app.settings import Language
from sonora_app.storage.records import ConversationStatus, EndReason, Modality

MAX_MESSAGE_BYTES = 16_384
"""The largest message a page may send, as JSON in UTF-8, unless it carries a file."""

HistoryState = Literal["loaded", "delayed"]
"""Whether what was said earlier is known to the bot."""

MAX_TEXT_CHARS = 4_000
"""The longest text a page may send for the user, in characters."""

UserId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
TypedText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_CHARS)
]


class SetConversationId(Inbound):
    """Open a conversation: the page's first message, or the `/start` request's body.

    Without `conversation_id` a new conversation is opened, and its id returned. `recording` says
    whether the person agrees to have the call's sound kept, where the bot keeps any; null: they
    were not asked.
    """

    conversation_id: UUID | None = None
    user_id: UserId | None = None
    access_token: SecretStr | None = Field(default=None, max_length=8_192)
    language: Language | None = None
    recording: bool | None = None


class EndConversation(Inbound):
    """Wind the conversation up; sent again while it is being wound up, say goodbye."""


class UserTextMessage(Inbound):
    """Something the user typed. `audio_response` false asks for the answer in text only."""

    text: TypedText
    audio_response: bool = True


class ActionMessage(BaseModel):
    """The data of a client message whose `t` is `action`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str = Field(max_length=64)
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])


class Ready(Outbound):
    """The answer to `set_conversation_id`: the conversation is open and the bot will greet.

    With `put_back` the talk broke off a moment ago and goes on in `node`, where it was: the bot
    says that it is still there, and does not greet.

    With `history` delayed it could not be read in time; a `history-loaded` follows when it is.

    `recording` says whether the call's sound is being kept; a `recording` event, that this changed.
    `language` is what is spoken; a `language-changed` event says that this changed.
    """

    status: Literal["ready"] = "ready"
    conversation_id: UUID
    session_id: UUID
    resumed: bool
    history: HistoryState
    put_back: bool
    node: str
    recording: bool
    language: Language


class Accepted(Outbound):
    """The answer to any other action: it is being done."""

    status: Literal["accepted"] = "accepted"


class Problem(Outbound):
    """The data of an error-response.

    `error` repeats the sentence under the name that RTVI clients look for.
    """

    code: ErrorCode
    message: str
    error: str


class NodeChanged(Event):
    """The flow moved."""

    event: Literal["node-changed"] = "node-changed"
    node: str
    previous: str
    trigger: str


class MessageRecorded(Event):
    """A turn is in the journal, in the order of `seq`: it survives a crash from here on."""

    event: Literal["message-recorded"] = "message-recorded"
    id: UUID
    seq: int
    role: str
    modality: Modality
    content: str | None
    interrupted: bool


class MessageStored(Event):
    """A turn reached Supabase."""

    event: Literal["message-stored"] = "message-stored"
    id: UUID


class StorageState(Event):
    """How storage is doing, sent when it changes. `pending` counts records not yet written."""

    event: Literal["storage"] = "storage"
    state: Literal["ok", "delayed", "failing"]
    pending: int


class TurnLatency(Event):
    """How long the answer to one turn took to be heard, and its parts, in milliseconds."""

    event: Literal["turn-latency"] = "turn-latency"
    total_ms: float
    parts_ms: dict[str, float]


class ConversationOpened(Event):
    """A conversation was opened, or is kept as another, without the page asking just then."""

    event: Literal["conversation-opened"] = "conversation-opened"
    conversation_id: UUID
    session_id: UUID
    resumed: bool
    history: HistoryState
    put_back: bool
    language: Language


class LanguageChanged(Event):
    """The call goes on in another language: that of what the person is saying, or typed last."""

    event: Literal["language-changed"] = "language-changed"
    language: Language


class HistoryLoaded(Event):
    """What was said earlier, and was delayed, is known to the bot. `messages` counts the newest."""

    event: Literal["history-loaded"] = "history-loaded"
    messages: int


class Notice(Event):
    """Something the user should know that answers no message, such as speaking too early."""

    event: Literal["notice"] = "notice"
    code: ErrorCode
    message: str


class Source(Outbound):
    """A passage of a document that an answer was given.

    `link` is there where the document came from the web; `score` is 0 to 1.
    """

    passage_id: UUID
    document_id: UUID
    document: str
    heading: str
    content: str
    score: float
    page: int | None = None
    link: str | None = None


class Sources(Event):
    """What was looked up for the answer that begins now.

    `state` says what came of it: `given`; `none`, where nothing fitted; `late` or `failed`, where
    the answer is given without documents. `took_ms` is the search, `waited_ms` what the answer
    waited for it.
    """

    event: Literal["sources"] = "sources"
    state: Literal["given", "none", "late", "failed"]
    question: str
    sources: list[Source]
    took_ms: float
    waited_ms: float


class ToolCallEvent(Event):
    """A tool was called, or its call has ended. `took_ms` is there once it has.

    `unknown`: nobody can say whether it was done. `called_off`: the person did not want it any
    more. The same `id` comes again with what came of it.
    """

    event: Literal["tool-call"] = "tool-call"
    id: UUID
    name: str
    state: Literal["started", "done", "failed", "unknown", "called_off"]
    took_ms: float | None = None


class ConversationEnded(Event):
    """The call is over; nothing follows."""

    event: Literal["conversation-ended"] = "conversation-ended"
    reason: EndReason
    status: ConversationStatus
    summary: str | None = None


@dataclass(frozen=True)
class Action:
    """An action that a page may ask for: how its arguments and its answer look."""

    arguments: type[Inbound]
    answer: type[Outbound]


ACTIONS: Mapping[str, Action] = {
    "set_conversation_id": Action(SetConversationId, Ready),
    "end_conversation": Action(EndConversation, Accepted),
    "user_text_message": Action(UserTextMessage, Accepted),
    "file_part": Action(FilePart, Accepted),
    "user_image": Action(UserImage, Shown),
    "user_multimodal_message": Action(UserMultimodalMessage, Shown),
    "user_file_message": Action(UserFileMessage, Shown),
    "camera": Action(Camera, Accepted),
    "camera_frame": Action(CameraFrame, Accepted),
    "list_memories": Action(ListMemories, Memories),
    "correct_memory": Action(CorrectMemory, Accepted),
    "forget_memory": Action(ForgetMemory, Accepted),
    "set_memory": Action(SetMemory, Accepted),
    "set_recording": Action(SetRecording, Accepted),
}
"""The actions by the names that a page sends. `actions/conversation_handler.py` does them."""

EVENTS: tuple[type[Event], ...] = (
    NodeChanged,
    MessageRecorded,
    MessageStored,
    StorageState,
    TurnLatency,
    ConversationOpened,
    LanguageChanged,
    RecordingChanged,
    HistoryLoaded,
    MemoryKept,
    MemoryEnded,
    FrameWanted,
    Notice,
    Sources,
    ToolCallEvent,
    ConversationEnded,
)
"""The server-messages."""
