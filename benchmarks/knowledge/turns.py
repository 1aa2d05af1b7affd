"""Voice to voice of answers from documents.

Four bots have the same calls, by turns: Sonora with documents, the same Sonora without, and what
`pipecat init` makes with a tool that searches the same documents, once with an embeddings API and
once without. Both of Sonora's keep their conversations in Supabase, behind a proxy that holds every
request back; the tool's database is there as well.
"""

import re
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loguru import logger

from benchmarks.contenders import Contender, Sonora
from benchmarks.figures import Figure, milliseconds
from benchmarks.joining import serving_supabase
from benchmarks.knowledge.corpora import questions
from benchmarks.knowledge.retrieval import EMBEDDING_SECS, TOOL, RetrievingScaffold, name_of
from benchmarks.resources import resident_mb
from benchmarks.turns import Turn, take_turn
from benchmarks.utterance import Utterance
from benchmarks.vendors import GREETING, REALISTIC, Vendors, serving_vendors
from simulators.clients.webrtc import Page, page
from simulators.vendors.openai import ChatRequest, Reply, ToolCall
from sonora_app.call.context.question import question_of
from sonora_app.knowledge.search import Search
from tests.supabase.proxy import Fault

DATABASE_SECS = 0.080

UNGROUNDED, GROUNDED = "Sonora without documents", "Sonora"
_TARGETS = {UNGROUNDED: 1.03, name_of(embeds=True): 0.48, name_of(embeds=False): 0.48}
_PRESENT_TARGET = 0.99

TURNS = 5
"""How many turns a call has that count; one before them is not counted."""

_ANSWER = "Según el manual, se cambia en la página de ajustes. ¿Quieres que te diga los pasos?"
_DESCRIPTION = '{"title": "Prueba", "summary": "Una prueba.", "topics": ["prueba"]}'
_ROOM_NOISE = 10.0
"""Of a quiet room, 70 dB below the loudest."""


@dataclass
class Talks:
    """What was measured.

    Parameters:
        turns: The turns of each bot.
        needed: How many turns with documents had a question that they answer.
        present: In how many of those all the passages of the final words were in the request.
        waited_ms: How long their requests waited for passages, in milliseconds.
        memory_mb: What each bot's process holds in the end, in MB.
    """

    turns: dict[str, list[Turn]] = field(default_factory=dict[str, list[Turn]])
    needed: int = 0
    present: int = 0
    waited_ms: list[float] = field(default_factory=list[float])
    memory_mb: dict[str, float] = field(default_factory=dict[str, float])

    def report(self) -> str:
        """The table, in Markdown."""
        rows = [
            "| voice to voice | median, ms | range | turns | requests | cut | ratio | target |",
            "|---|---|---|---|---|---|---|---|",
        ]
        rows += [self._row(name) for name in (GROUNDED, *_TARGETS)]
        share = self.present / self.needed if self.needed else 0.0
        waited = Figure(name="", unit="ms", values={GROUNDED: self.waited_ms}).median(GROUNDED)
        longest = max(self.waited_ms, default=0.0)
        return "\n".join(
            [
                *rows,
                "",
                f"The passages of the final words were in the request in {self.present} of "
                f"{self.needed} turns that need some: {share:.1%} (target: {_PRESENT_TARGET:.0%}). "
                f"Requests waited for them {waited or 0:.1f} ms in the median, {longest:.1f} at "
                "most.",
                "",
                "Memory of each process after these calls: "
                f"{', '.join(f'{name} {mb:.0f} MB' for name, mb in self.memory_mb.items())}.",
            ]
        )

    def _row(self, name: str) -> str:
        taken = self.turns[name]
        # A turn that was cut in two has no end of speech to count from.
        both = {
            bot: milliseconds([turn.total_secs for turn in self.turns[bot] if not turn.cut])
            for bot in (name, GROUNDED)
        }
        median, values = Figure(name=name, unit="ms", values=both).median(name) or 0.0, both[name]
        ours = Figure(name=name, unit="ms", values=both).median(GROUNDED) or 0.0
        target = _TARGETS.get(name)
        return " | ".join(
            [
                f"| {name}",
                f"{median:.0f}",
                f"{min(values, default=0):.0f}–{max(values, default=0):.0f}",
                str(len(taken)),
                f"{sum(turn.requests for turn in taken) / len(taken):.1f}",
                str(sum(turn.cut for turn in taken)),
                f"{ours / median:.3f}" if target and median else "",
                f"≤ {target:g} |" if target else " |",
            ]
        )


async def measure_turns(
    contenders: Sequence[Contender],
    index: Path,
    asked: Sequence[str],
    *,
    rounds: int,
    turns: int = TURNS,
    uncounted: int = 1,
) -> Talks:
    """Ask all bots the same questions aloud, a call each by turns.

    Args:
        contenders: The bots.
        index: The documents, embedded.
        asked: The questions, of which each call has the next ones.
        rounds: How many calls each bot has.
        turns: How many turns of a call count.
        uncounted: How many turns come before them.
    """
    talks = Talks()
    search = Search(index)
    async with AsyncExitStack() as stack:
        vendors = await stack.enter_async_context(serving_vendors())
        vendors.delay(REALISTIC)
        vendors.openai.model = _model
        vendors.openai.embedding_secs = EMBEDDING_SECS
        bots = [
            (contender, await stack.enter_async_context(contender.running(vendors)))
            for contender in contenders
        ]
        for number in range(rounds):
            chosen = (asked[(number * turns + n) % len(asked)] for n in range(-uncounted, turns))
            said = [await Utterance.spoken(text) for text in chosen]
            # Each goes first as often as the others.
            for each in range(len(bots)):
                contender, bot = bots[(number + each) % len(bots)]
                async with page(bot.url, noise=_ROOM_NOISE) as client:
                    await contender.join(client)
                    for utterance in said[:uncounted]:
                        await take_turn(client, vendors, utterance)
                    for utterance in said[uncounted:]:
                        await _take(contender, client, vendors, utterance, talks, search)
        talks.memory_mb = {contender.name: resident_mb(bot) for contender, bot in bots}
    await search.aclose()
    return talks


@asynccontextmanager
async def all_contenders(folder: Path, index: Path) -> AsyncGenerator[list[Contender]]:
    """The four bots, and their database.

    Args:
        folder: For what they write.
        index: The documents, embedded.
    """
    async with serving_supabase() as (proxy, supabase):
        proxy.always(Fault(latency_secs=DATABASE_SECS))
        without = Sonora(folder / "without", supabase)
        without.name = UNGROUNDED
        grounded = Sonora(folder / "grounded", supabase)
        # Where it looks for them.
        shutil.copy(index, folder / "grounded" / "knowledge.db")
        tools = [
            RetrievingScaffold(folder / f"scaffold-{embeds}", index, supabase, embeds=embeds)
            for embeds in (True, False)
        ]
        yield [*tools, without, grounded]


async def answered_questions(index: Path) -> list[str]:
    """The benchmark's plain questions, by manuals in turn, for which passages are given."""
    search = Search(index)
    by_manual: dict[str, list[str]] = {}
    for question in questions():
        if question.kind == "plain" and (await search.find(question.text)).given:
            by_manual.setdefault(question.manual.name, []).append(question.text)
    await search.aclose()
    longest = max(map(len, by_manual.values()))
    return [each[n] for n in range(longest) for each in by_manual.values() if n < len(each)]


def _model(request: ChatRequest) -> Reply:
    """Answer; or search first, where there is a tool for that and nothing was searched yet."""
    if not request.body.get("stream"):
        return Reply(_DESCRIPTION, first_token_secs=REALISTIC.first_token)
    if request.messages[-1]["role"] == "user" and TOOL in request.tools:
        return _reply(calls=(ToolCall(TOOL, {"question": request.last_said}),))
    return _reply(_ANSWER if request.last_said else GREETING)


def _reply(text: str = "", calls: tuple[ToolCall, ...] = ()) -> Reply:
    first, each = REALISTIC.first_token, REALISTIC.token
    return Reply(text, calls, first_token_secs=first, token_secs=each)


async def _take(
    contender: Contender,
    client: Page,
    vendors: Vendors,
    utterance: Utterance,
    talks: Talks,
    search: Search,
) -> None:
    """A turn; and where there are documents, whether its request had what they hold."""
    told = len(client.events("sources"))
    turn = await take_turn(client, vendors, utterance)
    talks.turns.setdefault(contender.name, []).append(turn)
    logger.info(f"{contender.name}: {turn}")
    if contender.name != GROUNDED:
        return
    talks.waited_ms += [event["waited_ms"] for event in client.events("sources")[told:]]
    messages = [body["messages"] for body in vendors.openai.bodies if body["stream"]][-1]
    question = question_of(messages)
    needed = [_words(found.passage.content) for found in (await search.find(question)).given]
    if not needed:
        return
    talks.needed += 1
    told_of = _words("\n".join(str(m["content"]) for m in messages if m["role"] == "developer"))
    if all(content in told_of for content in needed):
        talks.present += 1
    else:
        logger.warning(f"without its passages: {question}")


def _words(text: str) -> str:
    """A text without its marks, of which a quoted passage has others."""
    return " ".join(re.findall(r"\w+", text))
