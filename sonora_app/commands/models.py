"""`sonora models`: the models that run on this machine."""

from typing import Annotated

import typer
from rich.table import Table

from sonora_app.commands.options import AsJson
from sonora_app.commands.output import SonoraGroup, console, print_json
from sonora_app.commands.progress import fetching_bar
from sonora_app.local.catalogue import (
    Model,
    bytes_here,
    catalogue,
    find_model,
    folder_of,
    is_here,
    remove_model,
)
from sonora_app.local.wanted import wanted_models
from sonora_app.settings import Settings, load_settings
from sonora_app.wording.translation import say, worded

app = typer.Typer(
    cls=SonoraGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help=say("Look after the models that run on this machine."),
)

_PURPOSES = {"recognition": worded("speech recognition"), "voice": worded("voice")}


@app.command("list", help=say("List the models there are, and which are here."))
def list_models(json_output: AsJson = False) -> None:
    """List the models."""
    settings = load_settings()
    if json_output:
        print_json([_data(model, settings) for model in catalogue().values()])
        return
    table = Table(box=None, pad_edge=False)
    for heading in (say("Model"), say("For"), "MB", say("Licence"), say("State")):
        table.add_column(heading, overflow="fold")
    for model in catalogue().values():
        table.add_row(
            model.name,
            say(_PURPOSES[model.purpose]),
            f"{model.size / 1e6:.0f}",
            model.licence,
            _state(model, settings),
        )
    console().print(table)


@app.command(help=say("Fetch models, or what is missing of them, and check them."))
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME…]", help=say("Which; those that the settings need if not given.")
        ),
    ] = None,
) -> None:
    """Fetch models. What has come of one that breaks off is kept."""
    # Not sooner: its client is much to import.
    from sonora_app.local.fetching import fetch as fetch_model

    settings = load_settings()
    models = [find_model(name) for name in names] if names else wanted_models(settings)
    if not models:
        typer.echo(
            say("The settings need no model. Name one: uv run sonora models fetch whisper-base")
        )
    for model in models:
        with fetching_bar(model.name) as progress:
            fetch_model(model, settings.models_path, mirror=settings.models_url, progress=progress)
        typer.echo(say("{name} is here.", name=model.name))


@app.command(help=say("Remove models from this machine."))
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help=say("Which."))],
) -> None:
    """Remove models."""
    settings = load_settings()
    for model in [find_model(name) for name in names]:
        if remove_model(model, settings.models_path):
            typer.echo(say("{name} was removed.", name=model.name))
        else:
            typer.echo(say("{name} was not here.", name=model.name))


def _state(model: Model, settings: Settings) -> str:
    if is_here(model, settings.models_path):
        return say("here")
    here = bytes_here(model, settings.models_path)
    return say("{percent} % is here", percent=int(100 * here / model.size)) if here else "–"


def _data(model: Model, settings: Settings) -> dict[str, object]:
    return {
        "name": model.name,
        "for": model.purpose,
        "licence": model.licence,
        "url": model.url,
        "bytes": model.size,
        "bytes_here": bytes_here(model, settings.models_path),
        "here": is_here(model, settings.models_path),
        "folder": str(folder_of(model, settings.models_path)),
    }
