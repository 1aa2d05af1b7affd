"""Counts the tokens of what is asked beside the talk: summaries, and what is to be remembered."""

from typing import Any

import httpx

from sonora_app.vendors.openai.answers import usage_of


class TokensAside:
    """The tokens of answers that come whole. Pipecat reports those of answers that stream.

    Attributes:
        prompt: Of the requests.
        cached: Those of the requests that the vendor had in its cache.
        completion: Of the answers.
    """

    def __init__(self) -> None:
        """Count from nothing."""
        self.prompt = 0
        self.cached = 0
        self.completion = 0

    async def count(self, response: httpx.Response) -> None:
        """Count one response, if it is such an answer. A hook of the HTTP client."""
        if not response.headers.get("content-type", "").startswith("application/json"):
            return
        await response.aread()
        try:
            answer: Any = response.json()
        except ValueError:
            return
        used = usage_of(answer.get("usage")) if isinstance(answer, dict) else None  # pyright: ignore
        if used is not None:
            self.prompt += used["prompt_tokens"]
            self.cached += used["prompt_tokens_details"]["cached_tokens"]
            self.completion += used["completion_tokens"]
