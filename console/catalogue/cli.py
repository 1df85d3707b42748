"""`panoveil catalogue`: options in, files or objects out."""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from console import status
from console.catalogue import current
from console.catalogue.collection import About
from console.catalogue.documents import Document, documents
from console.catalogue.items import Href
from console.catalogue.projection import Reference, reference
from console.catalogue.publish import at, publish, with_recipes
from console.catalogue.sources import Folder
from panoveil.contracts.keys import Bucket, catalogue_key
from panoveil.runtime import connect
from panoveil.settings import Settings

_OUT = Console()


def catalogue(
    drive: Annotated[str | None, typer.Argument(help="<survey>/<drive>; with --folder only where it holds several.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the catalogue into this folder.")] = None,
    publishing: Annotated[
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
    if (out is None) == (not publishing):
        raise typer.BadParameter("either --out or --publish")
    if drive is None and folder is None:
        raise typer.BadParameter("name a drive, or a folder with --folder")
    if folder is not None and publishing:
        raise typer.BadParameter("what lies in a folder cannot be published: name a drive")
    about = About(str(drive), licence, producer)
    if folder is not None and out is not None:
        count = _of_folder(Folder(folder, drive), about, reference(crs), out, base_url)
    else:
        count = asyncio.run(_of_drive(status.settings(), about, reference(crs), out, base_url))
    if not count:
        _OUT.print(f"Nothing of {drive} is published any more: its catalogue was removed.", soft_wrap=True)
        return
    where = out if out is not None else f"the published bucket, under {catalogue_key(str(drive), '').key}"
    _OUT.print(f"{count} panoramas; collection.json, items.geojson, items.parquet and items/ in {where}", soft_wrap=True)


def _of_folder(source: Folder, about: About, system: Reference, out: Path, base_url: str | None) -> int:
    def place(path: str) -> Href:
        return at(base_url) if base_url else lambda key: Path(os.path.relpath(source.path(key), out / path)).as_posix()

    found = source.found
    _write(documents(replace(about, drive_id=source.drive_id), found, system, place), out)
    return len(found)


async def _of_drive(chosen: Settings, about: About, system: Reference, out: Path | None, base_url: str | None) -> int:
    with status.asking(chosen):
        async with connect(chosen) as world:
            if out is None:
                return await publish(about, system, world.ledger, world.blobs, base_url)
            found = await current.of_drive(about.drive_id, world.ledger, world.blobs)
            told = await with_recipes(about, world.ledger)
            _write(documents(told, found, system, lambda _: at(base_url or f"s3://{chosen.bucket(Bucket.PUBLISHED)}")), out)
            return len(found)


def _write(made: Iterable[Document], out: Path) -> None:
    for one in made:
        path = out / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.data)
