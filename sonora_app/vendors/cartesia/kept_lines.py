"""A Cartesia service that has some lines spoken before they are due. See `kept_speech.py`."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, cast

from pipecat.frames.frames import Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.services.cartesia.tts import CartesiaTTSService

from sonora_app.vendors.cartesia.kept_speech import Speech, Words, keep, kept, request_key

CONNECT_SECS = 2.0
"""How long connecting to Cartesia may take; the start of a call waits for it."""


class KeptLinesCartesiaTTSService(CartesiaTTSService):
    """Speaks lines at once that were made ahead, in this call or an earlier one of the process.

    A text that only begins with such a line begins at once too: Cartesia speaks the rest of it
    meanwhile, in the same audio context, and the words of the rest are timed from its beginning.

    Args:
        ahead: Lines to have made while the call is set up, the most wanted first.
        **kwargs: As for `CartesiaTTSService`.
    """

    def __init__(self, *, ahead: Sequence[str] = (), **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service."""
        super().__init__(**kwargs)
        # What it connected to, and the headers that it did so with.
        self._connects_with: tuple[str, dict[str, str]] | None = None
        self._ahead = ahead
        self._making: asyncio.Task[None] | None = None
        # How much of a context was played from what is kept, in seconds, and the contexts that
        # Cartesia knows of.
        self._kept_secs: dict[str, float] = {}
        self._asked: set[str] = set()

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
        """Speak `text`, or what it begins with, from what is kept."""
        rest = text
        # What is kept would come between the words that Cartesia is speaking.
        if context_id not in self._asked:
            for line, speech in self._kept_lines(text):
                rest = text[len(line) :].strip()
                await self.start_tts_usage_metrics(line)
                await self._play(speech, context_id)
                break
        if not rest:
            yield None
            return
        self._asked.add(context_id)
        # Pipecat's tracing takes its type away.
        ordinary = cast(AsyncGenerator[Frame | None], super().run_tts(rest, context_id))
        async for frame in ordinary:
            yield frame

    async def flush_audio(self, context_id: str | None = None) -> None:
        """Tell Cartesia that a context ends, or end it where Cartesia has not heard of it."""
        if context_id is None or not self._is_own(context_id):
            await super().flush_audio(context_id)
            return
        await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
        await self.remove_audio_context(context_id)

    async def add_word_timestamps(
        self,
        word_times: list[tuple[str, float]],
        context_id: str | None = None,
        includes_inter_frame_spaces: bool | None = None,
        pre_merge_tokens: bool = False,
    ) -> None:
        """Add words, timed from where their part of the context begins."""
        before_secs = self._kept_secs.get(context_id or "", 0.0)
        await super().add_word_timestamps(
            [(word, secs + before_secs) for word, secs in word_times],
            context_id,
            includes_inter_frame_spaces,
            pre_merge_tokens,
        )

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Cancel a context at Cartesia, unless it has not heard of it."""
        is_own = self._is_own(context_id)
        self._forget(context_id)
        if is_own:
            await self.stop_all_metrics()
            return
        await super().on_audio_context_interrupted(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Forget a context."""
        self._forget(context_id)
        await super().on_audio_context_completed(context_id)

    def _is_own(self, context_id: str) -> bool:
        return context_id in self._kept_secs and context_id not in self._asked

    def _forget(self, context_id: str) -> None:
        self._kept_secs.pop(context_id, None)
        self._asked.discard(context_id)

    def _kept_lines(self, text: str) -> Iterator[tuple[str, Speech]]:
        """The lines that are kept and that `text` is, or begins with, the longest first."""
        beginnings = [line for line in self._ahead if text.startswith(f"{line} ")]
        for line in (text, *sorted(beginnings, key=len, reverse=True)):
            speech = kept(request_key(self._build_msg(text=line)))
            if speech is not None:
                yield line, speech

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:  # noqa: ANN401
        self._connects_with = uri, kwargs["additional_headers"]
        return await super()._websocket_connect(uri, open_timeout=CONNECT_SECS, **kwargs)

    async def _speak_ahead(self) -> None:
        if self._connects_with is None:
            return
        url, headers = self._connects_with
        for line in self._ahead:
            await keep(
                self._build_msg(text=line, continue_transcript=False, context_id="ahead"),
                url=url,
                headers=headers,
            )

    async def _play(self, speech: Speech, context_id: str) -> None:
        played_secs = 0.0
        for part in speech:
            if isinstance(part, Words):
                times = list(zip(part.words, part.starts_secs, strict=True))
                await self.add_word_timestamps(times, context_id)
                continue
            audio = TTSAudioRawFrame(part, self.sample_rate, num_channels=1, context_id=context_id)
            played_secs += audio.num_frames / audio.sample_rate
            await self.append_to_audio_context(context_id, audio)
        self._kept_secs[context_id] = self._kept_secs.get(context_id, 0.0) + played_secs
