"""What a published JPEG says about itself, built from an allow-list, and a scan that refuses everything else.

Nothing is copied from the input: a thumbnail, a maker note, a second picture or a comment may show what the pixels no longer do.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from PIL import ExifTags, Image, TiffImagePlugin

from panoveil.contracts.messages import Pose

_EXIF_HEADER = b"Exif\x00\x00"
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"
_GPANO = "http://ns.google.com/photos/1.0/panorama/"
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:GPano="%s"%s/></rdf:RDF></x:xmpmeta>'
)
_XMP_NAMES = (
    "ProjectionType", "UsePanoramaViewer", "FullPanoWidthPixels", "FullPanoHeightPixels", "CroppedAreaImageWidthPixels",
    "CroppedAreaImageHeightPixels", "CroppedAreaLeftPixels", "CroppedAreaTopPixels", "PoseHeadingDegrees", "PosePitchDegrees",
    "PoseRollDegrees",
)  # fmt: skip
_ATTRIBUTE = rf' GPano:(?:{"|".join(_XMP_NAMES)})="(?:equirectangular|True|-?[0-9]{{1,6}}(?:\.[0-9]{{1,4}})?)"'
_XMP_PATTERN = re.compile(re.escape(_XMP % (_GPANO, "ATTRIBUTES")).replace("ATTRIBUTES", f"(?:{_ATTRIBUTE})+").encode())

_EXIF_TAGS = {0x8769, 0x8825}
_PHOTO_TAGS = {0x9003, 0x9011}
_GPS_TAGS = {0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 29, 31}

_SOI, _EOI, _SOS, _APP0, _APP1 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1
_STRUCTURAL = {0xC0, 0xC4, 0xDA, 0xDB, 0xDD}
"""Baseline frame, Huffman and quantisation tables, restart interval, scan: what decoding needs."""
_JFIF = re.compile(rb"JFIF\x00.{2}[\x00-\x02].{4}\x00\x00", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """A part of a JPEG that is not on the allow-list; `offset` in bytes."""

    offset: int
    what: str

    def __str__(self) -> str:
        """`byte 20: a comment`."""
        return f"byte {self.offset}: {self.what}"


def exif(pose: Pose, captured_at: datetime) -> bytes:
    """Return EXIF (a TIFF structure, without APP1's header): GPS position, direction, accuracy, and the time in UTC."""
    image_exif = Image.Exif()
    utc = captured_at.astimezone(UTC)
    image_exif.get_ifd(ExifTags.IFD.Exif).update({0x9003: f"{utc:%Y:%m:%d %H:%M:%S}", 0x9011: "+00:00"})
    image_exif.get_ifd(ExifTags.IFD.GPSInfo).update(_gps(pose, utc))
    return image_exif.tobytes().removeprefix(_EXIF_HEADER)


def _gps(pose: Pose, utc: datetime) -> dict[int, object]:
    tags: dict[int, object] = {
        0: b"\x02\x03\x00\x00",
        1: "N" if pose.latitude >= 0 else "S", 2: _sexagesimal(pose.latitude),
        3: "E" if pose.longitude >= 0 else "W", 4: _sexagesimal(pose.longitude),
        7: tuple(_rational(part, 1000) for part in (utc.hour, utc.minute, utc.second + utc.microsecond / 1e6)),
        29: f"{utc:%Y:%m:%d}",
    }  # fmt: skip
    if pose.altitude is not None:  # above or below the ellipsoid: EXIF 3.0's reading of 0 and 1
        tags |= {5: b"\x01" if pose.altitude < 0 else b"\x00", 6: _rational(abs(pose.altitude), 1000)}
    if pose.heading is not None:
        tags |= {16: "T", 17: _rational(pose.heading, 1000)}
    if pose.accuracy is not None:
        tags |= {31: _rational(pose.accuracy, 1000)}
    return tags


def _rational(value: float, denominator: int) -> TiffImagePlugin.IFDRational:
    return TiffImagePlugin.IFDRational(Fraction(round(value * denominator), denominator))


def _sexagesimal(degrees: float) -> tuple[TiffImagePlugin.IFDRational, ...]:
    # 1e-5 of a second of arc is 0.3 mm on the ground.
    seconds = round(abs(degrees) * 3600 * 100_000)
    whole, rest = divmod(seconds, 3600 * 100_000)
    minutes, rest = divmod(rest, 60 * 100_000)
    return _rational(whole, 1), _rational(minutes, 1), TiffImagePlugin.IFDRational(Fraction(rest, 100_000))


def xmp(pose: Pose | None, width: int, height: int) -> bytes:
    """Return the GPano packet of a whole equirectangular panorama; the centre column looks along the heading, where there is a pose."""
    values: dict[str, str] = {
        "ProjectionType": "equirectangular", "UsePanoramaViewer": "True",
        "FullPanoWidthPixels": str(width), "FullPanoHeightPixels": str(height),
        "CroppedAreaImageWidthPixels": str(width), "CroppedAreaImageHeightPixels": str(height),
        "CroppedAreaLeftPixels": "0", "CroppedAreaTopPixels": "0",
    }  # fmt: skip
    angles = {"PoseHeadingDegrees": pose.heading, "PosePitchDegrees": pose.pitch, "PoseRollDegrees": pose.roll} if pose else {}
    values |= {name: f"{angle:.3f}" for name, angle in angles.items() if angle is not None}
    attributes = "".join(f' GPano:{name}="{value}"' for name, value in values.items())
    return (_XMP % (_GPANO, attributes)).encode()


def described(jpeg: bytes, exif_data: bytes, xmp_data: bytes) -> bytes:
    """Return a bare JPEG with EXIF and XMP put where readers look for them: right after SOI and JFIF; what is empty is left out."""
    at = 2
    if jpeg[2:4] == bytes((0xFF, _APP0)):
        at += 2 + struct.unpack(">H", jpeg[4:6])[0]
    segments = ((_EXIF_HEADER, exif_data), (_XMP_HEADER, xmp_data))
    return jpeg[:at] + b"".join(_app1(header + body) for header, body in segments if body) + jpeg[at:]


def _app1(body: bytes) -> bytes:
    return bytes((0xFF, _APP1)) + struct.pack(">H", len(body) + 2) + body


def scan(data: bytes) -> list[Finding]:
    """Return everything in a JPEG that is not on the allow-list; empty means: pixels, tables, our EXIF, our XMP, nothing else.

    EXIF must equal what its allowed tags give when written anew, so bytes that no tag refers to are found as well.
    """
    try:
        return [Finding(offset, what) for offset, marker, body in _segments(data) if (what := _objection(marker, body))]
    except (IndexError, struct.error):
        return [Finding(len(data), "it ends before its end-of-image marker")]


def _segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (offset, marker, body) of every segment; what follows the end of the image is yielded under marker 0."""
    if data[:2] != bytes((0xFF, _SOI)):
        yield 0, 0, data[:16]
        return
    at = 2
    while (marker := _marker(data, at)) != _EOI:
        length = int(struct.unpack(">H", data[at + 2 : at + 4])[0])
        yield at, marker, data[at + 4 : at + 2 + length]
        at = _next_marker(data, at + 2 + length) if marker == _SOS else at + 2 + length
    if data[at + 2 :]:
        yield at + 2, 0, data[at + 2 : at + 18]


def _marker(data: bytes, at: int) -> int:
    return data[at + 1] if data[at] == 0xFF else 0  # noqa: PLR2004 - JPEG's marker byte


def _next_marker(data: bytes, at: int) -> int:
    """Return where entropy-coded data ends: at the first 0xFF that is neither stuffed nor a restart marker."""
    found = _AFTER_SCAN.search(data, at)
    return found.start() if found else len(data)


_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)


def _objection(marker: int, body: bytes) -> str:
    if marker in _STRUCTURAL or (marker == _APP0 and _JFIF.fullmatch(body)):
        return ""
    if marker == _APP1 and body.startswith(_EXIF_HEADER):
        return _exif_objection(body.removeprefix(_EXIF_HEADER))
    if marker == _APP1 and body.startswith(_XMP_HEADER):
        return "" if _XMP_PATTERN.fullmatch(body.removeprefix(_XMP_HEADER)) else "XMP beyond GPano's allowed names"
    return f"a segment of marker 0x{marker:02X}" if marker else "bytes outside of any segment"


def _exif_objection(body: bytes) -> str:
    loaded = Image.Exif()
    try:
        loaded.load(_EXIF_HEADER + body)
        photo, gps = loaded.get_ifd(ExifTags.IFD.Exif), loaded.get_ifd(ExifTags.IFD.GPSInfo)
        tags = (set(loaded) - _EXIF_TAGS) | (set(photo) - _PHOTO_TAGS) | (set(gps) - _GPS_TAGS)
        rewritten = loaded.tobytes().removeprefix(_EXIF_HEADER)
    except (
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
        KeyError,
        TypeError,
        UserWarning,
    ) as error:  # where warnings are errors
        return f"EXIF that does not parse ({type(error).__name__})"
    if tags:
        return f"EXIF tags {sorted(map(hex, tags))}"
    return "" if rewritten == body else "EXIF with bytes that no allowed tag explains"
