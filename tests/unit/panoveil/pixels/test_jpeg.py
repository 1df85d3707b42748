import struct
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from panoveil.pixels import jpeg
from panoveil.pixels.baseline import layout


@pytest.fixture(scope="module", name="image")
def a_smooth_image() -> NDArray[np.uint8]:
    small = np.random.default_rng(0).integers(20, 235, (12, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="module", name="data")
def its_jpeg(image: NDArray[np.uint8]) -> bytes:
    return jpeg.encode(image, 92)


def test_colours_come_back_in_order(image: NDArray[np.uint8], data: bytes) -> None:
    decoded = jpeg.decode(data)
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - image).mean() < 3


def test_red_is_first() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 250
    decoded = jpeg.decode(jpeg.encode(red, 95))
    assert decoded[..., 0].min() > 200
    assert decoded[..., 1:].max() < 30


def test_dimensions_need_no_whole_file(data: bytes) -> None:
    assert jpeg.dimensions(data) == (320, 240)
    assert jpeg.dimensions(data[:1000]) == (320, 240)


def test_every_truncation_is_refused(data: bytes) -> None:
    for length in {*range(0, len(data), 211), *range(len(data) - 8, len(data))}:
        with pytest.raises(Rejected) as caught:
            jpeg.decode(data[:length])
        assert caught.value.reason == Reason.CORRUPT_FRAME


@pytest.mark.parametrize("where", [0.3, 0.6, 0.9])
def test_a_truncation_that_was_mended_with_an_end_marker_is_refused(data: bytes, where: float) -> None:
    with pytest.raises(Rejected):
        jpeg.decode(data[: int(where * len(data))] + b"\xff\xd9")


def test_a_truncation_filled_with_zeros_is_refused(data: bytes) -> None:
    half = len(data) // 2
    with pytest.raises(Rejected):
        jpeg.decode(data[:half] + bytes(len(data) - half))


def test_a_hole_is_refused(data: bytes) -> None:
    half = len(data) // 2
    with pytest.raises(Rejected):
        jpeg.decode(data[:half] + data[half + 500 :])


@pytest.mark.parametrize("garbage", [b"", b"\xff\xd8", b"not a picture", b"\xff\xd8\xff\xd9", bytes(1000)])
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(Rejected):
        jpeg.decode(garbage)
    with pytest.raises(Rejected):
        jpeg.dimensions(garbage)


def test_a_header_that_claims_an_absurd_size_is_refused_unread(data: bytes) -> None:
    absurd = data.replace(struct.pack(">HH", 240, 320), struct.pack(">HH", 65500, 65500))
    with pytest.raises(Rejected, match="65500 x 65500"):
        jpeg.decode(absurd)


def test_what_follows_a_whole_image_is_no_harm(data: bytes) -> None:
    assert jpeg.decode(data + b"appended by the camera").shape == (240, 320, 3)


def test_a_progressive_image_is_read_and_its_truncation_refused(image: NDArray[np.uint8]) -> None:
    progressive = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert jpeg.decode(progressive).shape == image.shape
    with pytest.raises(Rejected):
        jpeg.decode(progressive[: len(progressive) // 2])


def test_a_grey_image_becomes_rgb() -> None:
    grey = cv2.imencode(".jpg", np.full((24, 32), 90, np.uint8))[1].tobytes()
    decoded = jpeg.decode(grey)
    assert decoded.shape == (24, 32, 3)
    assert np.ptp(decoded) <= 1


def test_the_exif_orientation_is_left_alone(data: bytes) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    assert jpeg.decode(turned).shape == (240, 320, 3)


def test_what_is_written_has_no_metadata(data: bytes) -> None:
    assert b"Exif" not in data
    assert b"http" not in data


def test_a_view_is_written_like_a_copy(image: NDArray[np.uint8]) -> None:
    assert jpeg.encode(image[:, ::2], 90) == jpeg.encode(image[:, ::2].copy(), 90)


@pytest.mark.parametrize("size", [(16, 16), (320, 240), (264, 1024), (72, 2100)])
def test_a_patchable_jpeg_shows_what_a_plain_one_does(size: tuple[int, int]) -> None:
    small = np.random.default_rng(2).integers(20, 235, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    data = jpeg.encode_patchable(image, 92)
    found = layout(data)
    assert (found.width, found.height, found.restart, found.unit) == (*size, jpeg.RESTART, (16, 16))
    plain = np.abs(jpeg.decode(jpeg.encode(image, 92)).astype(int) - image)
    error = np.abs(jpeg.decode(data).astype(int) - image)
    assert error.mean() < 1.1 * plain.mean()
    assert error.max() < 1.5 * plain.max()


def test_bands_encoded_by_a_pool_are_the_same_bytes() -> None:
    image = np.random.default_rng(4).integers(0, 256, (2600, 64, 3), dtype=np.uint8)
    with ThreadPoolExecutor(3) as pool:

        def spread(work: Callable[[int], None], bands: Iterable[int]) -> None:
            list(pool.map(work, bands))

        pooled = jpeg.encode_patchable(image, 90, spread)
    assert pooled == jpeg.encode_patchable(image, 90)
