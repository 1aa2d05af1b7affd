"""Reads YAML without its surprises: a key that stands twice, of which YAML's own readers drop the
first, and what looks like words and is read as a number or as yes or no.
"""

import json
import re
from typing import Any

import yaml

_SIXTIES = re.compile(r"[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?")
"""13:00, which is 780 in YAML."""

_OCTAL = re.compile(r"[-+]?0[0-7_]+")
"""007, which is 7 in YAML, and 010, which is 8."""

_INT, _FLOAT, _BOOL = (f"tag:yaml.org,2002:{each}" for each in ("int", "float", "bool"))


def read_once(text: str) -> Any:  # noqa: ANN401  # YAML
    """What a text of YAML holds.

    Raises:
        yaml.YAMLError: It is no YAML, a key stands twice in it, something lies within itself, or is
            read otherwise than it looks.
    """
    _look(yaml.compose(text, yaml.SafeLoader), set(), ())
    return yaml.safe_load(text)


def _look(
    node: yaml.Node | None, seen: set[int], around: tuple[int, ...], *, listed: bool = False
) -> None:
    if node is None:
        return
    # An alias leads to a node that is there already, maybe to one that it lies in.
    if id(node) in around:
        problem = "what an alias names there holds the alias itself"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    if id(node) in seen:
        return
    seen.add(id(node))
    around = (*around, id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys and key.value != "<<":
                    problem = f"{key.value} stands there twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                keys.add(key.value)
            _look(value, seen, around)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _look(each, seen, around, listed=True)
    elif isinstance(node, yaml.ScalarNode) and _surprises(node, listed=listed):
        read = json.dumps(yaml.safe_load(node.value))
        problem = f'{node.value} is read as {read}. Write "{node.value}", in quotes'
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _surprises(node: yaml.ScalarNode, *, listed: bool) -> bool:
    """Whether a value is read otherwise than it looks.

    Args:
        node: The value.
        listed: Whether it stands in a list: "no" is a word there, and an answer elsewhere.
    """
    if node.style is not None:
        return False
    if node.tag in (_INT, _FLOAT):
        return bool(_SIXTIES.fullmatch(node.value) or _OCTAL.fullmatch(node.value))
    return listed and node.tag == _BOOL and node.value.lower() not in ("true", "false")
