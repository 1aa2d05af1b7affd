"""Writes `docs/failures.md` from calls held now: `uv run python -m tests.session.failure_table`."""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from simulators.clients.bot_process import PROJECT
from sonora_app.call.presence.presence import GONE_SECS, MISSED_SECS
from sonora_app.flow.lines import Lines
from sonora_app.runtime.backlog import OLD_SECS, TOO_OLD_SECS
from sonora_app.settings import Language
from tests.session.failure_calls import SILENCE_SECS, play_all
from tests.session.failure_cases import CASES, Case, Outcome

TABLE = PROJECT / "docs" / "failures.md"

_EN = Lines(Language.EN)
_WORDS = {
    "request": "*User:* a request",
    "rest": "*User:* the rest of it",
    "answer": "the answer",
    "first text": "*User:* a text",
    "second text": "*User:* another",
    "third text": "*User:* another",
    "again": "*User:* more",
    "answer again": "the answer",
}
_INTRODUCTION = f"""# When something fails

Each line is a call by voice, over WebRTC, to a real bot whose vendors are servers on loopback
that fail in that way, or whose page or disk does. The tests hold these calls
(`tests/session/test_failures.py`); this page is written by
`uv run python -m tests.session.failure_table`, and a test compares the two.

What is said is what is kept of the call, word for word, and nothing else is; an ellipsis stands for
what was cut off, of which only what was heard is kept. The last column is the longest wait, in the
calls that this page was written from, from the user's last word, or from the opening of the
conversation, to a sound or to the end of the call; the tests allow {SILENCE_SECS:g} s. There is a
fallback only where the line says so. Every call that ends says why in its `conversation-ended`.

| Where | What it does | When | Said, heard and kept | The page is told | Then | Silence |
|---|---|---|---|---|---|---|
"""

_CONNECTION = f"""
## When the way to the page fails

`tests/session/test_reconnecting.py` holds these calls, with a client of WebRTC whose network,
channel or clock fails.

- A word of the bot's is kept when a packet of any kind arrives from the page within
  {MISSED_SECS:g} s of the packet before. A browser sends 50 a second, also with a silent
  microphone. What is said into a longer gap is not kept.
- **No packet for {GONE_SECS:g} s**: nobody is there. The bot is cut off, asks nobody whether they
  are still there, and nothing that it says is kept. When packets arrive again, or the page connects
  anew, it says “{_EN.text("still_here")}”. If neither happens, WebRTC gives the connection up after
  half a minute, and the call ends as `client_left`.
- **Only the data channel is closed**: the call goes on by voice. The page gets no events.
- **The machine's clock is set** back or forward: the sound goes on. It does not wait for the
  machine's clock.
- **The process stalls, or has more calls than it can hold**: the bot's sound goes on from where it
  stood. The user's sound is heard late while it is at most {OLD_SECS:g} s old, or gets younger;
  otherwise, and when it is more than {TOO_OLD_SECS:g} s old, it is dropped up to the newest, logged
  with how many seconds they were, and the page is told `speech_dropped`.
- **Sound cannot be sent** for 4 s, or another part that is no vendor fails: the page is told
  `conversation-ended` with `error`, and the call ends.
"""


def cells(case: Case) -> tuple[str, ...]:
    """The line of a case, without what is measured."""
    said = "; ".join(_in_words(key) for key in (*case.kept, *case.back))
    then = "the call ends" if case.ends else "the call goes on"
    page = ", ".join(f"`{code}`" for code in case.page)
    at = f"{case.at}, with a fallback" if case.fallback else case.at
    return (at, case.how, case.when, said, page, then)


def read(text: str) -> list[tuple[str, ...]]:
    """The lines of a table, without what is measured."""
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [tuple(cell.strip() for cell in row.strip("|").split("|"))[:-1] for row in rows]


def _write(outcomes: Mapping[Case, Outcome]) -> str:
    lines = [
        f"| {' | '.join((*cells(case), f'{outcome.silence_secs:.1f} s'))} |\n"
        for case, outcome in outcomes.items()
    ]
    return _INTRODUCTION + "".join(lines) + _CONNECTION


def _in_words(key: str) -> str:
    whole = key.removesuffix("…")
    words = _WORDS.get(whole) or f"“{_EN.text(whole)}”"
    return words if whole == key else f"{words} …"


async def _main(cases: Iterable[Case]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outcomes = await play_all(cases, Path(folder))
    wrong = [f"{c.name}: {outcome}" for c, outcome in outcomes.items() if not outcome.is_as_in(c)]
    if wrong:
        raise SystemExit("\n".join(["Not as expected:", *wrong]))
    TABLE.write_text(_write(outcomes), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_main(CASES))
