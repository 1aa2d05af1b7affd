"""Tells what the model is asked, request by request, just before it is sent."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, cast

from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMInvocationParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.llm import OpenAILLMService

OnAsked = Callable[[Mapping[str, Any], bool], None]
"""Is told the parameters of a request, and whether it is made beside the talk. It may keep none of
the objects in them: they change."""

_aside: ContextVar[bool] = ContextVar("sonora_asked_aside", default=False)


class OverheardLLMService(OpenAILLMService):
    """OpenAI's chat completions, whose requests somebody may follow.

    Attributes:
        on_asked: Who is told; None: nobody.
    """

    on_asked: OnAsked | None = None

    def build_chat_completion_params(
        self, params_from_context: OpenAILLMInvocationParams
    ) -> dict[str, Any]:
        """Build a request, and tell of it."""
        # Pipecat's annotation says no more than `dict`.
        params = cast(dict[str, Any], super().build_chat_completion_params(params_from_context))
        if self.on_asked is not None:
            self.on_asked(params, _aside.get())
        return params

    async def run_inference(self, context: LLMContext, *args: Any, **kwargs: Any) -> str | None:  # noqa: ANN401  # Pipecat's
        """Ask for something beside the talk."""
        mark = _aside.set(True)
        try:
            return await super().run_inference(context, *args, **kwargs)
        finally:
            _aside.reset(mark)
