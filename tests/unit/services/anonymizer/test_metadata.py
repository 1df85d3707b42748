import io
import struct
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import exifread
import pytest
from exifread.utils import get_gps_coords
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from panoveil.contracts.messages import Pose
from panoveil.pixels import jpeg
from services.anonymizer.metadata import described, exif, scan, xmp
from tests.unit.services.anonymizer import scenes

POSE = Pose(latitude=55.6761, longitude=-12.5683, altitude=-3.25, heading=93.5, pitch=-0.6, roll=1.2, accuracy=0.04)
AT = datetime(2026, 5, 11, 8, 13, 58, 200_000, tzinfo=UTC)
RDF, GPANO = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://ns.google.com/photos/1.0/panorama/"
BARE = jpeg.encode(scenes.street(128, 64), 90)
GOOD = described(BARE, exif(POSE, AT), xmp(POSE, 128, 64))


def segment(marker: int, body: bytes) -> bytes:
    return GOOD[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body + GOOD[2:]


def with_exif(change: Any) -> bytes:
    tags = Image.Exif()
    change(tags)
    return described(BARE, tags.tobytes().removeprefix(b"Exif\x00\x00"), xmp(POSE, 128, 64))


poses = st.builds(
    Pose, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), altitude=st.none() | st.floats(-400, 9000),
    heading=st.none() | st.floats(0, 360), pitch=st.none() | st.floats(-90, 90), roll=st.none() | st.floats(-180, 180),
    accuracy=st.none() | st.floats(0, 100),
)  # fmt: skip


@given(poses, st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_whatever_we_write_passes_our_own_scan(pose: Pose, at: datetime) -> None:
    assert scan(described(BARE, exif(pose, at), xmp(pose, 128, 64))) == []


def test_readers_find_position_direction_and_time() -> None:
    image = Image.open(io.BytesIO(GOOD))
    gps, photo = image.getexif().get_ifd(0x8825), image.getexif().get_ifd(0x8769)
    degrees, minutes, seconds = (float(part) for part in gps[2])
    assert degrees + minutes / 60 + seconds / 3600 == pytest.approx(POSE.latitude, abs=1e-8)
    assert (gps[1], gps[3], gps[16], float(gps[17]), float(gps[6]), gps[5]) == ("N", "W", "T", 93.5, 3.25, b"\x01")
    assert (photo[0x9003], photo[0x9011]) == ("2026:05:11 08:13:58", "+00:00")
    assert b'GPano:PoseHeadingDegrees="93.500"' in image.info["xmp"]
    assert image.size == (128, 64)


def test_an_independent_reader_finds_position_direction_and_time() -> None:
    tags = exifread.process_file(io.BytesIO(GOOD), details=False)
    assert get_gps_coords(tags) == pytest.approx((POSE.latitude, POSE.longitude), abs=1e-8)
    altitude, below = tags["GPS GPSAltitude"].values[0], tags["GPS GPSAltitudeRef"].values[0]
    assert (float(altitude), below) == (3.25, 1)
    assert (tags["GPS GPSImgDirectionRef"].values, float(tags["GPS GPSImgDirection"].values[0])) == ("T", 93.5)
    assert float(tags["GPS Tag 0x001F"].values[0]) == 0.04
    assert str(tags["EXIF DateTimeOriginal"]) == "2026:05:11 08:13:58"
    hours, minutes, seconds = (float(part) for part in tags["GPS GPSTimeStamp"].values)
    assert (str(tags["GPS GPSDate"]), hours, minutes, seconds) == ("2026:05:11", 8, 13, 58.2)


def test_gpano_is_xml_that_says_that_the_picture_is_a_whole_sphere_and_how_it_is_turned() -> None:
    (description,) = ET.fromstring(xmp(POSE, 8192, 4096)).iter(f"{{{RDF}}}Description")  # noqa: S314 - we wrote it
    told = {
        name.removeprefix(f"{{{GPANO}}}"): value for name, value in description.attrib.items() if name.startswith(f"{{{GPANO}}}")
    }
    assert told == {
        "ProjectionType": "equirectangular", "UsePanoramaViewer": "True", "FullPanoWidthPixels": "8192",
        "FullPanoHeightPixels": "4096", "CroppedAreaImageWidthPixels": "8192", "CroppedAreaImageHeightPixels": "4096",
        "CroppedAreaLeftPixels": "0", "CroppedAreaTopPixels": "0", "PoseHeadingDegrees": "93.500", "PosePitchDegrees": "-0.600",
        "PoseRollDegrees": "1.200",
    }  # fmt: skip


def test_a_bare_jpeg_passes() -> None:
    assert scan(BARE) == []


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (segment(0xFE, b"a comment"), "0xFE"),
        (segment(0xE2, b"MPF\x00rest"), "0xE2"),
        (segment(0xED, b"Photoshop 3.0"), "0xED"),
        (segment(0xE0, b"JFXX\x00\x10thumbnail"), "0xE0"),
        (segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x01abc"), "0xE0"),
        (segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta><owner>me</owner></x:xmpmeta>"), "XMP"),
        (segment(0xE1, b"http://ns.adobe.com/xmp/extension/\x00abc"), "0xE1"),
        (segment(0xE1, b"Exif\x00\x00II*\x00garbage"), "EXIF"),
        (GOOD + b"another picture", "outside of any segment"),
        (GOOD[:-40], "end-of-image"),
        (b"\x89PNG", "outside of any segment"),
        (with_exif(lambda tags: tags.__setitem__(0x010F, "Maker")), "0x10f"),
        (with_exif(lambda tags: tags.get_ifd(0x8769).__setitem__(0x927C, b"maker note")), "0x927c"),
        (with_exif(lambda tags: tags.get_ifd(0x8825).__setitem__(27, b"network")), "0x1b"),
    ],
)
def test_the_scan_names_what_does_not_belong(data: bytes, complaint: str) -> None:
    assert any(complaint in str(finding) for finding in scan(data))


def test_the_scan_finds_a_thumbnail() -> None:
    body = exif(POSE, AT)
    order = ">" if body[:2] == b"MM" else "<"
    count = struct.unpack(order + "H", body[8:10])[0]
    link = 10 + 12 * count
    thumbnail = struct.pack(order + "HHHII", 1, 0x0201, 4, 1, len(body) + 18) + struct.pack(order + "I", 0) + BARE[:200]
    linked = body[:link] + struct.pack(order + "I", len(body)) + body[link + 4 :] + thumbnail
    assert scan(described(BARE, linked, xmp(POSE, 128, 64)))


def test_the_scan_finds_bytes_that_no_tag_explains() -> None:
    assert scan(described(BARE, exif(POSE, AT) + b"hidden", xmp(POSE, 128, 64)))


@given(
    at=st.integers(0, 700),
    put=st.binary(max_size=8) | st.sampled_from([b"\xff\xff\xff\xff", b"\xff\xd9", b"\xff\xe1"]),
    out=st.integers(0, 8),
)
def test_a_damaged_description_is_a_finding_and_no_error(at: int, put: bytes, out: int) -> None:
    spoilt = GOOD[:at] + put + GOOD[at + out :]
    assert all(str(finding) for finding in scan(spoilt))


@pytest.mark.filterwarnings("ignore:Tag data larger than file")
@pytest.mark.parametrize("count", [0xFFFFFFFF, 0x10000000, 100_000])
@pytest.mark.parametrize("kind", [1, 2, 5, 7, 12, 13, 0])
def test_exif_whose_counts_claim_more_than_there_is_is_a_finding(count: int, kind: int) -> None:
    entry = struct.pack("<HHII", 0x8825, kind, count, 8) + struct.pack("<HHII", 0x010F, kind, count, 26)
    body = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 2) + entry + bytes(4)
    assert scan(described(BARE, body, b""))


def test_exif_directories_in_a_circle_are_a_finding() -> None:
    body = b"II*\x00\x08\x00\x00\x00" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    assert scan(described(BARE, body, b""))
