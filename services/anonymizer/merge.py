"""Many views see the same object: one region an object, never smaller than any view saw it."""

from collections.abc import Iterable

from services.anonymizer.regions import Extent, Region, fitted

SAME = 0.5
"""Share of the smaller of two boxes that must lie in the other for both to be the same object."""


def merged(regions: Iterable[Region], extent: Extent) -> tuple[Region, ...]:
    """Return regions of which each encloses what belongs to one object; every given region lies within one of them.

    The best score leads: whatever of its kind shares half of the smaller box's area with the leader joins it. Neighbours in a crowd
    stay apart, since members are compared with the leader, not with what has grown round it.
    """
    waiting = sorted((fitted(region, extent) for region in regions), key=lambda region: -region.score)
    results: list[Region] = []
    while waiting:
        leader, waiting = waiting[0], waiting[1:]
        grown, left = leader, []
        for region in waiting:
            near = _near(leader, region, extent)
            if near is None:
                left.append(region)
            else:
                grown = grown.union(near)
        waiting = left
        results.append(fitted(grown, extent))
    return tuple(results)


def _near(leader: Region, region: Region, extent: Extent) -> Region | None:
    """Return the region where it lies on the leader, moved round the panorama if need be, or None where it is something else."""
    if leader.kind != region.kind:
        return None
    smaller = min(leader.area, region.area)
    moved = max((region.moved(turn) for turn in extent.turns), key=leader.overlap)
    return moved if leader.overlap(moved) > SAME * smaller else None
