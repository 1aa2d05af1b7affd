"""Builds the services of a call: recogniser, model, voice and turn detection.

On a developer's machine, a stand-in replaces each vendor whose key is missing.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from pipecat.frames.frames import Frame
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.pipeline.service_switcher import ServiceSwitcher
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.turns.user_stop import (
    ExternalUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from sonora_app.flow.lines import Lines
from sonora_app.settings import Language, Settings, Vendor
from sonora_app.storage.records import JsonObject
from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.detectors import Silero, build_silero, build_smart_turn
from sonora_app.turns.expectations.grammar import Expectations
from sonora_app.turns.language_listener import LanguageListener
from sonora_app.turns.own_words import OwnWords
from sonora_app.turns.proposed_start import ProposedTurnStart
from sonora_app.turns.proposed_stop import ProposedTurnStop
from sonora_app.turns.replies.grammar import Replies
from sonora_app.turns.start import OverBotTurnStart
from sonora_app.turns.stop import ForeseeingTurnStop
from sonora_app.vendors.failover import FailoverAtOnce

if TYPE_CHECKING:
    # Not needed, and slow to import, in rehearsal.
    from sonora_app.vendors.openai.switcher import ModelFailover


class _StandIn(Protocol):
    """A stand-in whose words are fixed lines."""

    def set_lines(self, lines: Lines) -> None: ...


@dataclass
class CallServices:
    """What one call hears, thinks and speaks with.

    Parameters:
        stt: Speech recognition.
        llm: The language model, with its fallback if there is one.
        tts: Speech synthesis, with its fallback if there is one.
        vad: Tells speech from silence.
        turns: Decide when the user's turn starts and ends.
        speech: The bot's speech, which a sound of the user's may hold back.
        language_listener: Notices that the user speaks the other language; None where the call
            keeps to one.
        lines: The fixed lines, in the call's language.
        stand_ins: The vendors that are stood in for.
        local: The vendors whose part a model on this machine does.
        settings: The settings that they were built by.
    """

    stt: STTService
    llm: "OpenAILLMService | LLMSwitcher[ModelFailover]"
    tts: TTSService | ServiceSwitcher[FailoverAtOnce]
    vad: Silero
    turns: UserTurnStrategies
    speech: BotSpeech
    language_listener: LanguageListener | None
    lines: Lines
    stand_ins: frozenset[Vendor]
    local: frozenset[Vendor]
    settings: Settings

    def played(self, vendors: Iterable[Vendor] = Vendor) -> JsonObject:
        """Which of the parts are no vendor's, as it is kept with what they did.

        Args:
            vendors: The parts that were used.
        """
        services = {Vendor.STT: self.stt, Vendor.TTS: self.tts}
        played = frozenset(
            vendor
            for vendor, service in services.items()
            if vendor in self.local and not getattr(service, "is_real", True)
        )
        parts = {"stand_ins": self.stand_ins | played, "local": self.local - played}
        return {kind: sorted(those) for kind, of in parts.items() if (those := of & {*vendors})}

    @property
    def models(self) -> list[Any]:
        """The language model, and its fallback if there is one."""
        return [*self.llm.llms] if isinstance(self.llm, LLMSwitcher) else [self.llm]

    def tokens_aside(self) -> JsonObject:
        """How many tokens the model took beside the talk: for summaries, and what is remembered."""
        counts = [each for llm in self.models if (each := getattr(llm, "aside", None)) is not None]
        return {
            "summary_prompt_tokens": sum(each.prompt for each in counts),
            "summary_completion_tokens": sum(each.completion for each in counts),
        }

    def speak_in(self, language: Language) -> list[Frame]:
        """Change the call's language: swap the lines, and give what tells the services."""
        from sonora_app.vendors.build import language_frames

        self.lines = Lines(language)
        if self.language_listener is not None:
            self.language_listener.expect(language)
        for strategy in self.turns.stop or ():
            if isinstance(strategy, ForeseeingTurnStop):
                strategy.expectations = Expectations(language, self.speech.asked)
        for strategy in self.turns.start or ():
            if isinstance(strategy, OverBotTurnStart):
                strategy.words.replies = Replies(language)
        for vendor, service in ((Vendor.STT, self.stt), (Vendor.LLM, self.llm)):
            if vendor in self.stand_ins or (vendor is Vendor.STT and vendor in self.local):
                cast(_StandIn, service).set_lines(self.lines)
        return language_frames(self.settings, self.stt, self.tts, language)


async def build_services(settings: Settings, language: Language) -> CallServices:
    """Build the services of a call.

    Making the clients' TLS contexts, and in the first call loading the two turn-detection models,
    takes some tenths of a second of computing, so all of it is done off the event loop.

    Args:
        settings: The settings.
        language: What is spoken at first.
    """
    return await asyncio.to_thread(_build, settings, language)


def _build(settings: Settings, language: Language) -> CallServices:
    lines = Lines(language)
    stand_ins = settings.stand_ins()
    speech = BotSpeech()
    vad, turns = _turn_detection(settings, language, stand_ins, speech)
    return CallServices(
        stt=_stt(settings, lines, stand_ins, speech),
        llm=_llm(settings, lines, stand_ins),
        tts=_tts(settings, lines, stand_ins),
        vad=vad,
        turns=turns,
        speech=speech,
        language_listener=LanguageListener(language) if settings.hears_change else None,
        lines=lines,
        stand_ins=stand_ins,
        local=settings.local_parts(),
        settings=settings,
    )


def _turn_detection(
    settings: Settings, language: Language, stand_ins: frozenset[Vendor], speech: BotSpeech
) -> tuple[Silero, UserTurnStrategies]:
    silero = build_silero()
    by_deepgram = Vendor.STT not in stand_ins and not settings.hears_locally
    if settings.uses_flux and by_deepgram:
        proposed = ProposedTurnStart(speech, Replies(language))
        over = ProposedTurnStop if settings.answer_early else ExternalUserTurnStopStrategy
        return silero, UserTurnStrategies(start=[proposed], stop=[over()])
    smart_turn = build_smart_turn(stop_secs=settings.unfinished_secs)
    if settings.answer_early:
        expectations = Expectations(language, speech.asked)
        stop = ForeseeingTurnStop(smart_turn, silero, expectations)
    else:
        stop = TurnAnalyzerUserTurnStopStrategy(turn_analyzer=smart_turn)
    start = OverBotTurnStart(speech, Replies(language), tells_interims=by_deepgram)
    return silero, UserTurnStrategies(start=[start], stop=[stop])


def _stt(
    settings: Settings, lines: Lines, stand_ins: frozenset[Vendor], speech: BotSpeech
) -> STTService:
    if settings.hears_locally:
        from sonora_app.local.hearing import hearing
        from sonora_app.local.stt import LocalSTTService

        return LocalSTTService(lines, hearing, either=settings.hears_change)
    if Vendor.STT in stand_ins:
        from sonora_app.rehearsal.stt import RehearsalSTTService

        return RehearsalSTTService(lines)
    from sonora_app.vendors.build import build_stt

    own = OwnWords(speech)
    return build_stt(
        settings, lines.language, users_words=own.leave_out, count_others=own.count_own
    )


def _llm(
    settings: Settings, lines: Lines, stand_ins: frozenset[Vendor]
) -> "OpenAILLMService | LLMSwitcher[ModelFailover]":
    if Vendor.LLM in stand_ins:
        from sonora_app.rehearsal.llm import RehearsalLLMService

        return RehearsalLLMService(lines)
    from sonora_app.llm import build_llm

    return build_llm(settings)


def _tts(
    settings: Settings, lines: Lines, stand_ins: frozenset[Vendor]
) -> TTSService | ServiceSwitcher[FailoverAtOnce]:
    if settings.speaks_locally:
        from sonora_app.local.speaking import speaking
        from sonora_app.local.tts import LocalTTSService

        return LocalTTSService(lines.language, speaking)
    if Vendor.TTS in stand_ins:
        from sonora_app.rehearsal.tts import RehearsalTTSService

        return RehearsalTTSService(lines.language)
    from sonora_app.vendors.build import build_tts

    return build_tts(settings, lines.language, ahead=lines.spoken_ahead())
