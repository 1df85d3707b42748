import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from services.archivist.bundle import INDEX_NAME, pack, unpack
from services.archivist.seal import seal, unseal

CAPTURE = "fyn-2026/car7-0601/000001"
FILES = {"front.jpg": bytes(range(256)) * 40, "capture.json": b'{"a": 1}'}
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True).filter(lambda name: name != INDEX_NAME)


@given(
    contents=st.dictionaries(NAMES, st.binary(min_size=1, max_size=2000), min_size=1, max_size=6),
    secret=st.binary(min_size=32, max_size=32),
)
def test_what_was_packed_and_sealed_comes_back_bit_exact(contents: dict[str, bytes], secret: bytes) -> None:
    bundle = pack(CAPTURE, contents)
    sealed = seal(bundle.tar, secret, CAPTURE, bundle.index_sha256)
    assert unpack(unseal(sealed, secret, CAPTURE, bundle.index_sha256), CAPTURE) == contents


def test_the_same_files_in_any_order_make_the_same_object_and_others_another() -> None:
    first, again = pack(CAPTURE, FILES), pack(CAPTURE, dict(reversed(FILES.items())))
    assert seal(first.tar, bytes(32), CAPTURE, first.index_sha256) == seal(again.tar, bytes(32), CAPTURE, again.index_sha256)
    other = pack(CAPTURE, FILES | {"front.jpg": b"other"})
    assert other.index_sha256 != first.index_sha256
    assert pack("fyn-2026/car7-0601/000002", FILES).index_sha256 != first.index_sha256


def test_any_tar_reads_it_index_first() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(CAPTURE, FILES).tar)) as tar:
        assert tar.getnames() == [INDEX_NAME, "capture.json", "front.jpg"]


def test_nothing_of_the_files_shows_in_a_sealed_object() -> None:
    bundle = pack(CAPTURE, FILES)
    sealed = seal(bundle.tar, bytes(32), CAPTURE, bundle.index_sha256)
    for word in (b"front.jpg", b"sha256", FILES["front.jpg"][:32], FILES["capture.json"]):
        assert word in bundle.tar
        assert word not in sealed


@pytest.mark.parametrize("what", ["bit", "cut", "key", "capture", "index", "format"])
def test_what_was_altered_or_sealed_for_another_does_not_open(what: str) -> None:
    bundle = pack(CAPTURE, FILES)
    sealed, secret, capture, index = (
        seal(bundle.tar, bytes(32), CAPTURE, bundle.index_sha256),
        bytes(32),
        CAPTURE,
        bundle.index_sha256,
    )
    match what:
        case "bit":
            sealed = sealed[:500] + bytes([sealed[500] ^ 1]) + sealed[501:]
        case "cut":
            sealed = sealed[:-1]
        case "key":
            secret = b"x" * 32
        case "capture":
            capture = "fyn-2026/car7-0601/000002"
        case "index":
            index = "0" * 64
        case "format":
            sealed = b"PANOVEIL\x00\x02" + sealed[10:]
    with pytest.raises(Rejected) as caught:
        unseal(sealed, secret, capture, index)
    assert caught.value.reason == Reason.CORRUPT_ARCHIVE


@pytest.mark.parametrize("spoil", ["no tar", "no index", "another capture", "another file", "a file too many"])
def test_a_bundle_that_is_not_what_its_index_says_is_refused(spoil: str) -> None:
    if spoil == "another capture":
        tar = pack("fyn-2026/car7-0601/000002", FILES).tar
    elif spoil == "no tar":
        tar = b"no tar" * 200
    else:
        tar = _retold(pack(CAPTURE, FILES).tar, spoil)
    with pytest.raises(Rejected) as caught:
        unpack(tar, CAPTURE)
    assert caught.value.reason == Reason.CORRUPT_ARCHIVE


def _retold(tar: bytes, spoil: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(tar)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old.getmembers():
            if spoil == "no index" and member.name == INDEX_NAME:
                continue
            file = old.extractfile(member)
            assert file is not None
            data = file.read()
            if spoil == "another file" and member.name == "front.jpg":
                data = data[::-1]
            new.addfile(member, io.BytesIO(data))
        if spoil == "a file too many":
            extra = tarfile.TarInfo("extra.jpg")
            extra.size = 1
            new.addfile(extra, io.BytesIO(b"x"))
    return out.getvalue()
