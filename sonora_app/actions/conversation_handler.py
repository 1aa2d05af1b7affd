"""Does what the page's messages ask for.

`protocol.ACTIONS` lists the actions and their arguments. One consumer handles the messages one
after the other, in the order in which they came, and answers each.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from loguru import logger
from pydantic import ValidationError

from sonora_app.actions.file_actions import FileActions
from sonora_app.actions.memory_actions import MemoryActions
from sonora_app.actions.opener import Opener
from sonora_app.call.call import Call
from sonora_app.call.ending.leaving import leave
from sonora_app.errors import ErrorCode, MessageError, SonoraError
from sonora_app.identity.callers import token_verifier
from sonora_app.page.envelopes import FILE_TYPES, PageRequest
from sonora_app.page.protocol import (
    ACTIONS,
    Accepted,
    ActionMessage,
    ConversationOpened,
    EndConversation,
    Inbound,
    Outbound,
    Ready,
    SetConversationId,
    SetRecording,
    UserTextMessage,
)
from sonora_app.page.rtvi import Entry
from sonora_app.storage.records import EndReason
from sonora_app.wording.translation import worded

Arguments = TypeVar("Arguments", bound=Inbound)

_TEXT_TYPES = frozenset({"user_text_message", "user-text-message"})
"""Message types by which the existing front end sends typed text, with `d` as its arguments."""


class ConversationHandler:
    """Acts on what the page sends in one call.

    Args:
        call: The call.
        start: What its `/start` request says of the conversation, or None.
    """

    def __init__(self, call: Call, start: SetConversationId | None) -> None:
        """Queue what the page sends from here on; `run` acts on it."""
        self._call = call
        self._queue: asyncio.Queue[PageRequest] = asyncio.Queue()
        self._opener = Opener(call, start=start, verifier=token_verifier(call.settings))
        self._files = FileActions(call, self._enter, check=self._check_can_type)
        self._runs: Mapping[str, Callable[[Any], Awaitable[Outbound]]] = {
            "set_conversation_id": self._set_conversation_id,
            "end_conversation": self._end_conversation,
            "user_text_message": self._user_text_message,
            "set_recording": self._set_recording,
            **MemoryActions(call).runs,
            **self._files.runs,
        }
        call.page.requested.add(self._submit)

    async def _submit(self, request: PageRequest) -> None:
        self._queue.put_nowait(request)

    async def run(self) -> None:
        """Act on the queued requests until cancelled."""
        page = self._call.page
        while True:
            request = await self._queue.get()
            try:
                if request.typed is not None:
                    # Pipecat's own message: there is no answer to it.
                    await self._enter_text(request.typed, request.message_id)
                    continue
                if request.type == "send-file":
                    await self._files.send_file(request)
                    continue
                answer = await self._act(request)
            except SonoraError as error:
                await page.refuse(request.message_id, error)
            except Exception as error:  # noqa: BLE001  # one message must not end the consumer
                logger.error(f"A message of type {request.type} failed: {type(error).__name__}")
                await page.refuse(
                    request.message_id,
                    MessageError(ErrorCode.INTERNAL, worded("This failed on our side.")),
                )
            else:
                await page.answer(request.message_id, request.type, answer)

    async def prepare(self) -> None:
        """Make ready, as far as possible, for the first message that asks for a conversation."""
        await self._opener.prepare()

    async def open_from_body(self) -> None:
        """Open the conversation that the `/start` request named.

        Raises:
            SonoraError: It cannot be opened; the call waits for a message that can.
        """
        await self._tell_opened(await self._opener.open_start())

    async def nobody_asked(self) -> None:
        """See to a call whose page named no conversation in time."""
        if (ready := await self._opener.nobody_asked()) is not None:
            await self._tell_opened(ready)

    async def _act(self, message: PageRequest) -> Outbound:
        if message.type in _TEXT_TYPES:
            request = ActionMessage(action="user_text_message", arguments=dict(message.data or {}))
        elif message.type in FILE_TYPES:
            request = ActionMessage(action=message.type, arguments=dict(message.data or {}))
        elif message.type == "action":
            request = _parse(ActionMessage, message.data)
        else:
            raise MessageError(
                ErrorCode.UNKNOWN_ACTION,
                worded("There is no such message."),
                hint=worded('Send t: "action" with d: {action, arguments}.'),
            )
        action = ACTIONS.get(request.action)
        if action is None:
            raise MessageError(
                ErrorCode.UNKNOWN_ACTION,
                worded("There is no such action."),
                hint=worded("The actions are {actions}.", actions=", ".join(sorted(ACTIONS))),
            )
        arguments = _parse(action.arguments, request.arguments)
        return await self._runs[request.action](arguments)

    # --- The actions

    async def _set_conversation_id(self, claim: SetConversationId) -> Outbound:
        return await self._opener.open(claim, cause="message")

    async def _end_conversation(self, arguments: EndConversation) -> Outbound:
        call = self._call
        if call.driver.node == "waiting":
            raise MessageError(ErrorCode.NOT_READY, worded("There is no conversation to end yet."))
        if call.driver.node != "farewell":
            await call.page.interrupt_bot()
            await call.worker.flush_pipeline()
            if not await call.wind_up(EndReason.USER_REQUEST):
                await leave(call, EndReason.USER_REQUEST)
        return Accepted()

    async def _user_text_message(self, message: UserTextMessage) -> Outbound:
        await self._enter_text(message)
        return Accepted()

    async def _set_recording(self, asked: SetRecording) -> Outbound:
        if self._call.opened is None:
            raise _not_open()
        await self._call.sound.allow(asked.recording, by="page")
        if asked.recording and not self._call.sound.on:
            raise MessageError(
                ErrorCode.RECORDING_UNAVAILABLE,
                worded("The sound of this call cannot be kept."),
                hint=worded("Keeping it is off (SONORA_RECORDING), or there is no room for it."),
            )
        return Accepted()

    async def _tell_opened(self, ready: Ready) -> None:
        await self._call.page.tell(
            ConversationOpened(
                conversation_id=ready.conversation_id,
                session_id=ready.session_id,
                resumed=ready.resumed,
                history=ready.history,
                put_back=ready.put_back,
                language=ready.language,
            )
        )

    # --- What is typed or shown

    async def _enter_text(self, message: UserTextMessage, message_id: str = "") -> None:
        self._check_can_type()
        await self._enter(
            Entry(message.text, audio_response=message.audio_response, message_id=message_id)
        )

    async def _enter(self, entry: Entry) -> None:
        # The model must answer with the conversation's prompt and tools, which it would not
        # have if the text overtook the end of the greeting that it cuts short.
        await self._call.driver.fire_if_possible("greeting_finished", cause="user_typed")
        self._call.typed(entry.audio_response)
        await self._call.page.enter(entry)

    def _check_can_type(self) -> None:
        node = self._call.driver.node
        if node == "waiting":
            raise _not_open()
        if node == "farewell":
            raise MessageError(ErrorCode.CONVERSATION_ENDING, worded("The conversation is ending."))


def _not_open() -> MessageError:
    return MessageError(
        ErrorCode.NOT_READY,
        worded("The conversation is not open yet."),
        hint=worded("Send set_conversation_id first."),
    )


def _parse(model: type[Arguments] | type[ActionMessage], data: Any) -> Any:  # noqa: ANN401  # JSON
    try:
        return model.model_validate(data if data is not None else {})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'data'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)[:3]
        )
        raise MessageError(
            ErrorCode.INVALID_MESSAGE,
            worded("The message cannot be used: {problems}.", problems=problems),
        ) from None
