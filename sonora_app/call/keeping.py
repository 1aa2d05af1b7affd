"""Keeps what was said in a call when it ends: its last records, and a summary."""

import asyncio
import contextlib
from dataclasses import dataclass

from loguru import logger
from pipecat.processors.aggregators.llm_context import LLMContext

from sonora_app.call.call import Call
from sonora_app.call.ending.summary import Description, LookBack, described_in_words, look_back
from sonora_app.call.measuring.metrics import CallMetrics
from sonora_app.call.turn_recording import TurnWatcher
from sonora_app.errors import ErrorCode
from sonora_app.flow.version import flow_version
from sonora_app.reports.cost import cost_of
from sonora_app.reports.prices import load_prices
from sonora_app.settings import Vendor
from sonora_app.storage.records import EndReason, JsonObject, SessionUpdate, utc_now
from sonora_app.storage.store import Store

_WRITTEN_SECS = 1.0
"""How long the summary waits for what was said to be written first, in seconds: whoever comes back
meanwhile waits for that alone."""

_FAILURES = frozenset(
    {
        ErrorCode.MODEL_UNAVAILABLE,
        ErrorCode.VOICE_UNAVAILABLE,
        ErrorCode.HEARING_UNAVAILABLE,
        ErrorCode.SPEECH_DROPPED,
        ErrorCode.MEMORY_UNAVAILABLE,
        ErrorCode.STORAGE_UNAVAILABLE,
        ErrorCode.INTERNAL,
    }
)
"""The notices that tell of a failure, which are counted with the call."""


@dataclass(frozen=True)
class KeptCall:
    """A call that had a conversation, as it is kept: how it ended, and its metrics."""

    reason: EndReason
    metrics: JsonObject


class Keeping:
    """Keeps one call.

    Args:
        call: The call.
        store: Where it is kept.
        turns: Records what is said.
        metrics: What the call used.
        context: What the model was told.

    Attributes:
        kept: The call, once it is kept.
    """

    def __init__(
        self,
        call: Call,
        store: Store,
        turns: TurnWatcher,
        metrics: CallMetrics,
        context: LLMContext,
    ) -> None:
        """Set up; `run` keeps the call once it has ended."""
        self._call = call
        self._store = store
        self._turns = turns
        self._metrics = metrics
        self._context = context
        self._flow_version = flow_version()
        self._by: float | None = None
        self._summed_up_elsewhere = False
        self._erased = False
        self._is_kept = asyncio.Event()
        self.kept: KeptCall | None = None

    def hurry(self, within_secs: float) -> None:
        """There are only so many seconds left, from now on."""
        self._by = asyncio.get_running_loop().time() + within_secs

    def leave_summary(self) -> None:
        """Another call goes on with the conversation: that one sums up what was talked about."""
        self._summed_up_elsewhere = True

    def leave_words(self) -> None:
        """All there is of the user is being erased: make nothing more of what was said."""
        self._erased = True

    async def is_kept(self, *, within_secs: float) -> None:
        """Wait until what was said is kept on this machine, for so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_secs):
                await self._is_kept.wait()

    async def run(self, reason: EndReason) -> None:
        """Keep the call, which has ended for `reason`."""
        call, settings = self._call, self._call.settings
        call.stop_reading()
        self._turns.record_typed()
        recorder = call.recorder
        if recorder is None:
            self._is_kept.set()
            return
        # First the end itself: the summary takes a while, and the host may not wait for it.
        ended_at, used = utc_now(), self.used()
        recorder.end(reason, metrics=used, at=ended_at, leaves=call.left_as(reason))
        await recorder.drain(timeout_secs=self._still(_WRITTEN_SECS))
        self._is_kept.set()
        if told := await self._look_back():
            description = told.description or self._in_their_words()
            # Whoever is being erased may be so since it was asked for.
            if description is not None and self._describes and not self._erased:
                recorder.describe(**description.model_dump())
            if told.review is not None and not self._erased:
                call.memory.review(told.review)
        if call.opened is not None and not self._erased and (by_now := self.used()) != used:
            ended = SessionUpdate(
                id=call.opened.session_id, ended_at=ended_at, end_reason=reason, metrics=by_now
            )
            recorder.keep([ended])
        await call.sound.close()
        await call.tools.finish(self._still(call.tools.longest_secs))
        await call.showing.attachments.settle(timeout_secs=self._still(settings.drain_secs))
        await recorder.aclose(timeout_secs=self._still(settings.drain_secs))
        self.kept = KeptCall(reason, self.used())
        call.stop_reporting()
        if left := await self._store.settle(timeout_secs=self._still(settings.drain_secs)):
            logger.warning(f"{left} records stay in the journal until Supabase takes them")
        logger.info(f"Session ended ({reason}); conversation {recorder.conversation_id} is closed")

    def used(self) -> JsonObject:
        """What the call used so far, as it is kept with it."""
        call = self._call
        used = self._metrics.usage.used(call.services)
        cost = cost_of(used, load_prices(call.settings.prices_file))
        failures = {code: count for code, count in call.page.notices.items() if code in _FAILURES}
        return {
            **self._metrics.as_json(),
            **call.services.tokens_aside(),
            "usage": [each.model_dump(mode="json", exclude_none=True) for each in used],
            "cost": cost.model_dump(mode="json"),
            "failures": failures,
            "flow_version": self._flow_version,
        }

    @property
    def _describes(self) -> bool:
        return self._call.undescribed and not self._summed_up_elsewhere

    async def _look_back(self) -> LookBack | None:
        """Look back on what was said, where that is of use."""
        call = self._call
        if self._erased or not (self._describes or call.memory.reviews):
            return None
        return await look_back(
            call.services.llm,
            self._context,
            language=call.lines.text("prompt.language"),
            # Half of what is left: the description has to be written, too.
            timeout_secs=self._still(call.settings.summary_secs, share=0.5),
            person=call.memory.person if call.memory.reviews else None,
            turns=call.memory.turns,
            forgotten=self._forgotten,
        )

    @property
    def _forgotten(self) -> tuple[str, ...]:
        """What the person had forgotten in this call."""
        person = self._call.memory.person
        return person.forgotten if person is not None else ()

    def _in_their_words(self) -> Description | None:
        """What was talked about, where a weak model cannot tell. A vendor's can in a later call."""
        call = self._call
        # Their own words would tell what they had forgotten.
        if Vendor.LLM not in call.services.local or self._forgotten:
            return None
        said = [
            str(message.get("content"))
            for message in self._context.get_messages()
            if isinstance(message, dict) and message.get("role") == "user"
        ]
        return described_in_words(said, call.lines)

    def _still(self, secs: float, *, share: float = 1.0) -> float:
        """How much of `secs` a step of closing may take, where the process does not wait for it."""
        if self._by is None:
            return secs
        left = self._by - asyncio.get_running_loop().time()
        return min(secs, max(0.0, left * share))
