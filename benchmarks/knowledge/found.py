"""Which share of the questions finds its passage, and what is given where there is none."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.knowledge.corpora import KINDS, MANUALS, Question, fetch, questions, unanswerable
from sonora_app.knowledge.adding import Progress, add_files
from sonora_app.knowledge.candidates import Candidates, find_candidates
from sonora_app.knowledge.database import open_index
from sonora_app.knowledge.embedding import LocalEmbedder
from sonora_app.knowledge.index import Index
from sonora_app.knowledge.questions import as_written, cleaned, with_names
from sonora_app.knowledge.ranking import GIVEN_FROM, fits, fitting, order
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


class Asked:
    """All questions, each with its candidates and the numbers of the passages that answer it."""

    def __init__(self, path: Path) -> None:
        """Ask them of the index at `path`."""
        connection, embedder = open_index(path), LocalEmbedder()
        self.snapshot = load(connection, embedder.model)
        content = {
            number: _folded(text)
            for number, text in connection.execute("SELECT number, content FROM passages")
        }

        def candidates(text: str) -> Candidates:
            question = with_names(cleaned(text), self.snapshot.vocabulary)
            vector = embedder.question(as_written(question)) if question else None
            return find_candidates(connection, self.snapshot, question, vector, None)

        self.answerable: list[tuple[Question, Candidates, set[int]]] = []
        for question in questions():
            wanted = [_folded(answer) for answer in question.answers]
            right = {n for n, text in content.items() if any(each in text for each in wanted)}
            self.answerable.append((question, candidates(question.text), right))
        self.others = [(kind, text, candidates(text)) for kind, text in unanswerable()]
        connection.close()


def report(asked: Asked) -> str:
    """The table of what is found, by kind and by manual."""
    hits: dict[str, list[bool]] = defaultdict(list)
    held: dict[str, list[bool]] = defaultdict(list)
    given: dict[str, list[bool]] = defaultdict(list)
    for question, candidates, right in asked.answerable:
        best, likely = _best(candidates)
        found = bool(right & set(best))
        for name in ("all", question.kind, question.manual.name):
            hits[name].append(found)
            if question.manual.held_out:
                held[name].append(found)
        given["answerable"].append(likely >= GIVEN_FROM)
    for kind, _, candidates in asked.others:
        passed = _best(candidates)[1] >= GIVEN_FROM
        given[kind].append(passed)
        given["not answerable"].append(passed)
    lines = [f"{len(asked.snapshot)} passages, {len(asked.answerable)} questions", ""]
    lines += ["| | found among 3 | of the manuals held out |", "|---|---|---|"]
    for name in ("all", *KINDS, *(manual.name for manual in MANUALS)):
        lines.append(f"| {name} | {_share(hits[name])} | {_share(held[name])} |")
    lines += ["", "| passages given in a turn | |", "|---|---|"]
    lines += [f"| {name} | {_share(values)} |" for name, values in given.items()]
    return "\n".join(lines)


def _best(candidates: Candidates) -> tuple[list[int], float]:
    ordered, scores = order(candidates)
    if not ordered:
        return [], 0.0
    likely = fits(fitting(candidates, ordered[0], float(scores[ordered[0]])))
    return [candidates.numbers[index] for index in ordered[:3]], likely


def _share(values: list[bool]) -> str:
    return f"{np.mean(values):.0%} of {len(values)}" if values else "–"


def _folded(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()
