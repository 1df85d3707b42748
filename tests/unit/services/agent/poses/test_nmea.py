"""NMEA, against pynmea2."""

from datetime import UTC, datetime
from functools import reduce
from operator import xor
from pathlib import Path

import pynmea2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Misconfigured
from services.agent.poses._nmea import read_nmea
from services.agent.poses.track import Fix, MemoryTrack

DAY = datetime(2026, 5, 11, tzinfo=UTC).timestamp()


def _sentence(body: str) -> str:
    return f"${body}*{reduce(xor, body.encode()):02X}\r\n"


def _read(folder: Path, *lines: str) -> MemoryTrack:
    path = folder / "log.nmea"
    path.write_bytes("".join(lines).encode("latin-1"))
    return read_nmea(path)


def _fixes(track: MemoryTrack) -> list[Fix]:
    return [track.fix(index) for index in range(len(track))]


def rmc(time: str, date: str = "110526", *, status: str = "A", course: str = "84.4") -> str:
    return _sentence(f"GPRMC,{time},{status},5506.0000,N,01012.0000,E,022.4,{course},{date},,,A")


def gga(time: str, *, quality: str = "4", latitude: str = "5506.0000", separation: str = "38.5") -> str:
    return _sentence(f"GNGGA,{time},{latitude},N,01012.0000,E,{quality},12,0.7,3.5,M,{separation},M,,")


def test_rmc_and_gga_of_one_time_are_one_fix_with_the_heading_after_them(tmp_path: Path) -> None:
    track = _read(
        tmp_path,
        rmc("081403.25"),
        gga("081403.25", latitude="5506.0006"),
        _sentence("GPGST,081403.25,0.9,,,,0.012,0.015,0.03"),
        _sentence("GPHDT,271.25,T"),
        _sentence("GPGSV,1,1,00"),
        _sentence("GPVTG,84.5,T,,M,22.4,N,41.5,K,A"),
        rmc("081403.50", course=""),
    )
    assert _fixes(track) == [
        pytest.approx(Fix(DAY + 29643.25, 55.10001, 10.2, 42.0, heading=271.25, course=84.5, accuracy=0.015)),
        Fix(DAY + 29643.5, 55.1, 10.2, above_sea=True),
    ]


def test_southern_and_western_halves(tmp_path: Path) -> None:
    track = _read(tmp_path, _sentence("GPRMC,081403.00,A,0030.0000,S,00000.6000,W,1,,110526,,,A"))
    assert _fixes(track) == [pytest.approx(Fix(DAY + 29643, -0.5, -0.01, above_sea=True))]


def test_a_height_without_geoid_separation_is_above_the_sea(tmp_path: Path) -> None:
    (fix,) = _fixes(_read(tmp_path, rmc("081403.00"), gga("081403.00", separation="")))
    assert (fix.altitude, fix.above_sea) == (3.5, True)


def test_midnight(tmp_path: Path) -> None:
    """GGA ten times as often as RMC, before it and after it, and one before the first date is known."""
    track = _read(
        tmp_path,
        gga("235959.80"),
        gga("000000.00"),
        rmc("000000.00", "120526"),
        gga("000000.10"),
        gga("235959.90"),
        gga("000000.20"),
        rmc("000001.00", "130526"),
    )
    assert [round(fix.time - DAY - 86400, 2) for fix in _fixes(track)] == [-0.2, -0.1, 0, 0.1, 0.2, 86401]


def test_a_day_goes_on_after_an_hour_without_a_date(tmp_path: Path) -> None:
    track = _read(tmp_path, rmc("220000.00"), gga("230000.00"), gga("010000.00"))
    assert [fix.time - DAY for fix in _fixes(track)] == [79200, 82800, 90000]


def test_zda_tells_the_date_as_well(tmp_path: Path) -> None:
    track = _read(tmp_path, gga("081403.00"), _sentence("GPZDA,081403.00,11,05,2026,00,00"))
    assert track.time(0) == DAY + 29643


@pytest.mark.parametrize(("date", "year"), [("110580", 1980), ("110579", 2079)])
def test_two_digits_of_a_year(tmp_path: Path, date: str, year: int) -> None:
    assert datetime.fromtimestamp(_read(tmp_path, rmc("000000.00", date)).time(0), UTC).year == year


@pytest.mark.parametrize("lines", [(rmc("081403.00", status="V"),), (rmc("081403.00"), gga("081403.00", quality="0"))])
def test_without_a_fix_of_the_receiver_there_is_none(tmp_path: Path, lines: tuple[str, ...]) -> None:
    track = _read(tmp_path, *lines, rmc("081404.00"))
    assert len(track) == 1
    with pytest.raises(Misconfigured, match="holds no position with a time"):
        _read(tmp_path, *lines)


def test_the_date_of_a_receiver_without_a_fix_is_not_believed(tmp_path: Path) -> None:
    track = _read(tmp_path, rmc("081402.00", "060180", status="V"), gga("081403.00"), rmc("081404.00"))
    assert [fix.time - DAY for fix in _fixes(track)] == [29643, 29644]


def test_a_sentence_after_one_that_was_cut_short_is_read(tmp_path: Path) -> None:
    track = _read(tmp_path, gga("081403.00")[:20] + rmc("081404.00"))
    assert (len(track), track.passed_over) == (1, 0)


def test_a_heading_that_is_not_valid_is_none(tmp_path: Path) -> None:
    (fix,) = _fixes(_read(tmp_path, rmc("081403.00"), _sentence("GPTHS,12.5,V")))
    assert fix.heading is None
    (fix,) = _fixes(_read(tmp_path, rmc("081403.00"), _sentence("GPTHS,12.5,A")))
    assert fix.heading == 12.5


@pytest.mark.parametrize(
    "damaged",
    [
        rmc("081405.00").replace("5506", "5516"),
        rmc("081405.00")[:30] + "\r\n",
        rmc("081405.00").replace("*", "*Z"),
        _sentence("GPRMC,081405.00,A,5506.0000,Q,01012.0000,E,022.4,,110526,,,A"),
        _sentence("GPRMC,081405.00,A,9506.0000,N,01012.0000,E,022.4,,110526,,,A"),
        _sentence("GPRMC,0814,A"),
        _sentence("GPHDT,nan,T"),
        _sentence("GPZDA,081403.00,99,05,2026,00,00"),
    ],
)
def test_a_damaged_sentence_is_passed_over(tmp_path: Path, damaged: str) -> None:
    good = [rmc(f"0814{second:02}.00") for second in range(20, 40)]
    track = _read(tmp_path, *good, damaged, "\xff\x00 no sentence\r\n", "2026-05-11 08:14 " + rmc("081450.00"))
    assert (len(track), track.passed_over) == (21, 1)


def test_a_log_that_is_much_damaged_is_refused(tmp_path: Path) -> None:
    bad = rmc("081405.00").replace("5506", "5516")
    with pytest.raises(Misconfigured, match=r"log\.nmea, line 2: 2 of 3 sentences fail their checksum"):
        _read(tmp_path, rmc("081404.00"), bad, bad)


def test_no_date_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"log\.nmea: no RMC or ZDA sentence tells the date"):
        _read(tmp_path, gga("081404.00"))


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"log\.nmea"):
        _read(tmp_path, "nothing\r\n")


@given(
    st.lists(
        st.tuples(st.integers(0, 8_639_999), st.floats(-88, 88), st.floats(-179.9, 179.9), st.floats(0, 359.9)),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row[0],
    )
)
def test_what_pynmea2_reads_is_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, float, float]]
) -> None:
    sentences = [_rmc(*row) for row in sorted(rows)]
    track = _read(tmp_path_factory.mktemp("nmea"), *sentences)
    for fix, sentence in zip(_fixes(track), sentences, strict=True):
        theirs = pynmea2.parse(sentence.strip(), check=True)
        expected = (theirs.datetime.timestamp(), theirs.latitude, theirs.longitude, theirs.true_course)
        assert (fix.time, fix.latitude, fix.longitude, fix.course) == pytest.approx(expected, abs=1e-9)


def _rmc(hundredths: int, latitude: float, longitude: float, course: float) -> str:
    seconds, rest = divmod(hundredths, 100)
    clock = f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}.{rest:02}"
    north, east = divmod(abs(latitude) * 60, 60), divmod(abs(longitude) * 60, 60)
    place = f"{north[0]:02.0f}{min(north[1], 59.99999):08.5f},{'NS'[latitude < 0]},"
    place += f"{east[0]:03.0f}{min(east[1], 59.99999):08.5f},{'EW'[longitude < 0]}"
    return _sentence(f"GPRMC,{clock},A,{place},10.0,{course:.2f},110526,,,A")
