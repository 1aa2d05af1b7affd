"""The model's stand-in: follows the flow by a script, and sends nothing anywhere."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from functools import cache
from typing import Any

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)
from pipecat.frames.frames import Frame, LLMUpdateSettingsFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils.types import is_given

from sonora_app.flow.check import names_of_flow
from sonora_app.flow.goodbyes import way_out
from sonora_app.flow.lines import Lines
from sonora_app.rehearsal.recall import review, without_numbers
from sonora_app.rehearsal.script import describe, next_move
from sonora_app.rehearsal.tools import OfferedTool
from sonora_app.rehearsal.turns import CallTool, Kind, Say, Turn, read_turns
from sonora_app.vendors.openai.speculation import ForetellingLLMService

_MODEL = "rehearsal"
_NOWHERE = "http://rehearsal.invalid/v1"
"""Where the parent's client would send its requests: a name that cannot exist (RFC 2606)."""

_PIECE = re.compile(r"\S+\s*")


class RehearsalLLMService(ForetellingLLMService):
    """Answers as a good model would that follows the flow, with what `script.py` decides.

    In place of OpenAI's stream it makes one of its own, of the same chunks: so text, tool calls,
    usage and metrics take the way they take with a model. Usage counts words for tokens.

    Args:
        lines: The fixed lines, in the language of the call.
        first_token_secs: How long the first piece of an answer takes, in seconds.
        between_tokens_secs: How long each further piece takes, in seconds.
    """

    def __init__(
        self, lines: Lines, *, first_token_secs: float = 0.0, between_tokens_secs: float = 0.0
    ) -> None:
        """Create the service."""
        super().__init__(
            api_key=_MODEL,
            base_url=_NOWHERE,
            settings=OpenAILLMService.Settings(model=_MODEL),
        )
        self._lines = lines
        self._instruction: str | None = None
        self._first_token_secs = first_token_secs
        self._between_tokens_secs = between_tokens_secs

    def set_lines(self, lines: Lines) -> None:
        """Speak another language from now on."""
        self._lines = lines

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame, and note what the flow tells the model."""
        if isinstance(frame, LLMUpdateSettingsFrame) and frame.delta is not None:
            told = frame.delta.system_instruction
            self._instruction = told if isinstance(told, str) else self._instruction
        await super().process_frame(frame, direction)

    async def get_chat_completions(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, context: LLMContext
    ) -> AsyncGenerator[ChatCompletionChunk]:
        """The next answer, as OpenAI would stream it.

        Pipecat declares the client's own stream class here, and uses it as an iterator.

        Args:
            context: Its messages and tools alone decide the answer.
        """
        if self.on_asked is not None:
            await self._tell_what_is_asked(context)
        turns = read_turns(context.get_messages())
        offered = _offered(context)
        ours = functions_of_flow()
        move = next_move(
            turns,
            {tool.name for tool in offered} & ours,
            self._lines,
            [tool for tool in offered if tool.name not in ours],
        )
        return self._stream(move, turns)

    async def _tell_what_is_asked(self, context: LLMContext) -> None:
        """Build the request that a model would get, as Pipecat does."""
        asked = await self.get_llm_adapter().get_llm_invocation_params(
            context,
            system_instruction=self._instruction,
            convert_developer_to_user=not self.supports_developer_role,
        )
        self.build_chat_completion_params(asked)

    async def run_inference(
        self,
        context: LLMContext,
        max_tokens: int | None = None,
        system_instruction: str | None = None,
        response_schema: dict[str, Any] | None = None,
    ) -> str:
        """Describe a conversation that is over, and say what is to be remembered of it.

        Args:
            context: The conversation.
            max_tokens: Ignored.
            system_instruction: Ignored.
            response_schema: One that `flows/summary.yaml` makes up: with `facts`, or without.

        Returns:
            A JSON object with `title`, `summary`, `topics` and `outcome`; and `facts` and `ended`.
        """
        turns = read_turns(context.get_messages())
        last = next((turn.text for turn in reversed(turns) if turn.kind is Kind.USER), "")
        # A plain goodbye ends the talk without the model, which had no occasion to describe it.
        outcome = "informational" if way_out(last, ("say_goodbye",)) else "interrupted"
        told = describe(without_numbers(turns), self._lines, outcome=outcome)
        if "facts" in (response_schema or {}).get("properties", {}):
            told |= review(turns, self._lines)
        return json.dumps(told, ensure_ascii=False)

    async def _stream(
        self, move: Say | CallTool, turns: Sequence[Turn]
    ) -> AsyncGenerator[ChatCompletionChunk]:
        answer_id = f"rehearsal-{uuid.uuid4()}"
        deltas = _deltas(move)
        for index, delta in enumerate(deltas):
            await asyncio.sleep(self._between_tokens_secs if index else self._first_token_secs)
            yield _chunk(answer_id, [Choice(index=0, delta=delta)])
        reason = "tool_calls" if isinstance(move, CallTool) else "stop"
        yield _chunk(answer_id, [Choice(index=0, delta=ChoiceDelta(), finish_reason=reason)])
        asked = sum(len(turn.text.split()) for turn in turns)
        yield _chunk(
            answer_id,
            [],
            CompletionUsage(
                prompt_tokens=asked,
                completion_tokens=len(deltas),
                total_tokens=asked + len(deltas),
            ),
        )


def _offered(context: LLMContext) -> list[OfferedTool]:
    tools = context.tools
    return [
        OfferedTool(tool.name, tool.description, tool.properties, tool.required)
        for tool in (tools.standard_tools if is_given(tools) else ())
    ]


@cache
def functions_of_flow() -> set[str]:
    """The functions of the flow: whatever else is offered is a tool.

    Reads a file the first time, which takes too long beside a call: `warm_up` asks for them.
    """
    return names_of_flow()[1]


def _deltas(move: Say | CallTool) -> list[ChoiceDelta]:
    if isinstance(move, Say):
        return [ChoiceDelta(content=piece) for piece in _PIECE.findall(move.text)]
    named = ChoiceDeltaToolCall(
        index=0,
        id=f"call_{uuid.uuid4().hex[:24]}",
        type="function",
        function=ChoiceDeltaToolCallFunction(name=move.name, arguments=""),
    )
    arguments = ChoiceDeltaToolCall(
        index=0,
        function=ChoiceDeltaToolCallFunction(
            arguments=json.dumps(move.arguments, ensure_ascii=False)
        ),
    )
    return [ChoiceDelta(tool_calls=[named]), ChoiceDelta(tool_calls=[arguments])]


def _chunk(
    answer_id: str, choices: list[Choice], usage: CompletionUsage | None = None
) -> ChatCompletionChunk:
    return ChatCompletionChunk(
        id=answer_id,
        choices=choices,
        created=int(time.time()),
        model=_MODEL,
        object="chat.completion.chunk",
        usage=usage,
    )
