"""What is asked of a store."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from benchmarks.finding.conversations import CUT, FREQUENT, LABELLED, NOWHERE, RARE, begun
from sonora_app.storage.figures import Figures, FiguresWanted, GroupedBy
from sonora_app.storage.listing import Listings
from sonora_app.storage.records import ConversationStatus
from sonora_app.storage.wanted import Wanted, WantedCall


class Asked(Protocol):
    """The part of a `Store` that finds."""

    async def conversations(self, wanted: Wanted, *, limit: int = 50, offset: int = 0) -> Listings:
        """See `Store.conversations`."""
        ...

    async def figures(self, wanted: FiguresWanted) -> Figures:
        """See `Store.figures`."""
        ...


Answer: TypeAlias = Listings | Figures
Ask: TypeAlias = Callable[[Asked], Awaitable[Answer]]


def questions(conversations: int) -> dict[str, Ask]:
    """What is asked of a store of so many, by the name of its row in the table."""

    def listed(wanted: Wanted, *, offset: int = 0) -> Ask:
        return lambda store: store.conversations(wanted, offset=offset)

    def added_up(by: GroupedBy) -> Ask:
        return lambda store: store.figures(FiguresWanted(by))

    return {
        "list": listed(Wanted()),
        "list, the middle page": listed(Wanted(), offset=conversations // 2),
        "of a user": listed(Wanted(user_id="user-7")),
        "of a status": listed(Wanted(status=ConversationStatus.ACTIVE)),
        "since a date": listed(Wanted(since=begun(conversations // 2))),
        "slow": listed(Wanted(slow=True)),
        "failed": listed(Wanted(failed=True)),
        "cut in two": listed(Wanted(call=WantedCall(cut=True))),
        "with a label": listed(Wanted(label=LABELLED)),
        "a rare word": listed(Wanted(text=RARE)),
        "a frequent word": listed(Wanted(text=FREQUENT)),
        "frequent words, the middle page": listed(
            Wanted(text=f"quiero {FREQUENT}"), offset=conversations // 2
        ),
        "words of a turn cut in two": listed(Wanted(text=CUT)),
        "a word nobody said": listed(Wanted(text=NOWHERE)),
        **{f"figures by {by.value}": added_up(by) for by in GroupedBy},
    }


def found(answer: Answer) -> int:
    """How many conversations, or calls, an answer is of."""
    return answer.total.calls if isinstance(answer, Figures) else answer.total


def told(answer: Answer) -> object:
    """What an answer says: the same for two that say the same."""
    return answer if isinstance(answer, Figures) else (answer.total, tuple(answer))
