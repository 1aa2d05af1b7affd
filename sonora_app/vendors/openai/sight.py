"""Repeats a request whose pictures were refused, without them.

A model that cannot see refuses the whole request, and so does one that does not like a picture. The
person would get no answer.
"""

from collections.abc import Sequence

from loguru import logger
from openai import APIStatusError, AsyncStream
from openai.types.chat import ChatCompletionChunk
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.processors.aggregators.llm_context import (
    LLMContext,
    LLMContextMessage,
    LLMContextToolChoice,
)
from pipecat.utils.types import NotGiven

from sonora_app.vendors.openai.verbatim import VerbatimLLMService

_REFUSED_WITH = (400, 404, 413, 415, 422)
"""What servers refuse pictures with. A gateway that finds no model that sees says 404."""


class ContextWithPictures(LLMContext):
    """A context for one request, with pictures in it.

    Args:
        messages: What the model is asked, with the pictures.
        unseen: The same, with words in their place that say that they cannot be seen.
        tools: As in any context.
        tool_choice: As in any context.
    """

    def __init__(
        self,
        messages: list[LLMContextMessage],
        unseen: Sequence[LLMContextMessage],
        tools: ToolsSchema | NotGiven,
        tool_choice: LLMContextToolChoice | NotGiven,
    ) -> None:
        """Create the context."""
        super().__init__(messages=messages, tools=tools, tool_choice=tool_choice)
        self._unseen = unseen

    def without_pictures(self) -> LLMContext:
        """The context to ask with where the pictures are refused."""
        return LLMContext(
            messages=list(self._unseen), tools=self.tools, tool_choice=self.tool_choice
        )


class SeeingLLMService(VerbatimLLMService):
    """OpenAI's chat completions, of which a request is sent again without refused pictures."""

    async def get_chat_completions(self, context: LLMContext) -> AsyncStream[ChatCompletionChunk]:
        """Ask for an answer; once more without the pictures, where the first was refused.

        Raises:
            openai.OpenAIError: The request was refused, or could not be sent.
        """
        try:
            return await super().get_chat_completions(context)
        except APIStatusError as refusal:
            if refusal.status_code not in _REFUSED_WITH:
                raise
            if not isinstance(context, ContextWithPictures):
                raise
            logger.warning(f"The model refused a request with pictures ({refusal.status_code})")
            return await super().get_chat_completions(context.without_pictures())
