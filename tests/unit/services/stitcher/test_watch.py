"""Drives down the virtual street: what they tell after how many captures, in what order and however often."""

import numpy as np
import pytest

from panoveil.contracts.messages import Quality
from panoveil.contracts.recipe import QualityGate, StitchRecipe
from services.stitcher import gate, tables, watch
from services.stitcher.inspection import Inspection, Spots, inspect
from services.stitcher.stitch import stitch
from services.stitcher.tables import Overview
from simulator import wear
from simulator.rigs import demo_rig
from tests.unit.services.stitcher import drives
from tests.unit.services.stitcher.virtual import Image

RIG = demo_rig(1024)
RECIPE = StitchRecipe(width=512)
CAPTURES = 6


@pytest.fixture(scope="module", name="overview")
def an_overview(tmp_path_factory: pytest.TempPathFactory) -> Overview:
    return tables.load(RIG, RECIPE, tmp_path_factory.mktemp("tables")).overview


@pytest.fixture(scope="module", name="spots")
def the_rigs_spots(overview: Overview) -> Spots:
    return Spots.of(RIG, RECIPE, overview)


@pytest.fixture(scope="module", name="loaded")
def loaded_tables(tmp_path_factory: pytest.TempPathFactory) -> tables.Tables:
    return tables.load(RIG, RECIPE, tmp_path_factory.mktemp("more"))


def _inspected(frames: list[Image], spots: Spots, loaded: tables.Tables) -> tuple[Inspection, Quality]:
    panorama = stitch({lens.name: frame for lens, frame in zip(RIG.lenses, frames, strict=True)}, RIG, RECIPE, loaded)
    seen = inspect(frames, panorama.views, panorama.gains, RIG, spots, loaded.overview)
    nothing = watch.Verdict((None,) * len(RIG.lenses), None)
    return seen, gate.graded(panorama.quality, seen.lenses, nothing, RIG.rig_id)


@pytest.fixture(scope="module", name="sound")
def sound_captures(spots: Spots, loaded: tables.Tables) -> list[Inspection]:
    return [_inspected(drives.frames(1, CAPTURES, 1024, number), spots, loaded)[0] for number in range(CAPTURES)]


@pytest.fixture(scope="module", name="turned")
def captures_of_a_turned_lens(spots: Spots, loaded: tables.Tables) -> list[Inspection]:
    turn = (0.5, 0.0, 0.0)
    return [_inspected(drives.frames(1, CAPTURES, 1024, number, "right", turn), spots, loaded)[0] for number in range(CAPTURES)]


def _watched(captures: list[Inspection], spots: Spots, overview: Overview) -> watch.Watch:
    watching = watch.Watch(spots, overview)
    for number, seen in enumerate(captures):
        watching.add(str(number), seen.glance)
    return watching


def _surely(watching: watch.Watch) -> list[float]:
    return [0.0 if turn is None else max(0.0, turn.degrees - turn.bound) for turn in watching.verdict().turns]


def test_good_captures_of_a_sound_rig_pass(
    spots: Spots, overview: Overview, loaded: tables.Tables, sound: list[Inspection]
) -> None:
    assert max(_surely(_watched(sound, spots, overview))) < gate.NOTICED_DRIFT / 2
    for number in range(3):
        _, quality = _inspected(drives.frames(1, CAPTURES, 1024, number), spots, loaded)
        assert quality.score is not None
        assert quality.score > 0.8
        assert gate.held(quality, QualityGate(), RIG.rig_id) is None


def test_a_turned_lens_is_told_as_soon_as_enough_was_seen(spots: Spots, overview: Overview, turned: list[Inspection]) -> None:
    early = _watched(turned[: watch.ENOUGH_FOR_DRIFT - 1], spots, overview)
    assert early.verdict().turns == (None,) * 5
    surely = _surely(_watched(turned, spots, overview))
    assert surely[1] > gate.NOTICED_DRIFT
    assert max(np.delete(surely, 1)) < gate.NOTICED_DRIFT / 2


def test_the_order_does_not_matter_and_a_capture_counts_once(spots: Spots, overview: Overview, turned: list[Inspection]) -> None:
    watching = watch.Watch(spots, overview)
    for number in (4, 0, 4, 5, 2, 0, 3, 1, 1):
        watching.add(str(number), turned[number].glance)
    there, here = watching.verdict().turns[1], _watched(turned, spots, overview).verdict().turns[1]
    assert there is not None
    assert here is not None
    assert there.degrees == pytest.approx(here.degrees, abs=0.03)
    fewer = _watched(turned[:5], spots, overview)
    for _ in range(5):
        fewer.add("4", turned[4].glance)
    assert fewer.verdict().turns == (None,) * 5


def test_a_drop_is_told_of_and_a_clean_lens_not(spots: Spots, loaded: tables.Tables) -> None:
    clean, wet = watch.Watch(spots, loaded.overview), watch.Watch(spots, loaded.overview)
    for number in range(watch.ENOUGH_FOR_DIRT):
        frames = drives.frames(11, 40, 1024, number)
        drop = [*frames[:1], wear.wet(frames[1], (0.5, 0.5), 0.08), *frames[2:]]
        clean.add(str(number), _inspected(frames, spots, loaded)[0].glance)
        wet.add(str(number), _inspected(drop, spots, loaded)[0].glance)
        if number < watch.ENOUGH_FOR_DIRT - 1:
            assert wet.verdict().stains is None
    assert clean.verdict().stains == ()
    (stain,) = wet.verdict().stains or ()
    x0, y0, x1, y1 = stain.box
    assert stain.lens == 1
    assert x0 < 0.5 * RIG.lenses[1].width < x1
    assert y0 < 0.5 * RIG.lenses[1].height < y1 + 40
    assert x1 - x0 < 0.25 * RIG.lenses[1].width


def test_only_the_last_drives_are_remembered(spots: Spots, overview: Overview) -> None:
    watches = watch.Watches()
    first = watches.of("a/1", "rig", spots, overview)
    assert watches.of("a/1", "rig", spots, overview) is first
    assert watches.of("a/1", "other", spots, overview) is not first
    for number in range(20):
        watches.of(f"b/{number}", "rig", spots, overview)
    assert watches.of("a/1", "rig", spots, overview) is not first
