"""What a call does with what is remembered of the person who talks: tells, keeps, forgets it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol
from uuid import UUID

from loguru import logger
from pipecat.pipeline.worker import PipelineWorker

from sonora_app.call.beginning.opening import OpenedConversation, OpeningRequest
from sonora_app.call.context import fitting_lines
from sonora_app.call.context.forgetting import forget_everything
from sonora_app.call.context.memory_use import opening_recall, shown
from sonora_app.call.context_changes import replaced_in_context, transformed
from sonora_app.errors import StorageError
from sonora_app.flow.lines import Lines
from sonora_app.memories.facts import end_of_day
from sonora_app.memories.permission import Permission
from sonora_app.memories.person import Person, Source
from sonora_app.memories.prompt import memory_prompt
from sonora_app.memories.review import Review, SaidTurn, apply_review
from sonora_app.page.protocol import Event, MemoryEnded, MemoryKept
from sonora_app.page.rtvi import ScreenedRTVIProcessor
from sonora_app.settings import Settings
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import AnyMemory, Memory
from sonora_app.storage.store import Known, Recall, Store


class RememberingCall(Protocol):
    """The parts of a call that remembering uses. See `Call`."""

    settings: Settings
    page: ScreenedRTVIProcessor
    worker: PipelineWorker
    opened: OpenedConversation | None
    recorder: Recorder | None

    @property
    def lines(self) -> Lines:
        """See `Call.lines`."""
        ...

    def forget_summaries(self) -> str:
        """See `Call.forget_summaries`."""
        ...


class Remembering:
    """The person of one call. Until a conversation is open there is none.

    Args:
        call: The call.
        store: Where memories are kept.

    Attributes:
        person: Who talks, as far as is known.
    """

    def __init__(self, call: RememberingCall, store: Store) -> None:
        """Know nobody yet."""
        self._call = call
        self._store = store
        self.person: Person | None = None
        self._told = ""
        self._ever_told: set[str] = set()
        self._turns: list[SaidTurn] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._forgot_until = 0
        self._over = False
        self._name: str | None = None
        self._unfollow: Callable[[], None] = lambda: None

    def begin(
        self, opened: OpenedConversation, request: OpeningRequest, known: Known
    ) -> OpenedConversation:
        """Know who talks. What the call writes from here on goes through its recorder.

        Args:
            opened: The conversation.
            request: What asked for it.
            known: What is remembered of who asks.

        Returns:
            The conversation, with the name that the person has given.
        """
        recorder = self._call.recorder
        if recorder is None:
            raise RuntimeError("the call records nothing yet")
        permission = Permission(self._call.settings.memory, request.proven, known.remembers)
        person = Person(request.user_id, permission, known, write=recorder.keep, listener=self)
        self.person = person
        if permission.proven:
            changes = self._store.memory_changes
            self._unfollow = changes.follow(
                request.user_id,
                self._written_of_person,
                known=lambda: [memory.id for _, memory in person.facts],
            )
        self._name = person.name
        return fitting_lines.named(opened, person.name or opened.facts.name)

    def learn(self, known: Known) -> None:
        """Take in what could not be read in time."""
        if self.person is not None:
            self.person.learn(known)

    def prompt(self) -> str:
        """What the model is told, from here on."""
        self._told = memory_prompt(self.person, self._call.lines)
        self._ever_told.add(self._told)
        return self._told

    async def read(self, recall: Recall) -> Known:
        """Read what is remembered of the person.

        Raises:
            StorageError: It cannot be read.
        """
        if self.person is None:
            return Known()
        return await self._store.known(self.person.user_id, recall)

    async def read_again(self) -> None:
        """Know again what was let go of, since the person wants to be remembered after all."""
        if self.person is not None and self.person.permission.uses:
            self.person.learn(await self.read(opening_recall(self._call.settings)))

    # --- For the flow's handlers

    def remember(self, fact: str, *, until: str, replaces: int, name: str) -> dict[str, Any]:
        """Keep a fact that the person told; what the model is told of it."""
        person = self.person
        if person is None or not person.permission.uses:
            return {"status": "off", "note": "Nothing may be kept about this person."}
        if person.permission.asks:
            return {"status": "ask_first", "note": "Ask whether you may remember things."}
        if not self._turns:
            return {"status": "refused", "note": "The person has not said anything yet."}
        try:
            ends = end_of_day(until)
        except ValueError:
            return {"status": "refused", "note": "until is a day, as YYYY-MM-DD."}
        kept = person.keep(
            fact,
            self._source(),
            until=ends,
            replaces=person.facts.get(replaces),
            name=name,
        )
        return {"status": "kept" if kept else "known_already"}

    async def forget(self, about: str, numbers: list[int], *, everything: bool) -> dict[str, Any]:
        """Forget facts, once it is clear which; what the model is told of it."""
        person = self.person
        if person is None or not person.permission.proven:
            return {"status": "nothing_found"}
        if everything:
            told = await forget_everything(person, self.read)
            if told["status"] != "failed":
                self._forgot_until = len(self._turns)
            return told
        chosen = [memory for n in numbers if (memory := person.facts.get(n)) is not None]
        if not chosen:
            await self._look_for(about)
            found = person.facts.about(about)
            if len(found) > 1:
                return {"status": "which", "found": self._listed(found)}
            chosen = found
        if not chosen:
            return {"status": "nothing_found"}
        listed = self._listed(chosen)
        person.forget(chosen)
        return {"status": "forgotten", "facts": [each["fact"] for each in listed]}

    def allow(self, allowed: bool) -> dict[str, Any]:
        """Note whether the person wants to be remembered; what the model is told of it."""
        if self.person is None or not self.person.permission.proven:
            return {"status": "off", "note": "Nothing may be kept about this person."}
        self.person.choose(allowed)
        return {"status": "may_remember" if allowed else "off"}

    # --- What is said

    def user_said(self, message_id: UUID, text: str) -> None:
        """The person said something: facts may come from it, and others be about it."""
        self._turns.append(SaidTurn(message_id, text))
        recall = self.person.recall_about(text) if self.person else None
        if recall is not None:
            self._do(self._find(recall), name="sonora-recall")

    @property
    def told_now(self) -> str:
        """What the model is told of the person, word for word; empty before it is told."""
        return self._told

    def is_told_in(self, text: str) -> bool:
        """Whether `text` of the prompt tells it, or what was told before and is on its way out."""
        return any(told in text for told in self._ever_told)

    @property
    def turns(self) -> tuple[SaidTurn, ...]:
        """What the person said in this call."""
        return tuple(self._turns)

    @property
    def reviews(self) -> bool:
        """Whether what the call told of the person is to be asked for once it is over."""
        return bool(self._turns) and self.person is not None and self.person.permission.keeps

    def review(self, review: Review) -> None:
        """Keep what the request after the call told."""
        if self.person is not None:
            # What was said before everything was to be forgotten is not learned from.
            facts = [each for each in review.facts if each.said_in > self._forgot_until]
            left = review.model_copy(update={"facts": facts})
            apply_review(left, self.person, self._turns, self._source())

    def close(self) -> None:
        """The call is over: nothing is looked for or told any more."""
        self._over = True
        for task in self._tasks:
            task.cancel()

    def end(self) -> None:
        """The call is kept: nothing more is told of the person."""
        self._unfollow()

    # --- Listener

    def memory_kept(self, memory: Memory, replaced: Memory | None) -> None:
        """Tell the page."""
        self._tell(MemoryKept(memory=shown(memory), replaces=replaced and replaced.id))

    def memory_ended(self, memory: Memory, *, forgotten: bool) -> None:
        """Tell the page. What sums up the talks may tell it too; of this one it is made anew."""
        self._tell(MemoryEnded(id=memory.id, forgotten=forgotten))
        if forgotten:
            self._replace(self._call.forget_summaries(), "")

    def memory_changed(self) -> None:
        """Have the model know it from its next answer on."""
        old, self._told = self._told, memory_prompt(self.person, self._call.lines)
        self._ever_told.add(self._told)
        self._replace(old, self._told)
        if self.person is not None and self.person.name != self._name:
            self._call_them(self.person.name)

    def _call_them(self, name: str | None) -> None:
        """Have the model know the person by another name, or by none, than what it was told."""
        self._name, opened = name, self._call.opened
        if opened is not None:
            self._call.opened = fitting_lines.named(opened, name)
            told = (fitting_lines.user(self._call.lines, o) for o in (opened, self._call.opened))
            self._replace(*told)

    def _written_of_person(self, records: Sequence[AnyMemory]) -> None:
        """Know what was written of the person, by another call perhaps, or in the console."""
        if self.person is not None and self.person.take_in(records):
            self._do(self._know_again(), name="sonora-know-again")

    async def _know_again(self) -> None:
        try:
            await self.read_again()
        except StorageError as error:
            logger.info(f"What is remembered cannot be read again: {error}")

    def _do(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _replace(self, old: str, new: str) -> None:
        """Have the model be told `new` in the place of `old`."""
        if self._over or not old or old == new:
            return
        frame = transformed(replaced_in_context(old, new))
        self._do(self._call.worker.queue_frame(frame), name="sonora-retell")

    def _tell(self, event: Event) -> None:
        if not self._over:
            self._call.page.tell_soon(event)

    def _source(self) -> Source:
        opened = self._call.opened
        return Source(
            "call",
            message_id=self._turns[-1].message_id if self._turns else None,
            conversation_id=opened and opened.conversation_id,
            language=self._call.lines.language.value,
        )

    def _listed(self, memories: list[Memory]) -> list[dict[str, Any]]:
        person = self.person
        return [
            {"number": person and person.facts.number_of(each), "fact": each.content}
            for each in memories
        ]

    async def _look_for(self, about: str) -> None:
        recall = self.person.recall_about(about, asked=True) if self.person else None
        if recall is None:
            return
        try:
            async with asyncio.timeout(self._call.settings.history_secs):
                await self._find(recall)
        except TimeoutError:
            logger.info("What is remembered could not be looked through in time")

    async def _find(self, recall: Recall) -> None:
        try:
            known = await self.read(recall)
        except StorageError as error:
            logger.info(f"What is remembered cannot be looked through: {error}")
            return
        if self.person is not None:
            self.person.found(known)
