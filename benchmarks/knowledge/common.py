"""What texts of all kinds have in common, and their words, for `sonora_app/knowledge/space.py` and
`late_interaction.py`.

The texts are of packages that no question of the benchmark is about: two technical manuals in
Spanish and one in English, and sayings and quotations in both.
"""

import random
import re
from pathlib import Path

import numpy as np

from benchmarks.knowledge.corpora import Manual, fetch
from sonora_app.errors import SonoraError
from sonora_app.knowledge.embedding import local_model
from sonora_app.knowledge.late_interaction import SIZE, telling
from sonora_app.knowledge.passages import cut, windows
from sonora_app.knowledge.reading.files import read_file
from sonora_app.knowledge.records import heading_text
from sonora_app.knowledge.space import COMMON_FILE

TEXTS = (
    (Manual("gimp-es", "gimp-help-es", "usr/share/gimp/2.0/help/es/*.html"), 150),
    (Manual("reference-es", "debian-reference-es", "usr/share/debian-reference/*.es.html"), 110),
    (Manual("sayings-es", "fortunes-es", "usr/share/games/fortunes/es/*"), 120),
    (Manual("gimp-en", "gimp-help-en", "usr/share/gimp/2.0/help/en/*.html"), 70),
    (Manual("sayings-en", "fortunes", "usr/share/games/fortunes/*"), 50),
)
"""Each text, and how many windows of it are taken."""

_FILES = 60
_SHARED_BY_WORDS = 10
"""How many of the words' widest directions are left out: those that words of all kinds share."""

_DIRECTIONS = 32
"""How many of the widest directions are kept: the narrower ones are never left out."""


def write_common(folder: Path, target: Path, words_target: Path) -> str:
    """Embed the texts, and write their mean and widest directions to `target`.

    Those of their words go to `words_target`, without the very widest.

    A second time gives the same file, byte for byte. Another choice of texts gives another; then
    the three widest directions stay as they are, and the fourth, which is hardly wider than those
    that follow, does not. Tells how like it is to the file that `space.py` reads. That one is only
    replaced on purpose, since documents that were pushed to Supabase were compared by it.
    """
    chance = random.Random(5)
    model = local_model()
    vectors: list[np.ndarray] = []
    words: list[np.ndarray] = []
    for manual, count in TEXTS:
        files = [file for file in fetch(manual, folder) if file.is_file()]
        if manual.name.startswith("sayings"):
            found = _sayings([file for file in files if file.suffix != ".dat"])
        else:
            chance.shuffle(files)
            found = _windows(files[:_FILES])
        chance.shuffle(found)
        print(f"{manual.name} …", flush=True)
        readings = [model.read("passage", text) for text in found[:count]]
        vectors += [each.vector for each in readings]
        words += [each.pieces[telling(each.words)] for each in readings]
    save(np.array(vectors), target)
    save_words(np.concatenate(words), words_target)
    return _alike(np.load(target), np.load(COMMON_FILE))


def save(vectors: np.ndarray, target: Path) -> None:
    """Write the mean of `vectors`, and below it their widest directions, each as long as wide."""
    mean = vectors.mean(axis=0)
    width, directions = np.linalg.eigh(np.cov((vectors - mean).T))
    widest = directions[:, -_DIRECTIONS:] * np.sqrt(width[-_DIRECTIONS:])
    np.save(target, np.vstack([mean, widest.T]).astype("<f2"))


def save_words(vectors: np.ndarray, target: Path) -> None:
    """Write the mean of words' `vectors`, and below it the directions that are kept of them."""
    mean = vectors.mean(axis=0)
    directions = np.linalg.eigh(np.cov((vectors - mean).T))[1][:, ::-1]
    kept = directions[:, _SHARED_BY_WORDS : _SHARED_BY_WORDS + SIZE]
    np.save(target, np.vstack([mean, kept.T]).astype("<f2"))


def _alike(made: np.ndarray, kept: np.ndarray) -> str:
    """How like the means and the four widest directions of two files are, as cosines."""
    rows = [0, *range(-1, -5, -1)]
    pairs = [(made[row].astype(float), kept[row].astype(float)) for row in rows]
    cosines = [abs(a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in pairs]
    return f"the mean and four directions, like those kept: {np.round(cosines, 3).tolist()}"


def _windows(files: list[Path]) -> list[str]:
    found: list[str] = []
    for file in files:
        try:
            document = read_file(file)
        except SonoraError:
            continue
        for passage in cut(document):
            place = heading_text(document.title, passage.headings)
            found += [f"{place}. {window}" for window in windows(passage.content)]
    return [text for text in found if len(text.split()) > 12]


def _sayings(files: list[Path]) -> list[str]:
    found = [
        re.sub(r"\s+", " ", text).strip()
        for file in files
        for text in file.read_text("utf-8", "ignore").split("\n%\n")
    ]
    return [text for text in found if 10 < len(text.split()) < 70]
