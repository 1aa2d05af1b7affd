"""What a call does when a vendor fails.

Each service notices lost answers or speech, and whether it is out of order
(`openai/requests.py`, `cartesia/voice.py`, `deepgram/connection.py`, all in `vendors/`). A switcher
changes to the fallback (`vendors/failover.py`). This module decides what the bot says and what the
page is told. It ends a call through the flow's event `service_failed`, except where no farewell
could be heard.

- An answer is lost: the fallback is asked for it, where there is one and nothing of it was said;
  otherwise the bot apologises. Where the model refused what was asked, the fallback stays for that
  turn only. When the model is out of order, the call ends politely.
- Speech is lost: the bot apologises once the voice is back. When the voice is out of order, the
  page is told in writing, and the call ends, because the bot can no longer speak.
- Another part fails, such as the transport's sending side: the page is told that the call is over,
  and the call ends at once. Nobody would hear a farewell.
- The user's speech is not recognised: the bot first asks to hear it again. If that fails too, or
  Deepgram is out of order, the bot says that it cannot hear and that one can type. The call goes on
  in writing, and by voice as soon as Deepgram hears again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

from loguru import logger
from pipecat.frames.frames import ErrorFrame, TTSSpeakFrame
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.pipeline.service_switcher import ServiceSwitcher
from pipecat.processors.frame_processor import FrameProcessor

from sonora_app.call.call import Call
from sonora_app.call.ending.leaving import fail
from sonora_app.errors import ErrorCode
from sonora_app.flow.driver import Move
from sonora_app.settings import Vendor
from sonora_app.storage.records import EndReason
from sonora_app.vendors.failover import SPEECH_LOST

if TYPE_CHECKING:
    # Not needed, and slow to import, in rehearsal.
    from sonora_app.vendors.openai.requests import BoundedOpenAILLMService
    from sonora_app.vendors.openai.switcher import InformedLLMSwitcher, ModelFailover

_RECOVERY_SECS = (0.5, 2.0)
"""How long the voice is given to come back before each apology in a row."""

_TOLD_SECS = 8.0
"""Who was told this long ago that nobody can be heard is not told again, in seconds: they have said
something before they knew."""


class Failures:
    """Answers for the vendors of one call.

    Args:
        call: The call.
    """

    def __init__(self, call: Call) -> None:
        """Follow the call's services from here on."""
        self._call = call
        self._asked_again = False
        self._speech_lost = 0
        self._deaf = False
        self._told_deaf_at = float("-inf")
        self._unheard = 0
        services = call.services
        call.driver.moved.add(self._moved)
        self._llms = cast("list[BoundedOpenAILLMService]", _members(services.llm))
        self._voices = _members(services.tts)
        if Vendor.LLM not in services.stand_ins:
            for llm in self._llms:
                llm.add_event_handler("on_late", self._late)
                llm.add_event_handler("on_begun", self._begun)
        if Vendor.STT not in services.stand_ins | services.local:
            services.stt.add_event_handler("on_unheard", self._nothing_heard)
            services.stt.add_event_handler("on_usable_changed", self._hearing_changed)
        if isinstance(services.llm, LLMSwitcher):
            services.llm.strategy.add_event_handler("on_service_switched", self._model_switched)
        if isinstance(services.tts, ServiceSwitcher):
            services.tts.strategy.add_event_handler("on_service_switched", self._voice_switched)

    async def failed(self, error: ErrorFrame) -> None:
        """A service reported an error that no fallback took care of."""
        services, source = self._call.services, error.processor
        if source in (*self._llms, services.llm):
            await self._answer_lost()
        elif source in (*self._voices, services.tts) and (
            error.error == SPEECH_LOST or not services.tts.is_usable
        ):
            await self._speech_broke_off()
        elif source is not None and source is not services.stt and not source.is_usable:
            await self._call_lost(source)

    async def _moved(self, move: Move) -> None:
        """What failed while the call waited is told now."""
        services = self._call.services
        # Whoever comes back is put where the talk was, without a greeting.
        begins = move.from_node == "waiting" and move.to_node != "farewell"
        if begins and not (services.llm.is_usable and services.tts.is_usable):
            self._call.page.create_task(self._end(), "end_for_want_of_a_service")
        listens = move.to_node == "conversation" or (begins and move.to_node != "greeting")
        if listens and not services.stt.is_usable and not self._deaf:
            self._call.page.create_task(self._cannot_hear(), "cannot_hear")

    # --- The model

    async def _late(self, llm: BoundedOpenAILLMService) -> None:
        call = self._call
        if call.reply_by_voice and not call.user_muted:
            # From the model itself, so that it comes before the answer.
            line = call.lines.text("hold_on")
            await llm.push_frame(TTSSpeakFrame(text=line, append_to_context=True))

    async def _begun(self, _: BoundedOpenAILLMService) -> None:
        self._asked_again = False

    @property
    def _has_begun(self) -> bool:
        """Whether anything of the answer asked for last was said."""
        return Vendor.LLM not in self._call.services.stand_ins and any(
            llm.begun for llm in self._llms
        )

    async def _model_switched(self, strategy: ModelFailover, llm: FrameProcessor) -> None:
        if strategy.gone_back:
            return
        until = "in this turn" if strategy.stands_in else "from here on"
        logger.warning(f"The model {llm.name} answers {until}")
        if self._has_begun or self._asked_again:
            await self._answer_lost()
        else:
            self._asked_again = True
            await cast("InformedLLMSwitcher", self._call.services.llm).ask_again()

    async def _answer_lost(self) -> None:
        call = self._call
        self._asked_again = False
        if not call.services.llm.is_usable:
            await self._end()
        elif not call.user_muted:
            line = call.lines.text("apology.cut_off" if self._has_begun else "apology.answer")
            await self._tell(ErrorCode.MODEL_UNAVAILABLE, line)
            await call.say(line)

    # --- The voice

    async def _voice_switched(self, _: object, voice: FrameProcessor) -> None:
        logger.warning(f"The voice {voice.name} speaks from here on")
        await self._speech_broke_off()

    async def _speech_broke_off(self) -> None:
        call = self._call
        if not call.services.tts.is_usable:
            await self._end()
        elif not call.user_muted:
            line = call.lines.text("apology.voice")
            await self._tell(ErrorCode.VOICE_UNAVAILABLE, line)
            pause = _RECOVERY_SECS[min(self._speech_lost, len(_RECOVERY_SECS) - 1)]
            self._speech_lost += 1
            await asyncio.sleep(pause)
            await call.say(line)

    def speech_heard(self) -> None:
        """The bot was heard to say something to its end."""
        self._speech_lost = 0

    # --- Hearing

    async def _hearing_changed(self, _: object, is_usable: bool) -> None:
        if is_usable and self._deaf:
            self._deaf = False
            line = self._call.lines.text("hearing.back")
            await self._tell(ErrorCode.HEARING_RESTORED, line)
            await self._call.say(line)
        elif not is_usable and self._call.driver.node not in ("waiting", "greeting"):
            await self._cannot_hear()

    async def _nothing_heard(self, _: object) -> None:
        if self._call.user_muted:
            return
        self._unheard += 1
        if self._deaf or self._unheard > 1:
            await self._cannot_hear()
        else:
            line = self._call.lines.text("apology.unheard")
            await self._tell(ErrorCode.HEARING_UNAVAILABLE, line)
            await self._call.say(line)

    def user_heard(self) -> None:
        """What the user said was recognised."""
        self._unheard = 0

    async def _cannot_hear(self) -> None:
        call = self._call
        told_secs = time.monotonic() - self._told_deaf_at
        if call.user_muted or (self._deaf and told_secs < _TOLD_SECS):
            return
        self._told_deaf_at = time.monotonic()
        self._deaf = self._deaf or not call.services.stt.is_usable
        line = call.lines.text("hearing.lost")
        await self._tell(ErrorCode.HEARING_UNAVAILABLE, line)
        await call.say(line)

    # --- All of them

    async def _end(self) -> None:
        """End the call because it cannot go on."""
        call = self._call
        usable = call.services.tts.is_usable
        if call.driver.can("service_failed"):
            code = ErrorCode.MODEL_UNAVAILABLE if usable else ErrorCode.VOICE_UNAVAILABLE
            await self._tell(code, call.lines.text(f"farewell.{EndReason.ERROR}"))
        await fail(call)
        if call.driver.node == "farewell" and not usable:
            # The call ends when its farewell was heard, which this one never is.
            await call.hang_up()

    async def _call_lost(self, source: FrameProcessor) -> None:
        """End the call at once: a part of it that nobody stands in for, such as the transport's
        sending side, can no longer do its work, and so nothing more would be heard."""
        logger.error(f"{source.name} can no longer do its work, and the call ends")
        await self._call.tell_end(EndReason.ERROR)
        await self._call.worker.cancel(reason=f"{source.name} can no longer do its work")

    async def _tell(self, code: ErrorCode, message: str) -> None:
        await self._call.page.notify(code, message)


def _members(service: FrameProcessor) -> list[FrameProcessor]:
    return service.services if isinstance(service, ServiceSwitcher) else [service]
