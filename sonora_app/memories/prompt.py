"""What the model is told of what is remembered: as data between marks, never as instructions."""

import re

from sonora_app.flow.lines import Lines
from sonora_app.flow.quoted import quoted
from sonora_app.memories.person import Person
from sonora_app.storage.records import utc_now

_FACTS = re.compile(r"<facts>.*?</facts>", re.DOTALL)
_NOTE_CHARS = 200


def memory_prompt(person: Person | None, lines: Lines) -> str:
    """What stands in the prompt for `memory`.

    Args:
        person: Who talks; None is nobody who may be remembered.
        lines: The prompts of the call's language.
    """
    if person is None or not person.permission.uses:
        return lines.text("prompt.memory.off")
    told = told_facts(person)
    parts = [
        lines.text("prompt.memory.facts", {"facts": told})
        if told
        else lines.text("prompt.memory.none")
    ]
    if person.shared:
        notes = "\n".join(f"- {quoted(note, max_chars=_NOTE_CHARS)}" for note in person.shared)
        parts.append(lines.text("prompt.memory.shared", {"notes": notes}))
    how = "ask" if person.permission.asks else "keep"
    today = utc_now().strftime("%A %Y-%m-%d")
    parts.append(lines.text(f"prompt.memory.{how}", {"today": today}))
    return "\n".join(parts)


def told_facts(person: Person) -> str:
    """The facts that are known of a person, one a line with its number. Empty where none are."""
    return "\n".join(f"{number}. {text}" for number, text in person.facts.told())


def without_facts(text: str) -> str:
    """`text` of a prompt without the facts in it, which belong to no summary of what was said."""
    return _FACTS.sub("", text)
