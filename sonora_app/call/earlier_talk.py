"""Keeps the prompt of a long call short: what is old is summed up while the talk goes on.

When the talk has grown by so much, the model is asked, beside the call, for a summary of all but
its newest part, and the summary takes its place. Nobody waits for it: until it is there the model
is told the whole. What the flow tells the model to do now stays, a function's call stays with its
result, what is remembered of the person stays, and what they said of themselves is asked for by
itself and carried from summary to summary.

Pipecat's own summariser sums up the node's instructions with the rest, ends the call where the
model refuses it, asks anew after each interruption, and takes the messages by their number, which
history that comes late moves on. What is used of it is how it chooses messages.
"""

import asyncio
import json
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loguru import logger
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.utils.context.llm_context_summarization import LLMContextSummarizationUtil
from pydantic import BaseModel, Field, ValidationError

from sonora_app.call.context_changes import Transform, transformed
from sonora_app.call.ending.summary import load_summary_request
from sonora_app.flow.quoted import quotations, quoted
from sonora_app.memories.prompt import without_facts
from sonora_app.storage.history import shortened

if TYPE_CHECKING:
    from sonora_app.call.call import Call

_PART = 4
"""The newest talk that is not summed up, a summary, and what the talk grows by before it is summed
up again, each have one part in so many of SONORA_PROMPT_CHARS, at least."""

_KEPT_MESSAGES = 4
"""How many of the newest messages are never summed up, however long they are."""

_SUMMARY_TOKENS = 700

_TRANSCRIPT_CHARS = 40_000
"""How much a summary may be asked of: more than there is, but for texts that were pasted in."""

_MESSAGE_CHARS = 30
"""What a message has besides its words, in a request."""

_ANSWER_SECS = 30.0


class _Earlier(BaseModel):
    """What the model makes of the older part of a talk."""

    about_the_person: list[str] = Field(default_factory=list)
    summary: str = Field(min_length=1)


class EarlierTalk:
    """What is old in the talk of one call.

    Args:
        call: The call.
        aggregators: Its aggregators, whose turns tell when to look.
    """

    def __init__(self, call: "Call", aggregators: LLMContextAggregatorPair) -> None:
        """Follow a call that has not begun yet."""
        self._call = call
        self._context: LLMContext = aggregators.user().context

        async def assistant_stopped(*_: object) -> None:
            self.turn_ended()

        aggregators.assistant().add_event_handler("on_assistant_turn_stopped", assistant_stopped)
        self._limit: int | None = None
        self._asking: asyncio.Task[None] | None = None

    def turn_ended(self) -> None:
        """Have what is old summed up, if the talk has grown by enough. Returns at once."""
        size = size_of(self._context.get_messages())
        if self._limit is None:
            # What was said in earlier calls may be more than that already.
            self._limit = max(self._call.settings.prompt_chars, size + self._part_chars)
        if size > self._limit and self._asking is None:
            self._asking = asyncio.create_task(self._sum_up(), name="sonora-earlier-talk")
            self._asking.add_done_callback(self._asked)

    @property
    def _part_chars(self) -> int:
        return self._call.settings.prompt_chars // _PART

    def close(self) -> None:
        """The call is over: no summary is of use any more."""
        if self._asking is not None:
            self._asking.cancel()

    def _asked(self, task: "asyncio.Task[None]") -> None:
        self._asking = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error(f"What is old in the talk was not summed up: {type(error).__name__}")

    async def _sum_up(self) -> None:
        messages = self._context.get_messages()
        kept = _newest(messages, self._part_chars)
        chosen = LLMContextSummarizationUtil.get_messages_to_summarize(self._context, kept).messages
        # Asked again only once it has grown further, whatever comes of it.
        self._limit = size_of(messages) + self._part_chars
        if not chosen:
            return
        text = await self._summary_of(chosen)
        if text is None:
            return
        told = self._call.lines.text("prompt.earlier", {"summary": quoted(text)})
        await self._call.worker.queue_frame(transformed(self._instead_of(chosen, told)))
        self._limit = None

    async def _summary_of(self, messages: Sequence[LLMContextMessage]) -> str | None:
        request = load_summary_request()["earlier"]
        language = self._call.lines.text("prompt.language")
        transcript = shortened(transcript_of(messages), _TRANSCRIPT_CHARS)
        try:
            async with asyncio.timeout(_ANSWER_SECS):
                answer = await self._call.services.llm.run_inference(
                    LLMContext(messages=[{"role": "user", "content": transcript}]),
                    max_tokens=_SUMMARY_TOKENS,
                    system_instruction=request["instruction"].format(language=language),
                    response_schema=request["schema"],
                )
        except Exception as error:  # noqa: BLE001  # whatever the vendor's client raises: go on
            logger.warning(f"What is old in the talk is not summed up yet: {type(error).__name__}")
            return None
        return _read(answer, self._part_chars)

    def _instead_of(self, chosen: Sequence[LLMContextMessage], told: str) -> Transform:
        """Put `told` in the place of the messages summed up, if they still stand there."""

        def transform(messages: list[LLMContextMessage]) -> list[LLMContextMessage]:
            start = next((i for i, each in enumerate(messages) if each is chosen[0]), len(messages))
            end = start + len(chosen)
            span = messages[start:end]
            if len(span) < len(chosen) or not all(map(operator.is_, span, chosen)):
                return messages
            instructions = self._call.driver.instructions_in(messages)
            summary: Any = {"role": "developer", "content": told}
            still_told = [each for each in span if any(each is one for one in instructions)]
            if self._tells_facts(span) and not self._tells_facts(still_told):
                still_told.insert(0, {"role": "developer", "content": self._call.memory.told_now})
            recording = self._call.sound.told_now
            if recording and _tells(span, recording) and not _tells(still_told, recording):
                still_told.insert(0, {"role": "developer", "content": recording})
            return [*messages[:start], summary, *still_told, *messages[end:]]

        return transform

    def _tells_facts(self, messages: Sequence[LLMContextMessage]) -> bool:
        """Whether the model is told in `messages` what is remembered of the person."""
        texts = [each.get("content") for each in messages if isinstance(each, dict)]
        told = self._call.memory.is_told_in
        return any(isinstance(text, str) and told(text) for text in texts)


def _tells(messages: Sequence[LLMContextMessage], told: str) -> bool:
    texts = [each.get("content") for each in messages if isinstance(each, dict)]
    return any(isinstance(text, str) and told in text for text in texts)


def size_of(messages: Sequence[LLMContextMessage]) -> int:
    """About how many characters `messages` take in a request."""
    return sum(map(_size, messages))


def transcript_of(messages: Sequence[LLMContextMessage]) -> str:
    """What was said in `messages`, and what functions gave; of instructions only the quotations."""
    spoken: list[Any] = []
    for message in messages:
        if isinstance(message, dict) and message.get("role") in ("developer", "system"):
            content = message.get("content")
            text = content if isinstance(content, str) else ""
            is_result = text.startswith("{") and "async_tool" in text
            text = text if is_result else "\n".join(quotations(without_facts(text)))
            if text:
                spoken.append({"role": "earlier", "content": text})
        else:
            spoken.append(message)
    return LLMContextSummarizationUtil.format_messages_for_summary(spoken)


def _newest(messages: Sequence[LLMContextMessage], max_chars: int) -> int:
    """How many of the newest messages are kept as they are."""
    room = max_chars
    for number, message in enumerate(reversed(messages)):
        room -= _size(message)
        if room < 0:
            return max(number, _KEPT_MESSAGES)
    return len(messages)


def _size(message: LLMContextMessage) -> int:
    if not isinstance(message, dict):
        return _MESSAGE_CHARS
    content = message.get("content")
    text = content if isinstance(content, str) else json.dumps(content, default=str)
    calls = message.get("tool_calls")
    return _MESSAGE_CHARS + len(text) + (len(json.dumps(calls, default=str)) if calls else 0)


def _read(answer: str | None, max_chars: int) -> str | None:
    """The summary in an answer, whether it is JSON as was asked for, or plain text."""
    text = (answer or "").strip()
    try:
        earlier = _Earlier.model_validate_json(text)
    except ValidationError:
        # A model that has no schemas writes as it likes; half of an object is of no use.
        return None if not text or text.startswith(("{", "[")) else shortened(text, max_chars)
    facts = " ".join(f"{fact.strip().rstrip('.')}." for fact in earlier.about_the_person if fact)
    half = max_chars // 2
    parts = (shortened(facts, half), shortened(earlier.summary, half))
    return "\n".join(part for part in parts if part.strip()) or None
