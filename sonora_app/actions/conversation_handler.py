"""What the page's messages do.

`protocol.ACTIONS` says which actions there are and how their arguments look. Messages are acted on
one after the other, in the order they came, by one consumer; each is answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from loguru import logger
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import ValidationError

from sonora_app.actions.opener import Opener
from sonora_app.call.call import Call
from sonora_app.errors import ErrorCode, MessageError, SonoraError
from sonora_app.identity.callers import token_verifier
from sonora_app.page.protocol import (
    ACTIONS,
    MAX_TEXT_CHARS,
    Accepted,
    ActionMessage,
    ConversationOpened,
    EndConversation,
    Inbound,
    Outbound,
    Ready,
    SetConversationId,
    UserTextMessage,
)
from sonora_app.page.rtvi import RtviMessage
from sonora_app.storage.records import EndReason

Arguments = TypeVar("Arguments", bound=Inbound)

_TEXT_TYPES = frozenset({"user_text_message", "user-text-message"})
"""Message types by which the existing front end sends typed text, with `d` as its arguments."""

_LET_THROUGH = frozenset({"client-ready", "disconnect-bot", "client-message", "send-text"})
"""The RTVI messages a page may send. The others reach into the pipeline (raw audio, function
results, files, DTMF) and no page of ours sends them."""


class ConversationHandler:
    """Acts on what the page sends in one call.

    Args:
        call: The call.
        start: What its `/start` request says of the conversation, or None.
        send_text: Hands typed text to RTVI, as if the page had sent `send-text`.
    """

    def __init__(
        self,
        call: Call,
        *,
        start: SetConversationId | None,
        send_text: Callable[[UserTextMessage, str], Awaitable[None]],
    ) -> None:
        """Create a handler that does not consume yet."""
        self._call = call
        self._send_text = send_text
        self._queue: asyncio.Queue[rtvi.ClientMessage] = asyncio.Queue()
        self._opener = Opener(call, start=start, verifier=token_verifier(call.settings))
        self._runs: Mapping[str, Callable[[Any], Awaitable[Outbound]]] = {
            "set_conversation_id": self._set_conversation_id,
            "end_conversation": self._end_conversation,
            "user_text_message": self._user_text_message,
        }

    # --- Before a message enters

    async def admit(self, message: RtviMessage) -> None:
        """Let a message through to Pipecat, or refuse it. See `page.Gatekeeper`."""
        if message.type not in _LET_THROUGH:
            raise MessageError(
                ErrorCode.UNSUPPORTED_MESSAGE, f"{message.type} is not supported here."
            )
        if message.type == "client-message":
            _client_message(message.data)
        if message.type == "disconnect-bot":
            self._call.end_reason = self._call.end_reason or EndReason.USER_REQUEST
        if message.type == "send-text":
            text = _typed_text(message.data)
            self._check_can_type()
            await self._leave_greeting()
            self._call.typed(text.audio_response)

    # --- After it was let through

    def submit(self, message: rtvi.ClientMessage) -> None:
        """Queue a client message. Called in the order they came."""
        self._queue.put_nowait(message)

    async def run(self) -> None:
        """Act on the queued messages until cancelled."""
        while True:
            message = await self._queue.get()
            try:
                answer = await self._act(message)
            except SonoraError as error:
                await self._call.page.refuse(message.msg_id, error)
            except Exception as error:  # noqa: BLE001  # one message must not end the consumer
                logger.error(f"A message of type {message.type} failed: {type(error).__name__}")
                await self._call.page.refuse(
                    message.msg_id, MessageError(ErrorCode.INTERNAL, "This failed on our side.")
                )
            else:
                await self._call.page.answer(message.msg_id, message.type, answer)

    async def prepare(self) -> None:
        """Make ready, as far as possible, for the first message that asks for a conversation."""
        await self._opener.prepare()

    async def open_from_body(self) -> None:
        """Open the conversation that the `/start` request named.

        Raises:
            SonoraError: It cannot be opened; the call waits for a message that can.
        """
        await self._tell_opened(await self._opener.open_start())

    async def open_unasked(self) -> None:
        """Open a fresh conversation, because no page named one. Local machines only."""
        if (ready := await self._opener.open_unasked()) is not None:
            await self._tell_opened(ready)

    async def _act(self, message: rtvi.ClientMessage) -> Outbound:
        if message.type in _TEXT_TYPES:
            request = ActionMessage(action="user_text_message", arguments=message.data or {})
        elif message.type == "action":
            request = _parse(ActionMessage, message.data)
        else:
            raise MessageError(
                ErrorCode.UNKNOWN_ACTION,
                "There is no such message.",
                hint='Send t: "action" with d: {action, arguments}.',
            )
        action = ACTIONS.get(request.action)
        if action is None:
            raise MessageError(
                ErrorCode.UNKNOWN_ACTION,
                "There is no such action.",
                hint=f"The actions are {', '.join(sorted(ACTIONS))}.",
            )
        arguments = _parse(action.arguments, request.arguments)
        return await self._runs[request.action](arguments)

    # --- The actions

    async def _set_conversation_id(self, claim: SetConversationId) -> Outbound:
        return await self._opener.open(claim, cause="message")

    async def _end_conversation(self, arguments: EndConversation) -> Outbound:
        call = self._call
        if call.driver.node == "waiting":
            raise MessageError(ErrorCode.NOT_READY, "There is no conversation to end yet.")
        if call.driver.node != "farewell":
            await call.page.interrupt_bot()
            await call.worker.flush_pipeline()
            if not await call.wind_up(EndReason.USER_REQUEST):
                await call.driver.fire_if_possible("say_goodbye", cause=EndReason.USER_REQUEST)
        return Accepted()

    async def _user_text_message(self, message: UserTextMessage) -> Outbound:
        self._check_can_type()
        await self._leave_greeting()
        self._call.typed(message.audio_response)
        await self._send_text(message, "")
        return Accepted()

    async def _tell_opened(self, ready: Ready) -> None:
        await self._call.page.tell(
            ConversationOpened(
                conversation_id=ready.conversation_id,
                session_id=ready.session_id,
                resumed=ready.resumed,
                history=ready.history,
            )
        )

    # --- Typed text

    def _check_can_type(self) -> None:
        node = self._call.driver.node
        if node == "waiting":
            raise MessageError(
                ErrorCode.NOT_READY,
                "The conversation is not open yet.",
                hint="Send set_conversation_id first.",
            )
        if node == "farewell":
            raise MessageError(ErrorCode.CONVERSATION_ENDING, "The conversation is ending.")

    async def _leave_greeting(self) -> None:
        # The model must answer with the conversation's prompt and tools, which it would not
        # have if the text overtook the end of the greeting that it cuts short.
        await self._call.driver.fire_if_possible("greeting_finished", cause="user_typed")


def _parse(model: type[Arguments] | type[ActionMessage], data: Any) -> Any:  # noqa: ANN401  # JSON
    try:
        return model.model_validate(data if data is not None else {})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'data'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)[:3]
        )
        raise MessageError(
            ErrorCode.INVALID_MESSAGE, f"The message cannot be used: {problems}."
        ) from None


def _client_message(data: Mapping[str, Any] | None) -> None:
    try:
        message = rtvi.RawClientMessageData.model_validate(data)
    except ValidationError:
        raise MessageError(
            ErrorCode.INVALID_MESSAGE, "A client-message needs data with t, and optionally d."
        ) from None
    if message.d is not None and not isinstance(message.d, Mapping):
        raise MessageError(ErrorCode.INVALID_MESSAGE, "The d of a client-message is an object.")


def _typed_text(data: Mapping[str, Any] | None) -> UserTextMessage:
    try:
        text = rtvi.SendTextData.model_validate(data)
        return UserTextMessage(
            text=text.content,
            audio_response=text.options.audio_response if text.options else True,
        )
    except ValidationError:
        raise MessageError(
            ErrorCode.INVALID_MESSAGE,
            f"A send-text needs content of 1 to {MAX_TEXT_CHARS} characters.",
        ) from None
