"""What is wrong with the fields of `flows/tools.yaml`, in words for whoever wrote them."""

from collections.abc import Iterator

from pydantic import ValidationError

from sonora_app.wording.translation import Worded, worded

_SAID = {
    "extra_forbidden": worded("there is no such field"),
    "missing": worded("is missing"),
    "model_type": worded("needs fields, such as name"),
}
"""By Pydantic's name of what is wrong. The others are said in Pydantic's own words."""

NEVER_OFFERED = worded("nodes: names no node, so that it would never be offered")


def field_problems(error: ValidationError) -> Iterator[Worded]:
    """A sentence for each field of an entry that is wrong, without its value."""
    for problem in error.errors(include_input=False, include_url=False):
        where = ".".join(map(str, problem["loc"]))
        said = _SAID.get(problem["type"]) or worded(
            "{text}", text=problem["msg"].removeprefix("Value error, ")
        )
        yield worded("{field}: {problem}", field=where, problem=said) if where else said
