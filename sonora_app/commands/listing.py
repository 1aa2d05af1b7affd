"""Conversations as a list: what a command may ask for, a table for a terminal, and data."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sonora_app.commands.output import plain
from sonora_app.commands.readable import local_time
from sonora_app.storage.listing import Listing, short_id
from sonora_app.storage.records import ConversationStatus
from sonora_app.wording.kept_words import in_words, meant
from sonora_app.wording.translation import say


def _moment(text: str) -> datetime:
    """The moment that somebody named, by the clock of this machine."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            say(
                "{text} is not a day or a time. Write it as {day} or as '{time}'.",
                text=plain(text),
                day="2026-03-31",
                time="2026-03-31 17:30",
            )
        ) from None


def _status(text: str) -> ConversationStatus:
    """How conversations stand, by its name or by the words for it that a list has."""
    try:
        return ConversationStatus(meant("status", text))
    except ValueError:
        others = ", ".join(repr(in_words("status", each)) for each in ConversationStatus)
        raise typer.BadParameter(
            say("{given} is not one of {others}.", given=repr(plain(text)), others=others)
        ) from None


def _outcome(text: str) -> str:
    """What a conversation came to, by its name or by the words for it that `show` has."""
    return meant("outcomes", text)


OfUser = Annotated[str | None, typer.Option("--user", help=say("Only this user's."))]
WithStatus = Annotated[
    ConversationStatus | None,
    typer.Option("--status", parser=_status, help=say("Only those that stand so.")),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        metavar="DAY",
        parser=_moment,
        help=say("Only those talked in since that day, or that time, here."),
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        "--until",
        metavar="DAY",
        parser=_moment,
        help=say("Only those last talked in before that day, or that time, here."),
    ),
]
BegunSince = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        metavar="DAY",
        parser=_moment,
        help=say("Only those begun since that day, or that time, here."),
    ),
]
BegunUntil = Annotated[
    datetime | None,
    typer.Option(
        "--until",
        metavar="DAY",
        parser=_moment,
        help=say("Only those begun before that day, or that time, here."),
    ),
]
Search = Annotated[
    str,
    typer.Option(
        "--search",
        help=say("Only those in which words begin with these, with accents or without."),
    ),
]
Failed = Annotated[
    bool, typer.Option("--failed", help=say("Only those where a call or a tool failed."))
]
Slow = Annotated[
    bool, typer.Option("--slow", help=say("Only those where an answer took two seconds or longer."))
]
Labelled = Annotated[
    str,
    typer.Option("--label", help=say("Only those with this label, at whichever call or turn.")),
]

_WIDE, _NARROW = 100, 72
"""From how many columns a list has the users too, and below how many no numbers of messages."""

Outcome = Annotated[
    str | None,
    typer.Option("--outcome", parser=_outcome, help=say("Only those that came to this.")),
]
CutInTwo = Annotated[
    bool, typer.Option("--cut", help=say("Only those where a turn was cut in two."))
]


def listing_data(listing: Listing) -> dict[str, Any]:
    """A conversation as the data of a list: its fields, how many messages it has, and how it fits.

    `labels` are those of its calls and turns, too. `calling` is whether a call goes on in it; `hit`
    is where the words stand that were looked for.
    """
    hit = listing.hit
    return {
        **listing.conversation.model_dump(mode="json"),
        "messages": listing.messages,
        "calling": listing.calling,
        "labels": list(listing.labels),
        "hit": hit and {"message_id": hit.message_id and str(hit.message_id), "words": hit.words},
    }


def listing_table(listings: Sequence[Listing], out: Console) -> Table:
    """One line for each. On a terminal texts are cut to its width; piped on they are whole.

    Where words were looked for, what was found has the place of the title.
    """
    whole = not out.is_terminal
    found = any(listing.hit for listing in listings)
    table = Table(box=None, pad_edge=False, header_style="bold")
    with_user, with_messages = whole or out.width >= _WIDE, whole or out.width >= _NARROW
    rows = [_cells(each, with_user=with_user, with_messages=with_messages) for each in listings]
    names = ["ID", say("Last talk"), *([say("Messages")] if with_messages else []), say("Status")]
    for index, name in enumerate(names):
        # Only what follows is cut: a piece of an id is of no use.
        least = max(map(cell_len, [name, *(row[index] for row in rows)]))
        right = "right" if with_messages and index == 2 else "left"
        table.add_column(name, justify=right, no_wrap=True, min_width=least)
    if with_user:
        table.add_column(say("User"), no_wrap=True, overflow="ellipsis")
    table.add_column(say("Said") if found else say("Title"), no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(Text, row))
    if whole:
        out.width = max(out.width, out.measure(table).maximum)
    return table


def _cells(listing: Listing, *, with_user: bool, with_messages: bool) -> list[str]:
    """What stands in the columns, each in one line."""
    conversation = listing.conversation
    cells = (
        short_id(conversation.id),
        local_time(conversation.last_message_at or conversation.created_at),
        *([str(listing.messages)] if with_messages else []),
        say("in a call") if listing.calling else in_words("status", conversation.status),
        *([conversation.user_id or "–"] if with_user else []),
        listing.hit.words if listing.hit else conversation.title or "–",
    )
    return [" ".join(plain(cell).split()) for cell in cells]
