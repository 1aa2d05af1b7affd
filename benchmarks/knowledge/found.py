"""Which share of the questions finds its passage, and what is given where there is none."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.knowledge.corpora import KINDS, MANUALS, Manual, fetch, questions, unanswerable
from sonora_app.knowledge.adding import Progress, add_files
from sonora_app.knowledge.candidates import Candidates, find_candidates
from sonora_app.knowledge.database import open_index
from sonora_app.knowledge.embedding import LocalEmbedder
from sonora_app.knowledge.index import Index
from sonora_app.knowledge.late_interaction import likenesses
from sonora_app.knowledge.questions import as_written, cleaned, with_names
from sonora_app.knowledge.ranking import (
    CLOSELY,
    GIVEN_FROM,
    fits,
    fitting,
    order,
    order_closely,
)
from sonora_app.knowledge.snapshot import load


def build(folder: Path) -> Path:
    """The index of all manuals together; what is in it already is not made again."""
    path = folder / "knowledge.db"
    index, embedder = Index(path), LocalEmbedder()
    for manual in MANUALS:
        print(f"{manual.name} …", flush=True)
        add_files(index, fetch(manual, folder), embedder, progress=Progress())
    index.close()
    return path


@dataclass(frozen=True)
class AskedQuestion:
    """A question that was asked.

    Parameters:
        text: The question.
        kind: Its kind.
        manual: The manual that answers it; None where none does.
        right: The numbers of the passages that answer it.
        candidates: What may answer it.
        ordered: Their indexes, the likeliest first, before words are compared one by one.
        late: How alike the words of the first of these are to those of the question.
    """

    text: str
    kind: str
    manual: Manual | None
    right: set[int]
    candidates: Candidates
    ordered: list[int]
    late: list[float]


class Asked:
    """All questions, each with its candidates and the numbers of the passages that answer it."""

    def __init__(self, path: Path) -> None:
        """Ask them of the index at `path`."""
        self._connection, self._embedder = open_index(path), LocalEmbedder()
        self.snapshot = load(self._connection, self._embedder.model)
        content = {
            number: _folded(text)
            for number, text in self._connection.execute("SELECT number, content FROM passages")
        }
        self.answerable: list[AskedQuestion] = []
        for each in questions():
            wanted = [_folded(answer) for answer in each.answers]
            right = {n for n, text in content.items() if any(w in text for w in wanted)}
            self.answerable.append(self._ask(each.text, each.kind, each.manual, right))
        self.others = [self._ask(text, kind, None, set()) for kind, text in unanswerable()]
        self._connection.close()

    def _ask(self, text: str, kind: str, manual: Manual | None, right: set[int]) -> AskedQuestion:
        question = with_names(cleaned(text), self.snapshot.vocabulary)
        meaning = self._embedder.question(as_written(question)) if question else None
        vector = meaning.vector if meaning else None
        candidates = find_candidates(self._connection, self.snapshot, question, vector, None)
        ordered, _ = order(candidates)
        first = [candidates.numbers[index] for index in ordered[:CLOSELY]]
        late = likenesses(self._connection, first, meaning.words) if meaning else []
        return AskedQuestion(text, kind, manual, right, candidates, ordered, late or [])


def report(asked: Asked) -> str:
    """The table of what is found, by kind and by manual."""
    hits: dict[str, list[bool]] = defaultdict(list)
    held: dict[str, list[bool]] = defaultdict(list)
    given: dict[str, list[bool]] = defaultdict(list)
    for question in asked.answerable:
        best, likely = _best(question)
        found = bool(question.right & set(best))
        for name in ("all", question.kind, question.manual.name if question.manual else ""):
            hits[name].append(found)
            if question.manual and question.manual.held_out:
                held[name].append(found)
        given["answerable"].append(likely >= GIVEN_FROM)
    for other in asked.others:
        passed = _best(other)[1] >= GIVEN_FROM
        given[other.kind].append(passed)
        given["not answerable"].append(passed)
    lines = [f"{len(asked.snapshot)} passages, {len(asked.answerable)} questions", ""]
    lines += ["| | found among 3 | of the manuals held out |", "|---|---|---|"]
    for name in ("all", *KINDS, *(manual.name for manual in MANUALS)):
        lines.append(f"| {name} | {_share(hits[name])} | {_share(held[name])} |")
    lines += ["", "| passages given in a turn | |", "|---|---|"]
    lines += [f"| {name} | {_share(values)} |" for name, values in given.items()]
    return "\n".join(lines)


def _best(asked: AskedQuestion) -> tuple[list[int], float]:
    candidates = asked.candidates
    ordered, scores = order(candidates)
    if not ordered:
        return [], 0.0
    likely = fits(fitting(candidates, ordered[0], float(scores[ordered[0]])))
    closely = order_closely(candidates, ordered, asked.late)
    return [candidates.numbers[index] for index in closely[:3]], likely


def _share(values: list[bool]) -> str:
    return f"{np.mean(values):.0%} of {len(values)}" if values else "–"


def _folded(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()
