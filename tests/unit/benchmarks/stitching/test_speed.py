import argparse
from pathlib import Path

import numpy as np
import pytest

from benchmarks.stitching import __main__ as command
from benchmarks.stitching import hugin, pictures, quality
from benchmarks.stitching.floor import Floor
from benchmarks.stitching.metrics import regions
from benchmarks.stitching.ours import MODES, Line, recipe
from benchmarks.stitching.scenes import survey_rig
from benchmarks.stitching.speed import in_turns, memory
from panoveil.pixels import equirect, jpeg, lenses
from simulator.worlds import centred

_WIDTH = 512


def test_the_floor_draws_every_pixel_from_a_lens_that_sees_it() -> None:
    rig = centred(survey_rig(_WIDTH))
    frames = {}
    for lens in rig.lenses:
        pixels = np.stack(np.meshgrid(np.arange(lens.width), np.arange(lens.height)), axis=-1).astype(float)
        rays = lenses.unproject(lens.intrinsics, pixels) @ np.asarray(lens.rotation).T
        frames[lens.name] = (127 + 120 * rays).astype(np.uint8)
    drawn = Floor(rig, _WIDTH, 92).sample(frames).astype(float)
    seen = regions(rig, _WIDTH).seen & (np.abs(np.degrees(equirect.to_angles(equirect.rays(_WIDTH))[1])) < 50)
    assert np.abs(drawn - (127 + 120 * equirect.rays(_WIDTH)))[seen].max() < 4
    encoded = Floor(rig, _WIDTH, 92).work({name: jpeg.encode(frame, 95) for name, frame in frames.items()})
    assert jpeg.dimensions(encoded) == (_WIDTH, _WIDTH // 2)


def test_work_is_done_in_turns_and_the_first_round_does_not_count() -> None:
    done: list[str] = []
    seconds = in_turns({"one": lambda: done.append("one"), "two": lambda: done.append("two")}, 3)
    assert done == ["one", "two"] * 4
    assert [len(each) for each in seconds.values()] == [3, 3]


def test_one_thread_and_two_make_the_same(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    rig = survey_rig(_WIDTH)
    frames = {lens.name: jpeg.encode(np.full((lens.height, lens.width, 3), 90, np.uint8), 92) for lens in rig.lenses}
    line = Line(rig, "fast", _WIDTH, tmp_path)
    with ThreadPoolExecutor(2) as workers:
        assert line.alone(frames) == line.shared(frames, workers)


def test_every_mode_has_a_recipe_of_the_width() -> None:
    assert [recipe(mode, 1024).width for mode in MODES] == [1024, 1024]


def test_seams_are_where_bands_cross_the_horizon_also_behind() -> None:
    assert pictures.seams(regions(survey_rig(_WIDTH), _WIDTH)) == pytest.approx([-108, -36, 36, 108, 180], abs=1)


def test_all_promised_keys_are_there_whatever_was_left_out() -> None:
    options = argparse.Namespace(modes=["fast", "best"], width=_WIDTH)
    figures = command._figures(options, {"floor": {}, "fast": {"cpu_s": 0.5}}, quality.Found())
    assert set(command.KEYS) <= set(figures["fast"])
    assert set(command.KEYS) <= set(figures["best"])
    assert figures["fast"]["cpu_s"] == 0.5
    assert figures["fast"]["cpu_vs_enblend"] is None


def test_without_hugin_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("sys.argv", ["stitching", "--quick"])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 78
    assert hugin.INSTALL in capsys.readouterr().err


def test_a_worker_says_what_it_held(tmp_path: Path) -> None:
    from benchmarks.stitching.scenes import Scene  # noqa: PLC0415

    rig = survey_rig(_WIDTH)
    frames = {lens.name: jpeg.encode(np.full((lens.height, lens.width, 3), 90, np.uint8), 92) for lens in rig.lenses}
    scene = Scene("grey", True, rig, frames, np.zeros((_WIDTH // 2, _WIDTH, 3), np.uint8))  # noqa: FBT003
    held = memory(scene, "fast", _WIDTH, tmp_path / "tables")
    assert 20 < held["private_mb"] < held["rss_mb"] < 2000
