"""The manuals: Spanish documentation of Debian's packages, fetched by name, and questions on it.

Their licences (GPL, AGPL and CC BY-SA) are not this project's, so the manuals are not kept here.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

QUESTIONS = Path(__file__).with_name("questions")
KINDS = ("plain", "hesitant", "misheard", "words", "accents", "english")


@dataclass(frozen=True)
class Manual:
    """One manual.

    Parameters:
        name: That of its file of questions.
        package: Debian's package that has it.
        files: Its files in the package, as a glob.
        without: Files whose names begin so are left out.
        held_out: Whether nothing was fitted to its questions.
    """

    name: str
    package: str
    files: str
    without: tuple[str, ...] = ()
    held_out: bool = False


MANUALS = (
    Manual(
        "freedombox",
        "freedombox-doc-es",
        "usr/share/freedombox/manual/es/*.part.html",
        # The whole manual in one file, and what is for developers.
        ("Manual.", "freedombox-manual.", "ReleaseNotes", "Contribute", "Developer"),
    ),
    Manual("aptitude", "aptitude-doc-es", "usr/share/doc/aptitude/html/es/*.html"),
    Manual("eyes17", "eyes17-manuals-es", "usr/share/doc/eyes17/es/eyes17.pdf"),
    Manual(
        "debian-edu",
        "debian-edu-doc-es",
        "usr/share/doc/debian-edu-doc-es/debian-edu-bookworm-manual.html",
        held_out=True,
    ),
    Manual(
        "installation",
        "installation-guide-amd64",
        "usr/share/doc/installation-guide-amd64/es/*.html",
        held_out=True,
    ),
)


@dataclass(frozen=True)
class Question:
    """A question as it was recognised.

    Parameters:
        manual: Which manual answers it.
        kind: One of `KINDS`.
        answers: Words of the passages that answer it; one of them is enough.
        text: The question.
    """

    manual: Manual
    kind: str
    answers: tuple[str, ...]
    text: str


def fetch(manual: Manual, folder: Path) -> list[Path]:
    """The manual's files, fetched with apt-get into `folder` where they are not there yet."""
    unpacked = folder / manual.package
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", manual.package], cwd=folder, check=True)
        archive = next(folder.glob(f"{manual.package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
        for packed in unpacked.rglob("*.pdf.gz"):
            subprocess.run(["gunzip", packed], check=True)
    files = sorted(unpacked.glob(manual.files))
    return [file for file in files if not file.name.startswith(manual.without)]


def questions() -> list[Question]:
    """All questions that a manual answers."""
    found: list[Question] = []
    for manual in MANUALS:
        for line in (QUESTIONS / f"{manual.name}.tsv").read_text("utf-8").splitlines():
            kind, answers, text = line.split("\t")
            found.append(Question(manual, kind, tuple(answers.split("|")), text))
    return found


def unanswerable() -> list[tuple[str, str]]:
    """What no manual answers, each with its kind: `absent`, `near` (of the field) and `chat`."""
    lines = (QUESTIONS / "unanswerable.tsv").read_text("utf-8").splitlines()
    return [(kind, text) for kind, text in (line.split("\t") for line in lines)]
