"""CSV: columns by their names, and a sentence for every line that is wrong."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Misconfigured
from services.agent.poses._csv import read_csv
from services.agent.poses.clock import utc_of_gps
from services.agent.poses.track import Fix, MemoryTrack

AT = datetime(2026, 5, 11, 8, 14, 3, 250000, tzinfo=UTC).timestamp()


def _read(folder: Path, text: str) -> MemoryTrack:
    path = folder / "poses.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return read_csv(path, 18)


def _one(folder: Path, text: str) -> Fix:
    track = _read(folder, text)
    assert len(track) == 1
    return track.fix(0)


def test_every_column(tmp_path: Path) -> None:
    fix = _one(
        tmp_path,
        "time,lat,lon,altitude,heading,pitch,roll,course,accuracy,comment\n"
        "2026-05-11T08:14:03.25Z,55.1,10.2,40.5,359.5,-1.5,2.5,358,0.03,tunnel\n",
    )
    assert fix == Fix(AT, 55.1, 10.2, 40.5, 359.5, -1.5, 2.5, 358, 0.03)


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("time", "2026-05-11T10:14:03.25+02:00"),
        ("UTC", "2026-05-11 08:14:03.250Z"),
        ("timestamp", f"{AT:.2f}"),
        ("epoch", f"{AT:.3f}"),
        ("epoch_ms", f"{AT * 1e3:.0f}"),
        ("epoch_us", f"{AT * 1e6:.0f}"),
        ("Epoch [ns]", ""),
        ("epoch_ns", f"{AT * 1e9:.0f}"),
        ("gps_week,gps_sow", "2418,116061.25"),
    ],
)
def test_every_way_to_tell_the_time(tmp_path: Path, columns: str, values: str) -> None:
    if not values:
        columns, values = "Epoch_ns", f"{AT * 1e9:.0f}"
    fix = _one(tmp_path, f"{columns},latitude,longitude\n{values},55,10\n")
    assert fix.time == pytest.approx(AT, abs=1e-5)


def test_seconds_of_the_week_alone_leave_the_week_open(tmp_path: Path) -> None:
    track = _read(tmp_path, "tow,lat,lon\n604799.5,55,10\n604800.5,55,10\n")
    assert track.weekly
    assert [track.time(0), track.time(1)] == [604799.5, 604800.5]
    assert not _read(tmp_path, "week,tow,lat,lon\n2418,5,55,10\n").weekly
    assert _read(tmp_path, "week,tow,lat,lon\n2418,5,55,10\n").time(0) == utc_of_gps(2418, 5, 18)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_line_ends_comments_units_and_a_byte_order_mark(tmp_path: Path, delimiter: str, end: str) -> None:
    lines = [
        "\ufeff# a logger's remark",
        "",
        delimiter.join(['"Time"', "Latitude [deg]", "LON (deg)", "Height"]),
        delimiter.join([f"{AT}", "55", "10", ""]),
        "",
    ]
    assert _one(tmp_path, end.join(lines)) == Fix(AT, 55, 10)


def test_heights_above_the_sea_are_told_apart(tmp_path: Path) -> None:
    head = "epoch,lat,lon,altitude_msl"
    assert _one(tmp_path, f"{head}\n{AT},55,10,3\n")[3:] == Fix(AT, 55, 10, 3, above_sea=True)[3:]
    assert _one(tmp_path, f"{head},undulation\n{AT},55,10,3,38.5\n").altitude == 41.5
    assert not _one(tmp_path, f"{head},undulation\n{AT},55,10,3,38.5\n").above_sea
    assert _one(tmp_path, f"{head},altitude\n{AT},55,10,3,41\n").altitude == 41


LINE = f"\n{AT},55,10,5\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("# only a remark\n", "is empty"),
        ("time,lat,lon\n", "holds no position"),
        ("lat,lon\n55,10\n", "line 1: no column tells the time"),
        ("time,lat\n1,2\n", "line 1: no column is called longitude: name it longitude or lon"),
        ("time,epoch,lat,lon\n", "line 1: time and epoch_s are columns"),
        ("time,lat,latitude,lon\n", "line 1: columns 'lat' and 'latitude' both mean latitude"),
        ("#\ntime,lat,lon\n2026-05-11T08:14:03,55,10\n", "line 3: '2026-05-11T08:14:03' does not say its zone: write Z"),
        ("time,lat,lon\nyesterday,55,10\n", "line 2: 'yesterday' is no time"),
        (
            "time,lat,lon\n1778487243250,55,10\n",
            "line 2: a time of 1778487243250 is no seconds of the epoch: call the column epoch_ms",
        ),
        ("time;lat;lon\n1778487243;55,1;10,2\n", "line 2: latitude '55,1' has a decimal comma: write decimal points"),
        ("time,lat,lon\n1778487243,55,1,10,2\n", "line 2: 5 columns, where the header names 3: are decimals written with commas"),
        ('time,lat,lon\n1778487243,"55,1",10\n', "line 2: latitude '55,1' has a decimal comma"),
        ("time,lat,lon\n1778487243,55\n", "line 2: 2 columns, where the header names 3$"),
        (f"epoch,lat,lon,heading\n{AT},55,10,5\n{LINE}{AT},55,10,north\n", "line 5: heading 'north' is no number"),
        ("time,lat,lon\n1778487243,,10\n", "line 2: the latitude is missing"),
        ("time,lat,lon\n1778487243,95,10\n", "line 2: a latitude of 95° cannot be"),
        ("time,lat,lon\n1778487243,nan,10\n", "line 2: latitude 'nan' is no number"),
        ("time,lat,lon,pitch\n1778487243,5,10,inf\n", "line 2: pitch 'inf' is no number"),
        ("time,lat,lon,accuracy\n1778487243,5,10,-1\n", "line 2: an accuracy of -1 m cannot be"),
    ],
)
def test_one_sentence_names_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words) as caught:
        _read(tmp_path, text)
    assert str(tmp_path / "poses.csv") in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "poses.csv"
    for data in (b"\xff\xfe\x00", b"time,lat,lon\n1778487243,55,10\n" * 2 + b"\xff"):
        path.write_bytes(data)
        with pytest.raises(Misconfigured, match=r"no UTF-8|is no time"):
            read_csv(path, 18)


@given(st.lists(st.tuples(st.floats(1e9, 2e9), st.floats(-89, 89), st.floats(-180, 179.9)), min_size=1, max_size=20))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, float]]) -> None:
    text = "epoch,lat,lon\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows)
    track = _read(tmp_path_factory.mktemp("csv"), text)
    latest = {time: (time, latitude) for time, latitude, _ in rows}
    assert [track.fix(index)[:2] for index in range(len(track))] == [latest[time] for time in sorted(latest)]
