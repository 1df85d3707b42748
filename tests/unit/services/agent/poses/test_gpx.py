"""GPX, against gpxpy."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import gpxpy
import gpxpy.gpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Misconfigured
from services.agent.poses._gpx import read_gpx
from services.agent.poses.track import Fix, MemoryTrack

AT = datetime(2026, 5, 11, 8, 14, 3, 250000, tzinfo=UTC)
GARMIN = """<?xml version="1.0"?>
<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1" xmlns:v2="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">
<metadata><time>2020-01-01T00:00:00Z</time></metadata>
<wpt lat="1" lon="1"><time>2020-01-01T00:00:00Z</time></wpt>
<trk><name>a</name><trkseg>
<trkpt lat="55.1" lon="10.2"><ele>3.5</ele><time>2026-05-11T08:14:03.25Z</time>
<extensions><v2:TrackPointExtension><v2:speed>8.1</v2:speed><v2:course>271.5</v2:course></v2:TrackPointExtension></extensions></trkpt>
</trkseg><trkseg>
<trkpt lat="55.2" lon="10.2"><time>2026-05-11T10:14:04+02:00</time><geoidheight>38.5</geoidheight><ele>4</ele></trkpt>
<trkpt lat="55.3" lon="10.2"><ele>4</ele></trkpt>
</trkseg></trk></gpx>
"""


def _read(folder: Path, text: str) -> MemoryTrack:
    path = folder / "track.gpx"
    path.write_text(text)
    return read_gpx(path)


def test_track_points_with_a_time_and_their_extensions(tmp_path: Path) -> None:
    track = _read(tmp_path, GARMIN)
    assert [track.fix(index) for index in range(len(track))] == [
        Fix(AT.timestamp(), 55.1, 10.2, 3.5, course=271.5, above_sea=True),
        Fix(AT.timestamp() + 0.75, 55.2, 10.2, 42.5),
    ]
    assert track.passed_over == 1


def test_version_1_0_has_no_namespace_of_ours_and_its_own_course(tmp_path: Path) -> None:
    point = '<trkpt lat="55" lon="10"><time>2026-05-11T08:14:03.25</time><course>12</course></trkpt>'
    track = _read(tmp_path, f'<gpx version="1.0"><trk><trkseg>{point}</trkseg></trk></gpx>')
    assert track.fix(0) == Fix(AT.timestamp(), 55, 10, course=12, above_sea=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: no element found"),
        ("<gpx>\n<trk>\n</gpx>", "line 3: mismatched tag"),
        ("<gpx></gpx>", "holds no position with a time: each <trkpt> needs a <time>"),
        (
            '<gpx><trk>\n<trkpt lat="55" lon="1O"><time>2026-05-11T08:14:03Z</time></trkpt></trk></gpx>',
            "line 2: lon '1O' is no number",
        ),
        ('<gpx>\n\n<trkpt lat="55"></trkpt></gpx>', "line 3: a <trkpt> has no lon"),
        ('<gpx>\n<trkpt lat="5" lon="5"><time>noon</time></trkpt></gpx>', "line 2: <time> 'noon' is no time"),
        ('<gpx>\n<trkpt lat="95" lon="5"><time>2026-05-11T08:14:03Z</time></trkpt></gpx>', "line 2: a latitude of 95° cannot be"),
        ('<!DOCTYPE g [<!ENTITY a "b">]>\n<gpx></gpx>', "line 1: it declares an entity"),
    ],
)
def test_one_sentence_names_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words) as caught:
        _read(tmp_path, text)
    assert str(tmp_path / "track.gpx") in str(caught.value)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.floats(-89, 89), st.floats(-180, 179.9), st.floats(-400, 9000)),
        min_size=1,
        max_size=20,
    )
)
def test_what_gpxpy_writes_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, float, float]]) -> None:
    gpx, segment = gpxpy.gpx.GPX(), gpxpy.gpx.GPXTrackSegment()
    gpx.tracks.append(gpxpy.gpx.GPXTrack())
    gpx.tracks[0].segments.append(segment)
    for milliseconds, latitude, longitude, height in rows:
        time = AT + timedelta(milliseconds=milliseconds)
        segment.points.append(gpxpy.gpx.GPXTrackPoint(latitude, longitude, height, time=time))
    text = gpx.to_xml()
    track = _read(tmp_path_factory.mktemp("gpx"), text)
    points = {point.time.timestamp(): point for point in gpxpy.parse(text).tracks[0].segments[0].points if point.time}
    assert len(track) == len(points)
    for index, (seconds, point) in enumerate(sorted(points.items())):
        expected = (seconds, point.latitude, point.longitude, point.elevation)
        assert track.fix(index)[:4] == pytest.approx(expected, abs=1e-9)
