"""Gives the model passages from documents.

The search runs in a thread while the user still speaks: it starts on the words recognised so far,
and is repeated as they grow. The passages that fit are added to the request for the answer. The
request waits for the search for the user's complete question, at most `SONORA_KNOWLEDGE_SECS`.
After that it is sent without passages. The passages are not stored in the context.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, cast

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from sonora_app.call.context.question import question_of, role_of
from sonora_app.call.services import CallServices
from sonora_app.errors import SonoraError
from sonora_app.flow.lines import Lines
from sonora_app.knowledge.questions import asks, cleaned
from sonora_app.knowledge.records import HEADING_JOIN, Findings, Found
from sonora_app.page.protocol import Source, Sources
from sonora_app.settings import Settings

_REMEMBERED = 8
"""How many searches of a turn are kept, until its request comes."""

_MARK = re.compile(r"<(?=[\s/]*passage)", re.IGNORECASE)
"""What a model may take for the mark of a passage, however it is written."""


class KnowledgeSearch(Protocol):
    """Finds passages; never on the event loop."""

    async def find(self, question: str, user_id: str | None = None, *, limit: int = 3) -> Findings:
        """The passages that are likeliest to answer `question`, for this user.

        Raises:
            SonoraError: It cannot be searched.
        """
        ...

    def missed(self, question: str, user_id: str | None) -> None:
        """Remember that nothing was found for a question."""
        ...


@dataclass(frozen=True)
class Grounded:
    """What a request was given.

    Parameters:
        findings: What was found; None where the search failed or was late.
        state: What came of it.
        waited_ms: How long the request waited for it, in milliseconds.
    """

    findings: Findings | None
    state: Literal["given", "none", "late", "failed"]
    waited_ms: float

    @property
    def given(self) -> tuple[Found, ...]:
        """The passages that were in the request."""
        return self.findings.given if self.findings is not None else ()


class Grounding(FrameProcessor):
    """Stands before the model, and puts passages into its requests.

    Args:
        search: Finds the passages.
        lines: Gives the fixed lines, in the call's language.
        within_secs: How long a request waits for its passages, in seconds.
    """

    def __init__(
        self,
        search: KnowledgeSearch,
        *,
        lines: Callable[[], Lines],
        within_secs: float,
    ) -> None:
        """Search from here on."""
        super().__init__()
        self._search = search
        self._lines = lines
        self._user_id: str | None = None
        self._within_secs = within_secs
        self._finals: list[str] = []
        self._searches: dict[str, asyncio.Task[Findings]] = {}
        self._newest: str | None = None
        self._awaited: set[asyncio.Task[Findings]] = set()
        self._failed = False
        self._grounded: Grounded | None = None
        self._looked_up: Grounded | None = None
        self._late: list[LLMContextMessage] = []

    def called_by(self, user_id: str | None) -> None:
        """The conversation was opened for this user: their own documents are searched as well."""
        self._user_id = user_id

    # --- What is heard

    def turn_began(self) -> None:
        """The person begins to speak: what was looked for before is of no use any more."""
        self._finals.clear()
        self._forget()

    def heard(self, text: str, *, final: bool) -> None:
        """Search for what was recognised so far in this turn."""
        said = " ".join([*self._finals, text])
        if final:
            self._finals.append(text)
        asked = cleaned(said)
        if not asked or asked in self._searches:
            return
        if any(not task.done() for task in self._searches.values()):
            # The newest waits; those between are never looked for.
            self._newest = asked
            return
        self._begin(asked)

    def take(self) -> Grounded | None:
        """What the answer that begins now was given; each is told once."""
        grounded, self._grounded, self._looked_up = self._grounded, None, None
        return grounded

    async def look_up(self, question: str) -> str:
        """The passages for a question that the model asks itself, delimited; empty if none fits."""
        found = await self._ground(question)
        given = found.given if found is not None else ()
        self._looked_up = found if given else self._looked_up
        return "\n".join(_quoted(each) for each in given)

    def expect(self, message: LLMContextMessage) -> None:
        """A message that tells what came of a tool: it goes on with what the person asked."""
        self._late.append(message)

    # --- What is asked of the model

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Put passages into a request, and pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            question = question_of(frame.context.get_messages(), self._late)
            grounded = await self._ground(question) if question else None
            if grounded is not None and grounded.given:
                # The same frame: its id tells the model which guess was withdrawn.
                frame.context = self._with_passages(frame.context, grounded.given)
            # What the model looked up itself is in the result of its function.
            self._grounded = _together(self._looked_up, grounded)
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """End what still searches."""
        await super().cleanup()
        self._forget()

    async def _ground(self, question: str) -> Grounded | None:
        asked = cleaned(question)
        if not asked:
            return None
        began = time.monotonic()
        task = self._searches.get(asked) or self._begin(asked)
        self._awaited.add(task)
        findings: Findings | None = None
        state: Literal["given", "none", "late", "failed"]
        try:
            async with asyncio.timeout(self._within_secs):
                findings = found = await asyncio.shield(task)
            state = "given" if found.given else "none"
        except TimeoutError:
            state = "late"
        except SonoraError as error:
            state = "failed"
            if not self._failed:
                self._failed = True
                logger.warning(f"Answers go on without documents: {error}")
        finally:
            self._awaited.discard(task)
        if state == "none" and asks(asked):
            self._search.missed(asked, self._user_id)
        return Grounded(findings, state, (time.monotonic() - began) * 1000)

    def _begin(self, asked: str) -> asyncio.Task[Findings]:
        self._newest = None
        while len(self._searches) >= _REMEMBERED:
            self._searches.pop(next(iter(self._searches)))
        task = asyncio.create_task(
            self._search.find(asked, self._user_id), name="sonora-knowledge-search"
        )
        task.add_done_callback(self._ended)
        self._searches[asked] = task
        return task

    def _ended(self, task: asyncio.Task[Findings]) -> None:
        # Looked at, so that nobody is told of an exception that was never retrieved.
        if task.cancelled() or task.exception() is not None:
            self._searches = {a: each for a, each in self._searches.items() if each is not task}
        if self._newest is not None and self._newest not in self._searches:
            self._begin(self._newest)

    def _forget(self) -> None:
        self._newest = None
        for task in self._searches.values():
            # A request that waits for its passages goes out with them, whoever speaks meanwhile.
            if task not in self._awaited:
                task.cancel()
        self._searches.clear()

    def _with_passages(self, context: LLMContext, given: Sequence[Found]) -> LLMContext:
        messages = list(context.get_messages())
        told = self._lines().text(
            "prompt.passages", {"passages": "\n".join(_quoted(each) for each in given)}
        )
        last = max(i for i, message in enumerate(messages) if role_of(message) == "user")
        messages.insert(last, cast(LLMContextMessage, {"role": "developer", "content": told}))
        return LLMContext(messages=messages, tools=context.tools, tool_choice=context.tool_choice)


def sources_event(grounded: Grounded) -> Sources:
    """What the page is told of a search."""
    findings = grounded.findings
    return Sources(
        state=grounded.state,
        question=findings.question if findings else "",
        sources=[
            Source(
                passage_id=found.passage.id,
                document_id=found.passage.document_id,
                document=found.passage.title,
                heading=HEADING_JOIN.join(found.passage.headings),
                page=found.passage.page,
                link=found.passage.link,
                content=found.passage.content,
                score=round(found.score, 3),
            )
            for found in grounded.given
        ],
        took_ms=round(findings.took_ms, 1) if findings else 0.0,
        waited_ms=round(grounded.waited_ms, 1),
    )


class WordsObserver(BaseObserver):
    """Tells the search what is being recognised."""

    def __init__(self, grounding: Grounding) -> None:
        """Watch for `grounding`."""
        super().__init__(observe_every_push=False)
        self._grounding = grounding

    async def on_push_frame(self, data: FramePushed) -> None:
        """Pass on words as they come."""
        match data.frame:
            case UserStartedSpeakingFrame() if data.direction is FrameDirection.DOWNSTREAM:
                self._grounding.turn_began()
            case InterimTranscriptionFrame():
                self._grounding.heard(data.frame.text, final=False)
            case TranscriptionFrame():
                self._grounding.heard(data.frame.text, final=True)
            case _:
                pass


def build_grounding(
    search: KnowledgeSearch | None,
    services: CallServices,
    settings: Settings,
) -> Grounding | None:
    """What has a call answer from documents; None where there are none."""
    if search is None:
        return None
    return Grounding(
        search,
        lines=lambda: services.lines,
        within_secs=settings.knowledge_secs,
    )


def observers_of(grounding: Grounding | None) -> list[BaseObserver]:
    """What tells it the words that are recognised."""
    return [WordsObserver(grounding)] if grounding is not None else []


def _together(looked_up: Grounded | None, grounded: Grounded | None) -> Grounded | None:
    """What an answer was given by its request, and before that by what the model looked up."""
    if looked_up is None or looked_up.findings is None:
        return grounded
    known = {found.passage.id for found in looked_up.given}
    more = [found for found in grounded.given if found.passage.id not in known] if grounded else []
    findings = replace(looked_up.findings, given=(*looked_up.given, *more))
    return replace(looked_up, findings=findings)


def _quoted(found: Found) -> str:
    """A passage, delimited. It is data: what looks like the mark of its end is taken out."""
    passage = found.passage
    page = f", p. {passage.page}" if passage.page else ""
    where = HEADING_JOIN.join((passage.title, *passage.headings)) + page
    where = where.replace('"', "'").replace("<", "(").replace(">", ")")
    content = _MARK.sub("(", passage.content)
    return f'<passage source="{where}">\n{content}\n</passage>'
