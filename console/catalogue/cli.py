"""`panoveil catalogue`: options in, files or objects out."""

import asyncio
import os
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from console import status
from console.catalogue import current
from console.catalogue.collection import About
from console.catalogue.documents import Document, Place, documents
from console.catalogue.items import Href
from console.catalogue.projection import Reference, reference
from console.catalogue.sources import Folder
from panoveil.blobs import Blobs
from panoveil.contracts.keys import Bucket, catalogue_key
from panoveil.ledger import Ledger
from panoveil.runtime import connect
from panoveil.settings import Settings

_OUT = Console()


def catalogue(
    drive: Annotated[str | None, typer.Argument(help="<survey>/<drive>; with --folder only where it holds several.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the catalogue into this folder.")] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put it into the published bucket, under _catalogue/<survey>/<drive>/.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Of what lies in this folder, as `panoveil demo` leaves it in its folder published/.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Where the published bucket is found: objects are referred to as <base-url>/<key>.")
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(envvar="PANOVEIL_CRS", help="Tell camera positions in this projected system (EPSG:25832, say) too."),
    ] = None,
    licence: Annotated[str, typer.Option(help='SPDX identifier of the licence, or "other".')] = "other",
    producer: Annotated[str, typer.Option(help="Who made the panoramas.")] = "unknown",
) -> None:
    """Write the catalogue of a drive's published panoramas: STAC, GeoJSON, GeoParquet.

    collection.json is the drive (STAC 1.1), items/<capture>.json a panorama each, items.geojson all of them for a map,
    items.parquet all of them as a table (GeoParquet 1.1). Made again, it says what is current now.

    Examples:
        panoveil catalogue fyn-2026/car7-0601 --out catalogue/
        panoveil catalogue fyn-2026/car7-0601 --publish --crs EPSG:25832 --licence CC-BY-4.0
        panoveil catalogue fyn-2026/car7-0601 --out catalogue/ --base-url https://panoramas.example.org
        panoveil catalogue --folder .panoveil/demo/20260601-101500/published --out catalogue/
    """
    if (out is None) == (not publish):
        raise typer.BadParameter("either --out or --publish")
    if drive is None and folder is None:
        raise typer.BadParameter("name a drive, or a folder with --folder")
    if folder is not None and publish:
        raise typer.BadParameter("what lies in a folder cannot be published: name a drive")
    about = About(str(drive), licence, producer)
    if folder is not None and out is not None:
        count = _of_folder(Folder(folder, drive), about, reference(crs), out, base_url)
    else:
        count = asyncio.run(_of_drive(status.settings(), about, reference(crs), out, base_url))
    where = out if out is not None else f"the published bucket, under {catalogue_key(str(drive), '').key}"
    _OUT.print(f"{count} panoramas; collection.json, items.geojson, items.parquet and items/ in {where}", soft_wrap=True)


def _of_folder(source: Folder, about: About, system: Reference, out: Path, base_url: str | None) -> int:
    def place(path: str) -> Href:
        return _at(base_url) if base_url else lambda key: Path(os.path.relpath(source.path(key), out / path)).as_posix()

    found = source.found
    _write(documents(replace(about, drive_id=source.drive_id), found, system, place), out)
    return len(found)


async def _of_drive(chosen: Settings, about: About, system: Reference, out: Path | None, base_url: str | None) -> int:
    with status.asking(chosen):
        async with connect(chosen) as world:
            found = await current.of_drive(about.drive_id, world.ledger)
            told = replace(about, recipes=await _recipes(about.drive_id, world.ledger))
            if out is not None:
                _write(documents(told, found, system, lambda _: _at(base_url or f"s3://{chosen.bucket(Bucket.PUBLISHED)}")), out)
            else:
                await _publish(about.drive_id, documents(told, found, system, _within(about.drive_id, base_url)), world.blobs)
    return len(found)


def _at(base: str) -> Href:
    return lambda key: f"{base.rstrip('/')}/{key}"


def _within(drive_id: str, base_url: str | None) -> Place:
    """Return how documents in the published bucket refer to what lies in it: relatively, unless told otherwise."""

    def place(path: str) -> Href:
        if base_url:
            return _at(base_url)
        folder = posixpath.join(catalogue_key(drive_id, "").key, path)
        return lambda key: posixpath.relpath(key, folder)

    return place


async def _recipes(drive_id: str, ledger: Ledger) -> Mapping[str, Mapping[str, Any]]:
    """Return by id the recipes under which a drive was published, as its audit chain holds them."""
    found: dict[str, Mapping[str, Any]] = {}
    async for entry in ledger.audit_chain(drive_id):
        recipe = entry.body.get("recipe")
        if entry.body.get("kind") == "publication" and isinstance(recipe, Mapping):
            found[str(entry.body["recipe_id"])] = {"code": entry.body.get("code"), **recipe}
    return found


def _write(made: Iterable[Document], out: Path) -> None:
    for one in made:
        path = out / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.data)


async def _publish(drive_id: str, made: Iterable[Document], blobs: Blobs) -> None:
    """Put the documents, then remove those of panoramas that are published no longer."""
    written: set[str] = set()
    for one in made:
        ref = catalogue_key(drive_id, one.path)
        await blobs.put(ref, one.data, one.content_type)
        written.add(ref.key)
    stale = [
        blob.ref async for blob in blobs.list(Bucket.PUBLISHED, catalogue_key(drive_id, "").key) if blob.ref.key not in written
    ]
    for ref in stale:
        await blobs.delete(ref)
