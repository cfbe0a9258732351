"""The forms of NumPy's own files: what is accepted of them, and what is refused."""

import io
import pickle
import struct
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy_format

from flask_server.predict_body import NPY, NPZ, BodyFormat, InvalidRequest
from tests.flask_server.bodies import IMAGES, SENTENCES, images, interface, npy, npz, npz_of, sentences, tensor


def no_header(name: str) -> None:
    """A request without headers."""


def with_header(header: bytes, octets: bytes = images().tobytes(), version: bytes = b"\x01\x00") -> bytes:
    """An .npy of any header."""
    length = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    return b"\x93NUMPY" + version + length + header + octets


def described(descr: str, fortran: object, shape: str, octets: bytes = images().tobytes()) -> bytes:
    """An .npy whose header says this."""
    return with_header(f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode(), octets)


class Payload:
    """What creates a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        """Say how: by the call of a function."""
        return Path.touch, (self.path,)


GOOD = npy(images())
FAULTS = [
    (b"", "the body is not an .npy: it does not start with"),
    (b'{"instances": []}', "the body is not an .npy: it does not start with"),
    (b"\x93NUMPZ" + GOOD[6:], "the body is not an .npy: it does not start with"),
    (b"\x93NUMPY", "of a version that is none of 1.0, 2.0 and 3.0"),
    (b"\x93NUMPY\x04\x00" + GOOD[8:], "of a version that is none of 1.0, 2.0 and 3.0"),
    (GOOD[:9], "the body ends within the header of the .npy"),
    (GOOD[:100], "the body ends within the header of the .npy"),
    (GOOD[:128], "the body holds 0 bytes, float32 of shape [1, 2, 3] takes 24"),
    (GOOD[:-4], "the body holds 20 bytes, float32 of shape [1, 2, 3] takes 24"),
    (GOOD + b"\0", "the body holds 25 bytes, float32 of shape [1, 2, 3] takes 24"),
    (with_header(b"x" * 2000), "a header of 2000 bytes; the limit is 1024"),
    (with_header(b"\xff" * 10), "a header that is not NumPy's: write the array with np.save"),
    (with_header(b"(" * 1000), "a header that is not NumPy's"),
    (with_header(b"{'descr': '<f4'"), "a header that is not NumPy's"),
    (with_header(b"__import__('os').abort()"), "a header that is not NumPy's"),
    (described("'<f4'", 1, "(1, 2, 3)"), "a header that is not NumPy's"),
    (described("'<f4'", False, "[1, 2, 3]"), "a header that is not NumPy's"),
    (described("'<f4'", False, "(-1, 2, 3)"), "a header that is not NumPy's"),
    (described("'<f4'", False, "(True, 2, 3)"), "a header that is not NumPy's"),
    (described("'nonsense'", False, "(1, 2, 3)"), "a header that is not NumPy's"),
    (described("'<f4'", False, f"({10**30}, 2, 3)"), f"{10**30} instances in one request; the limit is 4"),
    (described("'<f4'", False, f"(1, {2**62}, {2**62})"), f"has shape [1, {2**62}, {2**62}], expected"),
    (described("'<f4'", False, "(1, 3, 2)"), "image has shape [1, 3, 2], expected float32 of shape [n, 2, 3]"),
    (described("'<f4'", False, "()"), "image has shape [], expected float32 of shape [n, 2, 3]"),
    (npy(images(5)), "5 instances in one request; the limit is 4"),
    (npy(images(0)), "no instance in this request"),
    (npy(images().astype(">f4")), "image is big-endian (>f4): convert it with .astype('<f4')"),
    (npy(images().astype("f8")), "image must be float32, not float64"),
    (npy(images().astype(">f8")), "image must be float32, not float64"),
    (npy(images().astype("f2")), "image must be float32, not float16"),
    (npy(images().astype("S4")), "image must be float32, not bytes32"),
    (npy(np.zeros((1, 2, 3), "f4,i4")), "image must be float32, not void64"),
    (npy(np.zeros((1, 2, 3), object)), "image holds Python objects, which are never unpickled: send float32"),
]


def assert_refused(form: BodyFormat, body: bytes, message: str) -> None:
    """It is, with one line that holds this message."""
    with pytest.raises(InvalidRequest) as caught:
        form.read(body, no_header, IMAGES)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("body", "message"), FAULTS, ids=range(len(FAULTS)))
def test_fault_is_named(body: bytes, message: str) -> None:
    """What is no array of the model's input is refused with one line that says why."""
    assert_refused(NPY, body, message)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A payload that would create a file is refused, alone and in an .npz, and creates none."""
    array = np.array([Payload(tmp_path / "made")], object)
    file = io.BytesIO(npy(array))
    np.load(file, allow_pickle=True)
    (tmp_path / "made").unlink()  # so it works where it is unpickled
    for form, body in ((NPY, npy(array)), (NPZ, npz_of({"image.npy": npy(array)}))):
        with pytest.raises(InvalidRequest, match="never unpickled"):
            form.read(body, no_header, IMAGES)
    for body in (pickle.dumps(array[0]), described("'<f4'", False, "(1, 2, 3)", pickle.dumps(array[0]))):
        with pytest.raises(InvalidRequest):
            NPY.read(body, no_header, IMAGES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version: tuple[int, int]) -> None:
    """As NumPy writes them."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # only a newer NumPy reads a version beyond 1.0
        npy_format.write_array(file, images(2), version)
    np.testing.assert_array_equal(NPY.read(file.getvalue(), no_header, IMAGES)["image"], images(2))


def test_the_order_of_fortran_is_converted() -> None:
    """The same values, in C's order."""
    sent = npy(np.asfortranarray(images(3)))
    assert b"'fortran_order': True" in sent
    got = NPY.read(sent, no_header, IMAGES)["image"]
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, images(3))


def test_a_model_of_several_inputs_asks_for_an_npz() -> None:
    """One array does not say which input it is."""
    with pytest.raises(InvalidRequest, match=r"send an \.npz of them, as application/x-npz"):
        NPY.read(npy(images()), no_header, SENTENCES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (np.array(["Ann"]).astype(">U3"), "x is big-endian (>U3): convert it with .astype('<U3')"),
        (np.array(["Ann"]).astype("S3"), "x must be text (a NumPy array of str), not bytes24"),
        (np.array(["Ann"], object), "x holds Python objects, which are never unpickled: send string"),
        (np.array([0x110000], np.uint32).view("U1"), "the instances.x hold text that is not Unicode"),
        (np.array([0xD800], np.uint32).view("U1"), "the instances.x hold text that is not Unicode"),
    ],
)
def test_text_is_unicode(text: Any, message: str) -> None:
    """Of NumPy's type for it, in the order of bytes of the server, and such as UTF-8 can say."""
    with pytest.raises(InvalidRequest) as caught:
        NPY.read(npy(text), no_header, interface(tensor("x", "string")))
    assert message in str(caught.value)


def test_empty_text_is_text() -> None:
    """Even of the type that has no room for more."""
    got = NPY.read(described("'<U0'", False, "(2,)", b""), no_header, interface(tensor("x", "string")))
    assert got["x"].tolist() == ["", ""]


def changed(body: bytes, at: int, *new: int) -> bytes:
    """The body with other bytes from `at` on."""
    return body[:at] + bytes(new) + body[at + len(new) :]


ONE = npz({"image": images()})
ENTRY = ONE.index(b"PK\x01\x02")
DEFLATED = npz_of({"image.npy": npy(images())}, zipfile.ZIP_DEFLATED)
ARCHIVE_FAULTS = [
    (b"", "the body is not an .npz: it does not start with PK"),
    (GOOD, "the body is not an .npz: it does not start with PK"),
    (ONE[:10], "a damaged .npz: it ends too early"),
    (ONE[:-1], "a damaged .npz: it does not end as a zip file does"),
    (ONE + b"more", "a damaged .npz: it does not end as a zip file does"),
    (npz_of({"image": GOOD}), 'the .npz lacks "image.npy"; expected are "image.npy"'),
    (npz_of({"../image.npy": GOOD}), 'the .npz lacks "image.npy"'),
    (npz_of({"/image.npy": GOOD}), 'the .npz lacks "image.npy"'),
    (npz_of({"image.npy": GOOD, "/etc/passwd": b""}), 'the .npz has "/etc/passwd"; expected are "image.npy"'),
    (npz_of({f"{index}.npy": b"" for index in range(99)}), "too large a directory, of 99 members for 1 inputs"),
    (npz_of({"image.npy": GOOD}, zipfile.ZIP_BZIP2), 'holds "image.npy" encrypted or packed otherwise than'),
    (npz_of({"image.npy": GOOD}, zipfile.ZIP_LZMA), 'holds "image.npy" encrypted or packed otherwise than'),
    (changed(ONE, ENTRY + 8, 1), 'holds "image.npy" encrypted or packed otherwise than'),
    (changed(ONE, ENTRY + 8, 0x20), "a damaged .npz"),
    (changed(ONE, ENTRY + 42, 99), "a damaged .npz"),
    (changed(ONE, ENTRY - 1, 99), "a damaged .npz: Bad CRC-32 for file 'image.npy'"),
    (changed(DEFLATED, 60, 255, 255, 255, 255), "a damaged .npz"),
    (changed(ONE, ENTRY + 24, 0, 0, 0, 127), f"the .npz unpacks to {127 << 24} bytes; the limit is 1132"),
    (npz_of({"image.npy": b""}), "image.npy is not an .npy"),
    (npz_of({"image.npy": GOOD[:-4]}), "image.npy holds 20 bytes, float32 of shape [1, 2, 3] takes 24"),
]


@pytest.mark.parametrize(("body", "message"), ARCHIVE_FAULTS, ids=range(len(ARCHIVE_FAULTS)))
def test_fault_of_an_archive_is_named(body: bytes, message: str) -> None:
    """What is no .npz of the model's inputs is refused with one line that says why."""
    assert_refused(NPZ, body, message)


def test_a_member_that_comes_twice_is_refused() -> None:
    """Even where each of them would do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile says so too
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("image.npy", GOOD)
            archive.writestr("image.npy", GOOD)
    with pytest.raises(InvalidRequest, match=r"the \.npz names an input twice"):
        NPZ.read(file.getvalue(), no_header, IMAGES)


def test_a_packed_archive_is_read() -> None:
    """What `np.savez_compressed` writes."""
    file = io.BytesIO()
    np.savez_compressed(file, image=images(2))
    np.testing.assert_array_equal(NPZ.read(file.getvalue(), no_header, IMAGES)["image"], images(2))


def bomb(size: int, declared: int) -> bytes:
    """A member of so many zeros, declared to be of another size."""
    body = npz_of({"image.npy": b"\0" * size}, zipfile.ZIP_DEFLATED)
    at = body.index(b"PK\x01\x02") + 24
    return body[:at] + struct.pack("<I", declared) + body[at + 4 :]


@pytest.mark.parametrize("declared", [100_000_000, 1000])
def test_a_zip_bomb_costs_no_memory(declared: int) -> None:
    """Neither one that declares its size nor one that declares less."""
    body = bomb(100_000_000, declared)
    tracemalloc.start()
    with pytest.raises(InvalidRequest, match=r"unpacks to 100000000 bytes|damaged"):
        NPZ.read(body, no_header, IMAGES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(body) + 1_000_000


def test_text_unpacks_to_no_more_than_a_body() -> None:
    """The model does not say how long a text may be, the largest body does."""
    most = SENTENCES.max_request_bytes
    NPZ.read(npz(sentences(author=np.array(["a", "b"], f"U{most // 10}"))), no_header, SENTENCES)
    body = npz_of(
        {f"{name}.npy": npy(one) for name, one in sentences(author=np.array(["a", "b"], f"U{most}")).items()}, 8
    )
    assert len(body) < most
    with pytest.raises(InvalidRequest, match=r"the \.npz unpacks to 800"):
        NPZ.read(body, no_header, SENTENCES)


def test_a_large_directory_costs_no_memory() -> None:
    """A zip file of many members is refused before one of them is looked at, wherever its end says they are."""
    entry = ONE[ENTRY : ENTRY + 46 + len("image.npy")]
    many = ONE[:ENTRY] + entry * 100_000
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(many) - ENTRY, ENTRY, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(many), 1)
    larger = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(many) - ENTRY, ENTRY)
    small_end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), ENTRY, 0)
    for body in (many + end, many + larger + locator + small_end):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert len(archive.infolist()) == 100_000
        tracemalloc.start()
        with pytest.raises(InvalidRequest, match="too large a directory, of 1 members for 1 inputs"):
            NPZ.read(body, no_header, IMAGES)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100_000
