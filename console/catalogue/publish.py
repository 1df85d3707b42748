"""A drive's catalogue in the published bucket, beside what it is of."""

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from console.catalogue import current
from console.catalogue.collection import About
from console.catalogue.documents import Place, documents
from console.catalogue.items import Href
from console.catalogue.projection import Reference
from panoveil.blobs import Blobs
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import Bucket, catalogue_key
from panoveil.ledger import Ledger


async def publish(about: About, system: Reference, ledger: Ledger, blobs: Blobs, base_url: str | None = None) -> int:
    """Write the catalogue of what is current now over the one that is there; return of how many panoramas it is.

    None, and there is no catalogue any more, where nothing of the drive is published any more; `Misconfigured` where there never was one.
    """
    try:
        found = await current.of_drive(about.drive_id, ledger, blobs)
    except Misconfigured:
        if not await _remove_others(about.drive_id, frozenset(), blobs):
            raise
        return 0
    written: set[str] = set()
    for one in documents(await with_recipes(about, ledger), found, system, _within(about.drive_id, base_url)):
        ref = catalogue_key(about.drive_id, one.path)
        await blobs.put(ref, one.data, one.content_type)
        written.add(ref.key)
    await _remove_others(about.drive_id, frozenset(written), blobs)
    return len(found)


async def _remove_others(drive_id: str, written: frozenset[str], blobs: Blobs) -> int:
    """Remove the documents of panoramas that are published no longer; return how many there were."""
    there = [blob.ref async for blob in blobs.list(Bucket.PUBLISHED, catalogue_key(drive_id, "").key)]
    stale = [ref for ref in there if ref.key not in written]
    for ref in stale:
        await blobs.delete(ref)
    return len(stale)


async def with_recipes(about: About, ledger: Ledger) -> About:
    """Add the recipes under which the drive was published, as its audit chain holds them."""
    found: dict[str, Mapping[str, Any]] = {}
    async for entry in ledger.audit_chain(about.drive_id):
        recipe = entry.body.get("recipe")
        if entry.body.get("kind") == "publication" and isinstance(recipe, Mapping):
            found[str(entry.body["recipe_id"])] = {"code": entry.body.get("code"), **recipe}
    return replace(about, recipes=found)


def at(base: str) -> Href:
    """Return where objects are found below an address."""
    return lambda key: f"{base.rstrip('/')}/{key}"


def _within(drive_id: str, base_url: str | None) -> Place:
    """Return how documents in the published bucket refer to what lies in it: relatively, unless told otherwise."""

    def place(path: str) -> Href:
        if base_url:
            return at(base_url)
        folder = posixpath.join(catalogue_key(drive_id, "").key, path)
        return lambda key: posixpath.relpath(key, folder)

    return place
