"""The ears and the voice: Deepgram and Cartesia.

What is set on purpose, and why:

- The language, always: Deepgram and Cartesia take English when none is given.
- Deepgram connects while the call is set up, and again after a drop or a refusal (`hearing.py`).
- Cartesia's word timestamps are on (Pipecat asks for them), so that what is remembered of an
  answer is what was heard of it, also when Cartesia breaks off in mid-sentence.
- Markdown that the model lets slip is taken out before it is spoken.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextProgressFrame,
    ErrorFrame,
    Frame,
    STTUpdateSettingsFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.pipeline.service_switcher import ServiceSwitcher
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language as PipecatLanguage
from pipecat.utils.text.transforms import strip_markdown
from websockets.protocol import State

from sonora_app.clauses import ClauseAggregator
from sonora_app.failover import SPEECH_LOST, FailoverAtOnce
from sonora_app.hearing import LastingDeepgramSTTService, LastingFluxSTTService
from sonora_app.kept_lines import KeptLinesCartesiaTTSService
from sonora_app.settings import Language, Settings, SpeechModel, Vendor
from sonora_app.turns.recogniser import PromptDeepgramSTTService

NATIVE_VOICES = {
    # Latin American Spanish, the voice of Sonora since its first version.
    Language.ES: "5c5ad5e7-1020-476b-8b91-fdcbe9cc313c",
    # "Katie", the American English voice that Cartesia recommends for voice agents
    # (https://docs.cartesia.ai/build-with-cartesia/tts-models/latest).
    Language.EN: "f786b574-daa5-4673-aa0c-cbe3e8534c02",
}
"""Cartesia's voice for each language, when `CARTESIA_VOICE_ID` names none."""

FLUX_MODEL = "flux-general-multi"
"""The Flux model that knows Spanish."""


MAX_LOST = 3
"""How much speech in a row may be lost before the voice counts as out of order."""

CONNECT_SECS = 2.0
"""How long connecting to Cartesia may take; the start of a call waits for it."""


class HeardCartesiaTTSService(KeptLinesCartesiaTTSService):
    """Cartesia, of which no more is remembered than was heard.

    Speech may end early: the connection drops, nothing comes for some seconds, a text cannot be
    sent. Pipecat then takes the rest of the text for spoken, and does not tell that the speech
    ended, so that a greeting would never be over. Here the rest is forgotten and the end is told.

    Audio contexts, which is what Pipecat calls the speech of one turn, play one after another.

    Args:
        **kwargs: As for `KeptLinesCartesiaTTSService`.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # Pipecat's signature
        """Create the service; it connects when it is set up."""
        super().__init__(**kwargs)
        # Where Cartesia's service sets its own.
        self._text_aggregator = ClauseAggregator(aggregation_type=self._text_aggregation_mode)
        # Of the context that plays: whether Cartesia said that all of it is there, and whether a
        # text of it could not be sent.
        self._complete = False
        self._failed = False
        self._lost_in_a_row = 0
        self._connecting = asyncio.Lock()
        # By context, the connection that its last text went out on.
        self._sent_on: dict[str, object] = {}

    async def _connect_websocket(self) -> None:
        # After a drop, a text that is to be spoken connects as well as the task that listens:
        # with two connections, one would speak and the other be listened to.
        async with self._connecting:
            await super()._connect_websocket()

    async def _synthesize_text(self, text: str, context_id: str) -> None:
        # Pipecat would put into the log what a voice that is unusable does not say.
        if self.is_usable:
            await super()._synthesize_text(text, context_id)
            self._sent_on[context_id] = self._websocket

    async def _handle_audio_context(self, context_id: str) -> None:
        self._complete = self._failed = False
        await super()._handle_audio_context(context_id)

    async def _push_audio_context_item(
        self,
        context_id: str,
        item: Any,  # noqa: ANN401  # a frame, or a type of Pipecat's own
        playback: Any,  # noqa: ANN401
    ) -> None:
        if isinstance(item, ErrorFrame):
            self._failed = True
        elif isinstance(item, TTSStoppedFrame):
            if self._failed:
                return  # told when the context ends
            self._complete = True
        await super()._push_audio_context_item(context_id, item, playback)

    async def _apply_force_complete(self, context_id: str) -> None:
        if self._complete:
            await super()._apply_force_complete(context_id)
            return
        last_pts = self._word_timestamp_tracker.last_pts
        for frame in self._aggregated_frame_sequencer.force_complete(context_id, last_pts):
            if not isinstance(frame, TTSTextFrame | AggregatedTextProgressFrame):
                await self.push_frame(frame)

    async def _end_audio_context(self, context_id: str, playback: Any) -> None:  # noqa: ANN401
        if not self._complete:
            await self._apply_force_complete(context_id)
            stopped = TTSStoppedFrame(context_id=context_id)
            # After the last word, as Pipecat has it when Cartesia tells the end.
            stopped.pts = self._word_timestamp_tracker.last_pts
            await self.push_frame(stopped)
            if (
                self._websocket is not None
                and self._websocket is self._sent_on.get(context_id)
                and self._websocket.state is State.OPEN
            ):
                # Nothing comes by a connection that is open: the next text gets a fresh one. One
                # made since is left alone; the next text may already be on it.
                self._websocket.transport.abort()
        self._sent_on.pop(context_id, None)
        await super()._end_audio_context(context_id, playback)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Forget a context that is cut short: it does not come to an end of its own."""
        self._sent_on.pop(context_id, None)
        await super().on_audio_context_interrupted(context_id)

    async def _record_context_audio_outcome(self, context_id: str, received_audio: bool) -> None:
        # Pipecat reports speech of which nothing was heard; speech that broke off is lost as well.
        if self._complete:
            self._lost_in_a_row = 0
        elif self.is_usable:
            self._lost_in_a_row += 1
            await self.push_error(
                SPEECH_LOST, force_treat_as_permanent=self._lost_in_a_row >= MAX_LOST
            )

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:  # noqa: ANN401
        return await super()._websocket_connect(uri, open_timeout=CONNECT_SECS, **kwargs)


def build_stt(settings: Settings, language: Language) -> STTService:
    """Speech recognition by Deepgram, for `language`.

    Args:
        settings: Must hold a key for it.
        language: What is spoken.
    """
    key = _key(settings, Vendor.STT)
    if settings.speech_model is SpeechModel.FLUX:
        base = settings.deepgram_base_url.rstrip("/") or "wss://api.deepgram.com"
        return LastingFluxSTTService(
            api_key=key,
            url=f"{base}/v2/listen",
            enable_eager_end_of_turn=settings.answer_early,
            settings=DeepgramFluxSTTService.Settings(
                model=FLUX_MODEL, language_hints=[PipecatLanguage(language)]
            ),
        )
    nova = PromptDeepgramSTTService if settings.answer_early else LastingDeepgramSTTService
    return nova(
        api_key=key,
        base_url=settings.deepgram_base_url,
        settings=DeepgramSTTService.Settings(
            model=settings.speech_model,
            language=PipecatLanguage(language),
            interim_results=True,
            punctuate=True,
            smart_format=True,
            numerals=True,
        ),
    )


def build_tts(
    settings: Settings, language: Language, *, ahead: Sequence[str] = ()
) -> TTSService | ServiceSwitcher[FailoverAtOnce]:
    """Speech synthesis by Cartesia, with a native voice of `language`, and its fallback if the
    settings name one.

    Args:
        settings: Must hold a key for it.
        language: What is spoken.
        ahead: Lines to have made before they are due.
    """
    first = _voice(
        settings,
        language,
        base_url=settings.cartesia_base_url,
        model=settings.cartesia_model,
        voice_id=voice(settings, language),
        ahead=ahead,
    )
    if not settings.has_fallback(Vendor.TTS):
        return first
    second = _voice(
        settings,
        language,
        base_url=settings.cartesia_fallback_base_url or settings.cartesia_base_url,
        model=settings.cartesia_fallback_model or settings.cartesia_model,
        voice_id=voice(settings, language, fallback=True),
    )
    return ServiceSwitcher([first, second], FailoverAtOnce)


def _voice(
    settings: Settings,
    language: Language,
    *,
    base_url: str,
    model: str,
    voice_id: str,
    ahead: Sequence[str] = (),
) -> TTSService:
    return HeardCartesiaTTSService(
        api_key=_key(settings, Vendor.TTS),
        url=f"{base_url.rstrip('/') or 'wss://api.cartesia.ai'}/tts/websocket",
        ahead=ahead,
        text_transforms=[("*", strip_markdown)],
        settings=HeardCartesiaTTSService.Settings(
            model=model, voice=voice_id, language=PipecatLanguage(language)
        ),
    )


def voice(settings: Settings, language: Language, *, fallback: bool = False) -> str:
    """The id of Cartesia's voice for `language`, or of the one that speaks when it cannot."""
    chosen = settings.cartesia_voice_id or NATIVE_VOICES[language]
    return (settings.cartesia_fallback_voice_id or chosen) if fallback else chosen


def language_frames(
    settings: Settings,
    stt: STTService,
    tts: TTSService | ServiceSwitcher[FailoverAtOnce],
    language: Language,
) -> list[Frame]:
    """What tells the vendors, in the middle of a call, to hear and speak `language`.

    Args:
        settings: The settings.
        stt: The call's recogniser, since Flux takes hints rather than a language.
        tts: The call's voice, since a fallback is told as well, and has a voice of its own.
        language: What is spoken from here on.
    """
    spoken = PipecatLanguage(language)
    if isinstance(stt, DeepgramFluxSTTService):
        heard = DeepgramFluxSTTService.Settings(language_hints=[spoken])
    else:
        heard = DeepgramSTTService.Settings(language=spoken)
    voices = tts.services if isinstance(tts, ServiceSwitcher) else [tts]
    return [
        STTUpdateSettingsFrame(delta=heard),
        *(
            TTSUpdateSettingsFrame(
                service=service,
                delta=CartesiaTTSService.Settings(
                    language=spoken, voice=voice(settings, language, fallback=number > 0)
                ),
            )
            for number, service in enumerate(voices)
        ),
    ]


def _key(settings: Settings, vendor: Vendor) -> str:
    key = settings.key(vendor)
    if key is None:
        raise ValueError(f"there is no key for {vendor}")
    return key.get_secret_value()
