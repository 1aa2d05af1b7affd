"""Cartesia, which has said some lines before they are due. See `kept_speech.py`."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from pipecat.frames.frames import Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.services.cartesia.tts import CartesiaTTSService

from sonora_app.kept_speech import Speech, Words, keep, kept, request_key


class KeptLinesCartesiaTTSService(CartesiaTTSService):
    """Speaks lines at once that were made ahead, in this call or an earlier one of the process.

    Args:
        ahead: Lines to have made while the call is set up.
        **kwargs: As for `CartesiaTTSService`.
    """

    def __init__(self, *, ahead: Sequence[str] = (), **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service."""
        super().__init__(**kwargs)
        self._ahead = ahead
        self._making: asyncio.Task[None] | None = None
        # The contexts that Cartesia knows nothing of.
        self._own_contexts: set[str] = set()

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Connect, and have the lines made meanwhile."""
        await super().setup(setup)
        if self._ahead:
            self._making = self.create_task(self._speak_ahead(), "speak_ahead")

    async def cleanup(self) -> None:
        """Stop making lines."""
        making, self._making = self._making, None
        if making is not None:
            await self.cancel_task(making)
        await super().cleanup()

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None]:
        """Speak `text`, from what is kept if it is there."""
        speech = kept(request_key(self._build_msg(text=text)))
        if speech is None:
            # Pipecat's tracing takes its type away.
            ordinary = cast(AsyncGenerator[Frame | None], super().run_tts(text, context_id))
            async for frame in ordinary:
                yield frame
            return
        self._own_contexts.add(context_id)
        await self.start_tts_usage_metrics(text)
        await self._play(speech, context_id)
        yield None

    async def flush_audio(self, context_id: str | None = None) -> None:
        """Tell Cartesia that a context ends, unless it has not heard of it."""
        if context_id not in self._own_contexts:
            await super().flush_audio(context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Cancel a context at Cartesia, unless it has not heard of it."""
        if context_id in self._own_contexts:
            self._own_contexts.discard(context_id)
            await self.stop_all_metrics()
            return
        await super().on_audio_context_interrupted(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Forget a context."""
        self._own_contexts.discard(context_id)
        await super().on_audio_context_completed(context_id)

    async def _speak_ahead(self) -> None:
        for line in self._ahead:
            await keep(
                self._build_msg(text=line, continue_transcript=False, context_id="ahead"),
                url=self._url,
                headers={
                    "X-API-Key": self._api_key,
                    "Cartesia-Version": self._cartesia_version,
                },
            )

    async def _play(self, speech: Speech, context_id: str) -> None:
        for part in speech:
            if isinstance(part, Words):
                times = self._normalize_word_timestamps(list(part.words), list(part.starts_secs))
                await self.add_word_timestamps(times, context_id)
                continue
            await self.append_to_audio_context(
                context_id,
                TTSAudioRawFrame(part, self.sample_rate, num_channels=1, context_id=context_id),
            )
        await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
        await self.remove_audio_context(context_id)
