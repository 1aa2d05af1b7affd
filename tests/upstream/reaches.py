"""The private members of other people's classes that Sonora uses: the list, and what finds them.

`reaches.yaml` lists them. `found` reads Sonora's own source for all there are; `fingerprint` reads
the source of what is installed.
"""

import ast
import functools
import hashlib
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
LIST_FILE = Path(__file__).with_name("reaches.yaml")

_OURS = ("sonora_app", "flows", "bot")
_PRIVATE = re.compile(r"_[A-Za-z]\w*")
_NOBODYS = ("builtins", "typing", "abc", "enum", "dataclasses")
"""Modules of Python's own, whose private names are not meant."""

_NAMED_TUPLES = ("_asdict", "_fields", "_make", "_replace")
"""What a named tuple has for everybody."""


@dataclass(frozen=True)
class Reach:
    """One entry of the list."""

    owner: str
    """The class, with its module: the nearest one, which has the member in its own source."""
    member: str
    use: list[str]
    """What is done with it: `call`, `override`, `read`, `write`, `by name` (as a string)."""
    modules: list[str]
    """Who needs it, from `sonora_app/` on."""
    why: str
    hook: str
    """What upstream would make it unnecessary."""
    kind: str
    """`method`, `property` or `field`."""
    parameters: list[str]
    source: str
    """A hash of the source of the method, or of the methods that assign the field."""
    release: str
    """The release that `source` is of."""

    @property
    def package(self) -> str:
        """The distribution that has the class."""
        return packages_distributions()[self.owner.split(".", 1)[0]][0]

    @property
    def installed(self) -> str:
        """The release of it that is installed."""
        return f"{self.package} {version(self.package)}"


@dataclass(frozen=True)
class Place:
    """One place in Sonora's source where a private member of a foreign class is used."""

    module: str
    line: int
    owner: str | None
    """The class, where the source tells it: in a subclass."""
    member: str
    use: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.owner or '?'}.{self.member} ({self.use})"


def listed() -> list[Reach]:
    """The list."""
    return [Reach(**entry) for entry in yaml.safe_load(LIST_FILE.read_text(encoding="utf-8"))]


# --- What is installed


def class_of(owner: str) -> type:
    """The class of this name.

    Raises:
        ImportError: There is no such module.
        AttributeError: It has no such class.
    """
    module, _, name = owner.rpartition(".")
    return getattr(importlib.import_module(module), name)


def fingerprint(owner: type, member: str) -> tuple[str, list[str], str]:
    """What a private member is made of.

    Returns:
        Its kind, its parameters, and a hash of its source.

    Raises:
        AttributeError: The class has no such member in its own source.
    """
    own = vars(owner).get(member)
    if isinstance(own, property):
        return "property", [], _hash(inspect.getsource(own.fget))  # pyright: ignore
    if callable(own):
        function = inspect.unwrap(own)
        return "method", [*inspect.signature(function).parameters], _hash(_source(function))
    assigning = [
        ast.get_source_segment(text, node) or ""
        for text, node in [(_source(owner), node) for node in _methods(owner)]
        if member in _assigned(node, owner)
    ]
    if not assigning:
        raise AttributeError(f"{owner.__qualname__} assigns no {member}")
    return "field", [], _hash("\n".join(assigning))


def _hash(source: str) -> str:
    return hashlib.sha256(textwrap.dedent(source).encode()).hexdigest()[:12]


def _source(thing: Any) -> str:
    return textwrap.dedent(inspect.getsource(thing))


def _methods(owner: type) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    (tree,) = ast.parse(_source(owner)).body
    assert isinstance(tree, ast.ClassDef)
    return [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _assigned(tree: ast.AST, owner: type) -> set[str]:
    """The attributes of `self` that are assigned, with the names that Python gives them."""
    return {
        f"_{owner.__name__}{node.attr}" if node.attr.startswith("__") else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


@functools.cache
def _private_members(owner: type) -> frozenset[str]:
    """The private names that a class has in its own source."""
    names = {name for name in vars(owner) if _PRIVATE.fullmatch(name)}
    try:
        methods = _methods(owner)
    except (OSError, TypeError):  # in C
        return frozenset(names)
    for method in methods:
        names |= {name for name in _assigned(method, owner) if _PRIVATE.fullmatch(name)}
    return frozenset(names)


def _is_foreign(owner: type) -> bool:
    return owner.__module__.split(".", 1)[0] not in (*_OURS, *_NOBODYS)


def _owner(owner: type, member: str) -> str | None:
    """The nearest foreign class that has `member`, for a class of ours."""
    for base in owner.__mro__:
        if _is_foreign(base) and member in _private_members(base):
            return f"{base.__module__}.{base.__qualname__}"
    return None


# --- What Sonora uses


def found(root: Path = ROOT) -> list[Place]:
    """Every place in Sonora's source where a private member of a foreign class is used."""
    places: list[Place] = []
    files = [*(root / "sonora_app").rglob("*.py"), *(root / "flows").rglob("*.py"), root / "bot.py"]
    for path in sorted(files):
        if "node_modules" in path.parts:
            continue
        relative = path.relative_to(root)
        dotted = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        name = "/".join(relative.parts).removeprefix("sonora_app/")
        places += find_in(path.read_text(encoding="utf-8"), dotted, name)
    return places


def find_in(source: str, dotted: str, name: str) -> list[Place]:
    """The places in one module.

    Args:
        source: Its source.
        dotted: What it is imported as.
        name: What it is called in the places.
    """
    tree = ast.parse(source)
    extends = any(isinstance(node, ast.ClassDef) and node.bases for node in ast.walk(tree))
    # bot.py begins to warm up where it is imported, and extends nothing but a thread.
    module = importlib.import_module(dotted) if extends and dotted != "bot" else None
    finder = _Finder(name, module, tree)
    finder.visit(tree)
    return finder.places


class _Finder(ast.NodeVisitor):
    def __init__(self, name: str, module: ModuleType | None, tree: ast.Module) -> None:
        self.places: list[Place] = []
        self._name = name
        self._module = module
        # What the module itself calls so: by `self.x = …` or `def x`, and at its top.
        self._own = set(_defined(ast.walk(tree)))
        self._own_names = set(_defined(tree.body))
        self._class: type | None = None
        self._called: set[ast.AST] = set()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self._class = self._class, getattr(self._module, node.name, None)
        for item in node.body:
            for member in _named(item):
                owner = self._class and _owner(self._class, member)
                if owner:
                    self._add(item, owner, member, "override")
        self.generic_visit(node)
        self._class = outer

    def visit_Call(self, node: ast.Call) -> None:
        self._called.add(node.func)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if _PRIVATE.fullmatch(node.attr) and node.attr not in _NAMED_TUPLES:
            use = "write" if isinstance(node.ctx, ast.Store) else "read"
            use = "call" if node in self._called else use
            if _is_self(node.value):
                owner = self._class and _owner(self._class, node.attr)
                if owner:
                    self._add(node, owner, node.attr, use)
            elif node.attr not in self._own and not _is_pythons(node.value):
                self._add(node, None, node.attr, use)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        # As in vars(x)["_y"], getattr(x, "_y") or a list of such names.
        value = node.value
        if not isinstance(value, str) or not _PRIVATE.fullmatch(value):
            return
        # In capitals it is the end of a setting's name.
        if value not in self._own_names and not value.isupper():
            self._add(node, None, value, "by name")

    def visit_Import(self, node: ast.Import) -> None:
        for name in [name for alias in node.names for name in alias.name.split(".")]:
            if _PRIVATE.fullmatch(name):
                self._add(node, None, name, "import")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if (node.module or "").split(".", 1)[0] in _OURS or node.level:
            return
        names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        for name in names:
            if _PRIVATE.fullmatch(name):
                self._add(node, None, name, "import")

    def _add(self, node: ast.AST, owner: str | None, member: str, use: str) -> None:
        line: int = getattr(node, "lineno", 0)
        self.places.append(Place(self._name, line, owner, member, use))


def _is_self(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in ("self", "cls")
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    )


def _is_pythons(node: ast.expr) -> bool:
    """Whether it is a module of Python's own, as in `os._exit`."""
    return isinstance(node, ast.Name) and node.id in sys.stdlib_module_names


def _named(item: ast.stmt) -> Iterator[str]:
    """The private names that a statement of a class's body gives to something."""
    names: list[str] = []
    if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
        names.append(item.name)
    targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
    names += [target.id for target in targets if isinstance(target, ast.Name)]
    yield from (name for name in names if _PRIVATE.fullmatch(name))


def _defined(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The names that these nodes give to something."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute | ast.Name):
                    yield target.attr if isinstance(target, ast.Attribute) else target.id
