"""A picture in, the bytes to publish out, or the reason why not: detect, obfuscate, patch, verify what was patched."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import cast

import numpy as np
from numpy.typing import NDArray

from panoveil import telemetry
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.detection import Detector, Kind
from panoveil.detection.views import View, flat_plan, looking_at, panorama_plan
from panoveil.pixels import jpeg
from panoveil.pixels.shrinking import Shrinking
from services.anonymizer.merge import merged
from services.anonymizer.metadata import described, scan
from services.anonymizer.obfuscate import share
from services.anonymizer.original import Original
from services.anonymizer.regions import Extent, Rect, Region, coverage, enclosing, from_mark, grown, mask, within

Picture = NDArray[np.uint8]

SERVICE = "anonymizer"
VIEWS_AT_ONCE = 4
"""Views in memory and under way at the detector, for one picture."""

NEAR = ((24.0, 1.75), (80.0, 2.5))
"""Heights of a face, in pixels of the picture, and the factor on its threshold above them; see `needed`."""

BLOCK = 24
"""Pixels from a rectangle up to which the feather and the blocks of the JPEG carry its change."""

MORE = 0.5
"""Share of its size by which what verification finds is hidden more broadly than what the first look found."""

LARGEST_PLATE = 23.0
"""Degrees; see `possible`."""

COVERED = 0.9
"""Share of a detection that must lie under obfuscation for it to count as gone; see `_uncovered`."""

UNSEEN = 0.25
"""Share of a detection that must lie under obfuscation for hiding to have brought it to light; see `Verification`."""

DOUBTFUL = 1 / 3
"""How far from what is needed to certainty a score may lie for a find to pass for a moment's likeness; see `Verification`."""

FEWEST_ROUNDS = 3
"""Of a verification whose last round lets doubtful finds pass: before it there is one that hides what such a find was."""

ACCEPTED = 0.9
"""Share of a detection that must lie in a box that a person accepted for it to count as looked at; see `_unaccepted`."""


@dataclass(frozen=True, slots=True)
class Description:
    """Metadata to publish: EXIF and XMP as `metadata` builds them; empty is none."""

    exif: bytes
    xmp: bytes


@dataclass(frozen=True, slots=True)
class Anonymized:
    """A picture that may be published: the bytes, what was obfuscated and where, and after how many rounds nothing was left.

    `encoded_anew`: the bytes are no patch of the input's, see `Original`. `picture`: what the bytes show, as it was looked at last.
    """

    jpeg: bytes
    regions: tuple[Region, ...]
    rects: tuple[Rect, ...]
    rounds: int
    encoded_anew: bool
    picture: Picture = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Held:
    """A picture that must not be published until a person has looked.

    `regions` is what the last round hid, `left` what it still found, an object each.
    """

    reason: Reason
    detail: str
    regions: tuple[Region, ...]
    rounds: int
    left: tuple[Region, ...] = ()


async def anonymize(
    picture: Picture,
    detector: Detector,
    recipe: AnonymizeRecipe,
    *,
    panorama: bool,
    description: Description | None = None,
    source: bytes | None = None,
    carried: Iterable[Region] = (),
) -> Anonymized | Held:
    """Anonymise uint8 [H, W, 3] RGB; a panorama is a whole equirectangular one, anything else a plain photo.

    `source` is the JPEG it was decoded from, if any: where that can be patched, whatever is not obfuscated stays bit for bit.
    `carried` was found in what the picture was made from; it counts from the same scores as what is found here. What the recipe's review
    hides is hidden besides; what it accepts only counts where verification finds it.

    Every round patches the original anew, decodes what would be published and looks for what is left, with other views and at other
    scales than the first look. What is found is hidden in the next round, with more round it: what the first look missed is doubtful in
    its extent, and the edge of a patch beside it may have had a part in it. `Unavailable` where the detector gives no valid answer.
    """
    extent = Extent.of(picture, panorama=panorama)
    found = await look(picture, plan(extent, recipe), detector, recipe, panorama=panorama)
    also = (*_drawn(recipe, extent), *(region for region in carried if region.score >= needed(region, recipe)))
    first = merged((*found, *also), extent)
    late: tuple[Region, ...] = ()
    original = await asyncio.to_thread(_original, picture, source, recipe)
    verification = Verification(extent, detector, recipe)
    for number in range(1, recipe.verification_rounds + 1):
        regions = (*first, *late)
        margins = (*repeat(recipe.margin, len(first)), *repeat(recipe.margin + MORE, len(late)))
        rects = tuple(map(grown, regions, margins, repeat(extent), repeat(original.layout.unit)))
        data = await asyncio.to_thread(_published, original, rects, recipe, extent, description)
        left = await verification.left_in(data, rects, last=FEWEST_ROUNDS <= number == recipe.verification_rounds)
        if not left:
            shown = cast("Picture", verification.seen)
            return _checked(Anonymized(data, regions, rects, number, original.encoded_anew, shown), extent)
        late = merged((*late, *left), extent)
    telemetry.VERIFICATIONS.labels("found").inc()
    still = merged(left, extent)
    return Held(Reason.NOT_VERIFIED, f"{len(still)} regions were still found in round {number}", regions, number, still)


def _drawn(recipe: AnonymizeRecipe, extent: Extent) -> tuple[Region, ...]:
    """Return what a person drew, where somebody did."""
    return tuple(from_mark(box, extent) for box in recipe.review.hide) if recipe.review else ()


def plan(extent: Extent, recipe: AnonymizeRecipe, *, second: bool = False) -> tuple[View, ...]:
    """Return the views of the first look, or of the verification."""
    if extent.wraps:
        return panorama_plan(extent.width, recipe.view_plan, second=second)
    return flat_plan(extent.width, extent.height, recipe.view_plan, second=second)


async def look(
    picture: Picture, views: Sequence[View], detector: Detector, recipe: AnonymizeRecipe, *, panorama: bool
) -> list[Region]:
    """Return everything that scores above its model's threshold in any of the views, in the picture's coordinates."""
    slots, shown = asyncio.Semaphore(VIEWS_AT_ONCE), Shrinking(picture)

    async def through(view: View) -> list[Region]:
        async with slots:
            return await _look_through(view, shown, detector, recipe)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(through(view)) for view in views]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    extent = Extent.of(picture, panorama=panorama)
    return [region for task in tasks for region in task.result() if possible(region, extent)]


async def _look_through(view: View, picture: Shrinking, detector: Detector, recipe: AnonymizeRecipe) -> list[Region]:
    shown = await asyncio.to_thread(_sampled, view, picture)
    found: list[Region] = []
    for kind in view.kinds:
        (detections,) = await detector.detect(kind, shown[None])
        likely = detections.above(threshold(kind, recipe))
        boxes = zip(likely.scores.tolist(), view.locate(likely.boxes).tolist(), strict=True)
        found += [Region(kind, score, *box) for score, box in boxes]
    return [region for region in found if region.score >= needed(region, recipe)]


def threshold(kind: Kind, recipe: AnonymizeRecipe) -> float:
    """Return the recipe's threshold for a kind."""
    return recipe.face.threshold if kind == "face" else recipe.plate.threshold


def needed(region: Region, recipe: AnonymizeRecipe) -> float:
    """Return the score from which a region counts: its model's threshold, and for near faces a multiple of it.

    The face model is sure of near faces: the higher bars cost no recall on any set they were measured on, and they spare tree crowns
    and façades.
    """
    height = region.y1 - region.y0 if region.kind == "face" else 0.0
    factor = max((factor for least, factor in NEAR if height > least), default=1.0)
    return threshold(region.kind, recipe) * factor


def possible(region: Region, extent: Extent) -> bool:
    """Whether something of that size can be there: in a panorama, no plate spans more than 23 degrees from corner to corner.

    That is 0.6 metres, a European plate in a loosely drawn box, at 1.5 metres from the cameras. A photo may be taken from any distance.
    """
    if region.kind == "face" or not extent.wraps:
        return True
    return math.hypot(region.x1 - region.x0, region.y1 - region.y0) <= LARGEST_PLATE / 360 * extent.width


def _sampled(view: View, picture: Shrinking) -> Picture:
    with telemetry.measured(SERVICE, "sample"):
        return view.sample(picture)


def _original(picture: Picture, source: bytes | None, recipe: AnonymizeRecipe) -> Original:
    with telemetry.measured(SERVICE, "encode"):
        return Original.of(picture, source, recipe.jpeg_quality)


def _published(
    original: Original, rects: tuple[Rect, ...], recipe: AnonymizeRecipe, extent: Extent, description: Description | None
) -> bytes:
    with telemetry.measured(SERVICE, "obfuscate"):
        data = original.obfuscated(rects, recipe.obfuscator, extent)
    return described(data, description.exif, description.xmp) if description else data


@dataclass(slots=True)
class Verification:
    """The looks at what would be published.

    The first of them is the independent second look: all views of the second plan. Every later one only checks what hiding the last
    finds did to their neighbourhood, for every place has had its two looks: it looks where pixels have changed, and what it finds counts
    if it holds such pixels. The same pixels were no find a round before; what else a view of other edges, or a patch beside them, makes of
    them is chance.

    In the last round of three or more, which holds a picture, doubtful finds count only where hiding may have brought them to light. What
    lay in the open was seen twice and no find; beside a patch, and under the rim of one, it may look like one for a moment, and what
    hides that has a rim again. What a detector did not answer because something else was surer in its place has its middle under what
    hides that. What the detector is sure of always counts.
    """

    extent: Extent
    detector: Detector
    recipe: AnonymizeRecipe
    seen: Picture | None = None

    async def left_in(self, data: bytes, rects: tuple[Rect, ...], *, last: bool = False) -> list[Region]:
        """Return what the detector finds in the decoded bytes outside of `rects`, but for what a person accepted.

        In the `last` round, but for what may pass there as well.
        """
        picture = await asyncio.to_thread(_decoded, data)
        changed = await asyncio.to_thread(self._changed, picture, rects)
        views = plan(self.extent, self.recipe, second=True)
        if changed is not None:
            views = looking_at(views, [(rect.x0, rect.y0, rect.x1, rect.y1) for rect in changed])
        found = await look(picture, views, self.detector, self.recipe, panorama=self.extent.wraps)
        if changed is not None:
            found = [region for region in found if self._differs(picture, enclosing(region, self.extent))]
        self.seen = picture
        hidden = await asyncio.to_thread(mask, rects, self.extent)
        uncovered = _uncovered(found, hidden, self.extent)
        counting = [region for region in uncovered if not last or self._counts(region, hidden)]
        telemetry.DISMISSED_FINDS.inc(len(uncovered) - len(counting))
        return _unaccepted(counting, self.recipe, self.extent)

    def _counts(self, region: Region, hidden: NDArray[np.bool_]) -> bool:
        """Whether a find of the last round holds a picture."""
        least = needed(region, self.recipe)
        return region.score >= least + DOUBTFUL * (1 - least) or _brought_to_light(region, hidden, self.extent)

    def _changed(self, picture: Picture, rects: tuple[Rect, ...]) -> tuple[Rect, ...] | None:
        """Return where a picture differs from the last round's; None in the first round, to which everything is new."""
        if self.seen is None:
            return None
        return tuple(rect for rect in map(self._rimmed, rects) if self._differs(picture, rect))

    def _rimmed(self, rect: Rect) -> Rect:
        """Return the pixels that obfuscating a rectangle may have changed, in whole blocks of the JPEG."""
        return grown(Region("face", 0.0, rect.x0 - BLOCK, rect.y0 - BLOCK, rect.x1 + BLOCK, rect.y1 + BLOCK), 0.0, self.extent)

    def _differs(self, picture: Picture, rect: Rect) -> bool:
        before = cast("Picture", self.seen)
        return any(not np.array_equal(picture[piece], before[piece]) for piece in rect.pieces(self.extent.width))


def _decoded(data: bytes) -> Picture:
    with telemetry.measured(SERVICE, "decode"):
        return jpeg.decode(data)


def _uncovered(found: Iterable[Region], hidden: NDArray[np.bool_], extent: Extent) -> list[Region]:
    """Return the detections that are not gone.

    Detectors fire on obfuscated patches too: a smooth blob on a pair of shoulders looks like a head. Such a detection lies, but for a
    rim, on pixels that were made from the surroundings and hold nothing of anybody, so it counts as covered. The bar is 90 % of the
    area of the *detection*, before any margin: since an obfuscated rectangle reaches at least 15 % beyond the object on every side, what
    may stick out is a rim that is not the object. A detection that sticks out further may be a neighbour and joins the regions.
    """
    return [region for region in found if coverage(region, hidden, extent) < COVERED]


def _brought_to_light(region: Region, hidden: NDArray[np.bool_], extent: Extent) -> bool:
    """Whether a quarter of a detection, or its middle, lies under obfuscation."""
    x, y = (region.x0 + region.x1) / 2, (region.y0 + region.y1) / 2
    return coverage(region, hidden, extent) >= UNSEEN or bool(hidden[min(int(y), extent.height - 1), int(x) % extent.width])


def _unaccepted(found: list[Region], recipe: AnonymizeRecipe, extent: Extent) -> list[Region]:
    """Return the detections that no person has looked at and let pass.

    A person looked at a place in which one kind of thing was found: what reaches further, or is of the other kind, nobody has seen.
    """
    accepted = [from_mark(box, extent) for box in recipe.review.accept] if recipe.review else []
    return [
        region
        for region in found
        if not any(region.kind == box.kind and within(region, box, extent) >= ACCEPTED for box in accepted)
    ]


def _checked(result: Anonymized, extent: Extent) -> Anonymized | Held:
    """Scan the file round the pixels, and count."""
    findings = scan(result.jpeg)
    telemetry.VERIFICATIONS.labels("metadata" if findings else "clean").inc()
    if findings:
        return Held(Reason.NOT_VERIFIED, "; ".join(map(str, findings))[:400], result.regions, result.rounds)
    telemetry.VERIFICATION_ROUNDS.observe(result.rounds)
    telemetry.OBFUSCATED_SHARE.observe(share(result.rects, extent))
    for region in result.regions:
        telemetry.DETECTIONS.labels(region.kind, telemetry.height_name(region.y1 - region.y0)).inc()
    return result
