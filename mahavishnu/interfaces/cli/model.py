"""`mahavishnu model`: status, list, import, download, verify."""

from pathlib import Path
from typing import Any

import click

from mahavishnu.base.errors import Forbidden, MahavishnuError
from mahavishnu.embedding.model_import import import_model
from mahavishnu.embedding.models import StoredModel, list_models, runs_here, verify_model
from mahavishnu.interfaces.cli.options import asynchronous, json_option, load, opened_app
from mahavishnu.interfaces.cli.render import print_json, print_line, print_table, progress


@click.group()
def model() -> None:
    """Manage the embedding model."""


@model.command()
@json_option
@asynchronous
async def status(as_json: bool) -> None:
    """Show which model the database uses, which embedder is chosen, and why."""
    from mahavishnu.database.grants import require_founder  # noqa: PLC0415 - and what follows:
    from mahavishnu.embedding.choose import Choice  # noqa: PLC0415 - their packages are not for the others

    blocked = None
    async with opened_app() as app:
        active = await app.space.active()
        try:
            choice = await app.space.choice()
        except MahavishnuError as error:  # a configured provider that cannot be had
            choice = Choice(None, " ".join(filter(None, (error.message, error.hint))))
        if active is None and choice.embedder is not None:
            try:
                await app.database.run(require_founder)
            except Forbidden as error:
                blocked = f"{error.message} {error.hint}"
        waiting = await app.memories.count_waiting()
    chosen = choice.embedder.identity if choice.embedder else None
    body = {
        "database": active[1].key if active else None,
        "embedder": chosen.key if chosen else None,
        "reason": choice.reason,
        "tried": [{"provider": refusal.provider, "why": refusal.why} for refusal in choice.tried],
        "waiting": waiting,
        "blocked": blocked,
    }
    if as_json:
        print_json(body)
        return
    print_line(f"vectors stored: {active[1].name if active else 'none yet'}")
    print_line(f"embedder: {choice.reason}")
    for refusal in choice.tried:
        print_line(f"  not {refusal.provider}: {refusal.why}")
    if blocked:
        print_line(f"no vectors can be stored: {blocked}")
    print_line(f"waiting for vectors: {waiting}")


@model.command("list")
@json_option
def list_stored(as_json: bool) -> None:
    """List the models kept on this machine."""
    stored = list_models(load().locations.models)
    if as_json:
        print_json({"models": [_body(item) for item in stored]})
        return
    print_table(
        ("name", "dimensions", "window", "source"),
        (
            (item.manifest.name, str(item.manifest.dimensions), str(item.manifest.window_tokens),
             item.manifest.source)
            for item in stored
        ),
    )  # fmt: skip


@model.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name to keep it under; the folder's by default.")
@click.option("--sha256", help="Expected digest of the ONNX file in the folder.")
@json_option
def import_(path: Path, name: str | None, sha256: str | None, as_json: bool) -> None:
    """Keep the ONNX model in the folder PATH; for machines without network."""
    stored = import_model(path, load().locations.models, name=name, sha256=sha256)
    _print_new(stored, "Imported", as_json=as_json)


@model.command()
@click.argument("name", default="nomic-embed-text-v1.5")
@json_option
def download(name: str, as_json: bool) -> None:
    """Fetch the model NAME once from the Hugging Face hub."""
    from mahavishnu.embedding.model_download import (  # noqa: PLC0415 - slow: HTTP
        fetch,
        require_download,
    )

    loaded, pinned = load(), require_download(name)
    with progress("Downloading", quiet=as_json, in_bytes=True) as advance:
        there = 0

        def report(done: int, total: int) -> None:
            nonlocal there
            advance(done - there, total)
            there = done

        stored = fetch(pinned, loaded.locations.models, environ=loaded.environ, progress=report)
    _print_new(stored, "Downloaded", as_json=as_json)


@model.command()
@click.argument("name")
@json_option
def verify(name: str, as_json: bool) -> None:
    """Compare every file of the model NAME with its recorded SHA-256."""
    _print_stored(verify_model(load().locations.models, name), "Intact:", as_json=as_json)


def _print_new(stored: StoredModel, verb: str, *, as_json: bool) -> None:
    """Print the model, and that nobody could try it where that is so."""
    usable = runs_here()
    _print_stored(stored, verb, as_json=as_json, usable=usable)
    if not usable and not as_json:
        print_line("It was not tried, and is of use once Mahavishnu has its extra `local`.")


def _print_stored(stored: StoredModel, verb: str, *, as_json: bool, **more: bool) -> None:
    if as_json:
        print_json({"model": _body(stored), **more})
    else:
        print_line(f"{verb} {stored.manifest.name} ({stored.manifest.dimensions} dimensions)")


def _body(stored: StoredModel) -> dict[str, Any]:
    manifest = stored.manifest
    return {
        "name": manifest.name,
        "dimensions": manifest.dimensions,
        "window_tokens": manifest.window_tokens,
        "source": manifest.source,
        "imported_at": manifest.imported_at,
        "sha256": manifest.files[manifest.model_file].sha256,
    }
