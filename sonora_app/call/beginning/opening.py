"""Opens a conversation: finds its owner and its history, and decides what the call begins with."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from sonora_app.call.beginning.consent import Consent, consent_of, sound_of
from sonora_app.call.beginning.returning import Return, place_of_return
from sonora_app.errors import NotFoundError
from sonora_app.flow.quoted import spoken_name, spoken_topic
from sonora_app.identity.callers import check_may_open
from sonora_app.settings import Language, Settings
from sonora_app.storage.history import ContextMessage, context_messages
from sonora_app.storage.positions import Position, Standing
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    ConversationUpdate,
    EndReason,
    JsonObject,
    ProvisionalConversation,
    Record,
    RecordedCall,
    Session,
    utc_now,
    uuid7,
)
from sonora_app.storage.store import Found, Opening
from sonora_app.wording.translation import worded

_NOWHERE = "waiting"
"""Where a talk is that has not begun: nobody is put back there."""

_ROOM, _ROOM_IN_TIME = 100, timedelta(minutes=1)
"""How many numbers, and how much time, are left to an earlier call whose last records are not known
yet: it talks on another machine, or the disk is full. What that call still brings comes before what
is said from here on, and no number comes twice. The time counts only beyond a clock that was set
back, since what is said now is later than what was said earlier anyway."""

_NEWEST_TOPICS = 5
"""How many of a conversation's topics may be the one that a greeting names."""


@dataclass(frozen=True)
class OpeningRequest:
    """Which conversation is to be opened, and for whom.

    Parameters:
        conversation_id: The conversation; None is a new one.
        user_id: The user that `identity/callers.py` has established.
        language: What to speak; None is what was spoken in it before.
        proven: Whether it is known that they are that user, as far as this installation asks.
        recording: Whether they agree to have the call's sound kept; None: they were not asked.
    """

    conversation_id: UUID | None
    user_id: str
    language: Language | None = None
    proven: bool = False
    recording: bool | None = None


@dataclass(frozen=True)
class GreetingFacts:
    """What a greeting can draw on, as it can be spoken. None is not known."""

    name: str | None = None
    topic: str | None = None
    last_talk_at: datetime | None = None


@dataclass(frozen=True)
class OpenedConversation(RecordedCall):
    """A conversation that this call may talk in, and what recording it needs.

    Parameters:
        asked_for: The conversation that it stands in for, whose owner is not known yet; or None.
        owner_id: Whose it is, as far as is known; None is nobody's.
        complete: Whether all that there was of it was read in time.
        resumed: Whether it existed before this call.
        returning: Whether this user has talked with Sonora before, here or elsewhere.
        language: What is spoken in this call.
        history: Its newest messages, for the language model.
        summary: What is known of the messages before those, or of the last conversation.
        facts: What the greeting can draw on.
        standing: Which call held it last, and where the talk was; None where that is not known.
        back: Where the talk broke off, if it goes on from there; None has the user greeted.
        consent: What the person has said of having the call's sound kept.
        stood: What it was left as before; None where that is not known, or it is new.
    """

    asked_for: UUID | None
    owner_id: str | None
    complete: bool
    resumed: bool
    returning: bool
    language: Language
    history: tuple[ContextMessage, ...]
    summary: str | None
    facts: GreetingFacts
    standing: Standing | None
    back: Return | None
    consent: Consent
    stood: ConversationStatus | None = None

    def unchanged_by(self, reason: EndReason) -> ConversationStatus:
        """What a call leaves it as in which the user said nothing: as it stood, if it had ended."""
        looked_in = reason.status is ConversationStatus.ABANDONED
        had_ended = self.stood not in (None, ConversationStatus.ACTIVE)
        return self.stood if self.stood and looked_in and had_ended else reason.status


def open_conversation(
    request: OpeningRequest,
    found: Found,
    *,
    settings: Settings,
    transport: str,
    app_version: str,
    played: JsonObject | None = None,
    returnable: Collection[str] = (),
    made_way: bool = False,
) -> OpenedConversation:
    """Open the conversation that is asked for, or a new one. Nothing is written yet.

    Args:
        request: Which conversation, and for whom.
        found: What there is of it.
        settings: The settings.
        transport: The name of the transport, kept with the call.
        app_version: The version of Sonora, kept with the call.
        played: Which parts are no vendor's, kept with a new conversation.
        returnable: The nodes of the flow that one can come back to.
        made_way: Whether the last call was just asked to end, since the person is here.

    Raises:
        ConversationRefusedError: This user may not open the conversation.
        NotFoundError: They deleted it.
    """
    if found.opening is None:
        begun = _begin_new(request, found, settings.language, played or {})
    else:
        begun = _resume(request, found, found.opening, settings)
    opening, previous = begun.opening, begun.previous
    standing, conversation_id = opening.standing, opening.conversation.id
    session_id = uuid7(after=standing.position.session_id if standing else None)
    back = place_of_return(opening, returnable, settings.return_secs, made_way=made_way)
    unsettled = opening.incomplete or (standing is not None and standing.ended_at is None)
    consent = consent_of(request.recording, back.state if back else {})
    metrics = _consent_kept(consent, found, settings, opening.conversation, session_id)
    call = _call_records(conversation_id, session_id, back, transport, app_version, metrics)
    return OpenedConversation(
        conversation_id=conversation_id,
        asked_for=request.conversation_id if request.conversation_id != conversation_id else None,
        owner_id=opening.conversation.user_id,
        complete=found.complete,
        session_id=session_id,
        resumed=found.opening is not None,
        returning=previous is not None and previous.last_message_at is not None,
        language=begun.language,
        history=_history(opening, settings),
        summary=previous.summary if previous else None,
        facts=_facts(previous),
        standing=standing,
        back=back,
        consent=consent,
        stood=found.opening.conversation.status if found.opening else None,
        last_message_seq=opening.last_message_seq + _ROOM * unsettled,
        last_transition_seq=opening.last_transition_seq + _ROOM * unsettled,
        last_at=_last_at(opening, unsettled),
        records=(*begun.records, *call),
    )


def _last_at(opening: Opening, unsettled: bool) -> datetime | None:
    """The time that everything follows that is recorded from here on; None where nothing was."""
    said_at = opening.conversation.last_message_at
    sign_at = opening.standing.last_sign_at if opening.standing else None
    last = max((time for time in (said_at, sign_at) if time is not None), default=None)
    if last is not None and unsettled and last > utc_now():
        return last + _ROOM_IN_TIME
    return last


def _call_records(
    conversation_id: UUID,
    session_id: UUID,
    back: Return | None,
    transport: str,
    app_version: str,
    metrics: JsonObject,
) -> tuple[Record, ...]:
    """That a call begins, and that it holds the conversation from here on."""
    now = utc_now()
    session = Session(
        id=session_id,
        conversation_id=conversation_id,
        transport=transport,
        started_at=now,
        metrics=metrics,
        app_version=app_version,
    )
    position = Position(
        conversation_id=conversation_id,
        session_id=session_id,
        node=back.node if back else _NOWHERE,
        state=dict(back.state) if back else {},
        saying=back.unheard if back else None,
        updated_at=now,
    )
    return session, position


def _consent_kept(
    consent: Consent,
    found: Found,
    settings: Settings,
    conversation: Conversation,
    session_id: UUID,
) -> JsonObject:
    if consent.agreed is False:
        return consent.kept(None)
    if not (consent.agreed and settings.recording and found.complete):
        return {}
    return consent.kept(sound_of(conversation.user_id, conversation.id, session_id))


@dataclass(frozen=True)
class _Begun:
    """The conversation that a call goes on with, the one talked in before, and what to write."""

    opening: Opening
    previous: Conversation | None
    language: Language
    records: tuple[Record, ...]


def _begin_new(
    request: OpeningRequest, found: Found, default: Language, played: JsonObject
) -> _Begun:
    now, asked_for = utc_now(), request.conversation_id
    language = request.language or default
    records: list[Record] = []
    conversation_id = asked_for or uuid7()
    if asked_for is not None and not found.complete:
        # There may be one of this name, whose owner is not known yet.
        conversation_id = uuid7()
        records.append(
            ProvisionalConversation(
                id=conversation_id, asked_for=asked_for, user_id=request.user_id
            )
        )
    conversation = Conversation(
        id=conversation_id,
        user_id=request.user_id,
        language=language,
        metadata=dict(played),
        created_at=now,
        updated_at=now,
    )
    return _Begun(Opening(conversation), found.previous, language, (*records, conversation))


def _resume(request: OpeningRequest, found: Found, opening: Opening, settings: Settings) -> _Begun:
    conversation = opening.conversation
    check_may_open(conversation, request.user_id, settings.identity)
    if found.deleted:
        raise NotFoundError(
            worded("This conversation was deleted."),
            hint=worded("Leave its id out to start a new one."),
        )
    language = request.language or _spoken(conversation.language) or settings.language
    update = ConversationUpdate(
        id=conversation.id,
        status=ConversationStatus.ACTIVE,
        language=language,
        updated_at=utc_now(),
    )
    # The store may have it from elsewhere, and what this call writes belongs to it.
    return _Begun(opening, conversation, language, (conversation, update))


def _history(opening: Opening, settings: Settings) -> tuple[ContextMessage, ...]:
    messages = context_messages(
        opening.messages,
        max_messages=settings.history_messages,
        max_chars=settings.history_chars,
    )
    return tuple(messages)


def _facts(previous: Conversation | None) -> GreetingFacts:
    if previous is None:
        return GreetingFacts()
    topics: object = previous.metadata.get("topics")
    known = cast(list[object], topics) if isinstance(topics, list) else []
    return GreetingFacts(
        name=spoken_name(previous.metadata.get("user_name")),
        topic=spoken_topic([*known[:_NEWEST_TOPICS], previous.title]),
        last_talk_at=previous.last_message_at,
    )


def _spoken(language: str | None) -> Language | None:
    try:
        return Language((language or "").split("-")[0].lower())
    except ValueError:
        return None
