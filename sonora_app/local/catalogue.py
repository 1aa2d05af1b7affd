"""The models that run on this machine, and whether they are in the data folder."""

import shutil
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from sonora_app.errors import NotFoundError
from sonora_app.wording.translation import worded

_CATALOGUE = Path(__file__).with_name("models.yaml")


class Purpose(StrEnum):
    """What a model is for."""

    RECOGNITION = "recognition"
    VOICE = "voice"


@dataclass(frozen=True)
class ModelFile:
    """One file of a model: its name in the folder, its size in bytes, and its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Model:
    """A model that can be fetched. See `models.yaml`.

    Parameters:
        name: What the commands call it, and its folder.
        purpose: What it is for.
        licence: Under which it is published, as SPDX has it.
        url: What stands before a file's name in its address.
        files: All that it needs.
    """

    name: str
    purpose: Purpose
    licence: str
    url: str
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Of all its files, in bytes."""
        return sum(file.size for file in self.files)


@cache
def catalogue() -> dict[str, Model]:
    """Every model that can be fetched, by its name."""
    told = cast(dict[str, dict[str, Any]], yaml.safe_load(_CATALOGUE.read_text(encoding="utf-8")))
    return {
        name: Model(
            name=name,
            purpose=Purpose(each["for"]),
            licence=each["licence"],
            url=each["url"],
            files=tuple(
                ModelFile(file, facts["size"], facts["sha256"])
                for file, facts in each["files"].items()
            ),
        )
        for name, each in told.items()
    }


def find_model(name: str) -> Model:
    """The model of this name.

    Raises:
        NotFoundError: There is none.
    """
    model = catalogue().get(name)
    if model is None:
        raise NotFoundError(
            worded("There is no model {name}.", name=name),
            hint=worded("`uv run sonora models list` shows which there are."),
        )
    return model


def folder_of(model: Model, models: Path) -> Path:
    """Where a model is once it was fetched; `models` is the folder of all of them."""
    return models / model.name


def unfinished_folder(model: Model, models: Path) -> Path:
    """Where a model is while it is being fetched."""
    return models / f"{model.name}.part"


def is_here(model: Model, models: Path) -> bool:
    """Whether every file of a model is here and has its size.

    Each was checked whole before it came into this folder.
    """
    folder = folder_of(model, models)
    return all(size_of(folder / file.name) == file.size for file in model.files)


def bytes_here(model: Model, models: Path) -> int:
    """How much of a model is here, in bytes, whole or not."""
    folders = (folder_of(model, models), unfinished_folder(model, models))
    return sum(
        min(file.size, max(size_of(folder / file.name) for folder in folders))
        for file in model.files
    )


def remove_model(model: Model, models: Path) -> bool:
    """Remove a model from this machine. Returns whether anything of it was here."""
    folders = (folder_of(model, models), unfinished_folder(model, models))
    found = [folder for folder in folders if folder.exists()]
    for folder in found:
        shutil.rmtree(folder)
    return bool(found)


def size_of(path: Path) -> int:
    """How large a file is, in bytes; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
