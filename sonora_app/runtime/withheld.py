"""Keeps what people say out of the lines that libraries log from INFO up.

Pipecat writes into its warnings and errors whatever it holds in its hands: a message of the page
that it cannot read, a sentence that is not spoken, a frame, an exception that quotes either. Which
lines do so changes with each version. So a library's line is taken apart by the source line that
made it: what stands there as text is kept, and of what was filled in only what is named like a
thing of the program (a processor, a number of attempts). Of an exception its kind is kept, and its
words where it comes from the operating system. At DEBUG the same line is logged whole.
"""

import ast
import linecache
import re
import sys
from functools import lru_cache

WITHHELD = "[…]"
"""Stands where something was filled in that may hold what people say."""

_LINES = 40
"""How many lines a statement may have that logs something."""

_HARMLESS = re.compile(
    r"self|name|names|\w+_name|__name__|processor|service|observer|worker|runner|peer|fields|tasks"
    r"|\w*_id|model|voice|language|version|attempts?|attempt_number|lineno|timeout|status|state"
    r"|\w+_(?:time|secs|count|duration|timeout)|count|duration|transport_type|setting|threshold"
    r"|base_url|_room_url|scheme|missing_list|max_\w+|num_frames|[A-Z_0-9]+"
)
"""What an expression ends in that holds a thing of the program."""

_SAFE_CALLS = frozenset({"len", "type", "round", "set", "sum", "int"})
"""Of what they are given, these tell how much there is, or of what kind; or they list settings."""

_PROCESSOR = re.compile(r"[A-Za-z_][\w.:]*#\d+(?: exception \([^()\s]*\)| error)?:?")
"""A processor or a frame at the beginning of a text, and where it failed."""


def without_words(message: str, path: str, line: int) -> str:
    """A library's message without what it quotes.

    Args:
        message: The message, as the library made it.
        path: The file that logged it.
        line: The line in it at which the statement begins.
    """
    template = _template(path, line)
    if template is None:
        return _beginning(message)
    texts, names = template
    values = _values(message, texts, ".*?")
    if values is None:
        return _beginning(message)
    # What was said may hold the text that stands between two of them.
    is_certain = values == _values(message, texts, ".*")
    parts = [texts[0]]
    for name, value, text in zip(names, values, texts[1:], strict=True):
        parts += (_shown(name, value) if is_certain else _beginning(value), text)
    return "".join(parts)


def _values(message: str, texts: tuple[str, ...], gap: str) -> tuple[str, ...] | None:
    found = re.fullmatch(f"({gap})".join(map(re.escape, texts)), message, re.DOTALL)
    return found.groups() if found else None


def kind_of(error: BaseException) -> str:
    """An exception's kind, and of its words those that no person said."""
    parts = [type(error).__name__]
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", getattr(response, "status_code", None))
    parts += [str(each) for each in (status,) if isinstance(each, int)]
    code = getattr(error, "code", None)
    if isinstance(code, str) and re.fullmatch(r"[a-z]+(?:_[a-z]+)+", code):
        parts.append(code)
    if isinstance(error, OSError):
        parts.append(f"({error})")
    return " ".join(parts)


def _beginning(text: str) -> str:
    """Which processor it is about, or nothing of it."""
    error = sys.exc_info()[1]
    rest = WITHHELD if error is None else f"[{kind_of(error)}]"
    found = _PROCESSOR.match(text)
    return f"{found[0]} {rest}" if found else rest


def _shown(name: str, value: str) -> str:
    is_harmless = _HARMLESS.fullmatch(name.rpartition(".")[2]) or name == "last.filename"
    return value if is_harmless else _beginning(value)


@lru_cache(maxsize=1_000)
def _template(path: str, line: int) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The texts of a message in the source, and the names of what fills the gaps between them."""
    call = _logging_call(path, line)
    if call is None or not call.args:
        return None
    made = call.args[0]
    parts = made.values if isinstance(made, ast.JoinedStr) else [made]
    texts, names = [""], list[str]()
    for part in parts:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            pieces = re.split(r"\{[^{}]*\}", part.value) if len(call.args) > 1 else [part.value]
            texts[-1] += pieces[0]
            for piece in pieces[1:]:
                names.append("")
                texts.append(piece)
        else:
            value = part.value if isinstance(part, ast.FormattedValue) else part
            names.append(_name(value))
            texts.append("")
    return tuple(texts), tuple(names)


def _logging_call(path: str, line: int) -> ast.Call | None:
    lines: list[str] = []
    for number in range(line, line + _LINES):
        lines.append(linecache.getline(path, number))
        try:
            # The lines that follow stand within brackets.
            tree = ast.parse("".join(lines).lstrip())
        except SyntaxError:
            continue
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        return next((call for call in calls if _is_logging(call)), None)
    return None


def _is_logging(call: ast.Call) -> bool:
    levels = ("info", "success", "warning", "error", "exception", "critical", "log")
    return isinstance(call.func, ast.Attribute) and call.func.attr in levels


def _name(value: ast.expr) -> str:
    """A variable or an attribute as it is written; empty for what is neither."""
    if isinstance(value, ast.Call):
        callee = _name(value.func)
        return "count" if callee in _SAFE_CALLS else ""
    return ast.unparse(value) if isinstance(value, ast.Attribute | ast.Name) else ""
