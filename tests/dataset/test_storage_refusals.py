"""A prepared set that is damaged, foreign or not what it should be is refused, named, and never executed."""

import gzip
import os
import pickle
import resource
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small

from project.work.common import UserError
from project.work.dataset import storage
from project.work.files import arrays


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A good prepared set for the test to spoil."""
    storage.write(tmp_path / "set", storage.read(prepared))
    return tmp_path / "set"


def refusal(folder: Path) -> str:
    """Why a set is refused."""
    with pytest.raises(UserError) as error:
        storage.read(folder)
    return str(error.value)


def put(path: Path, thing: object) -> None:
    path.write_bytes(gzip.compress(pickle.dumps(thing)))


class Mischief:
    """Makes a file when it is unpickled, as an attacker would make something worse."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (self.path,)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    put(folder / "train_labels.pkl.gz", Mischief(trace))
    assert f"{folder}/train_labels.pkl.gz" in refusal(folder)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Mischief(trace)))
    assert trace.exists()  # the trap works where nothing guards against it


@pytest.mark.parametrize(
    ("program", "asked"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"cnumpy\nload\n(S'x'\ntR.", "numpy.load"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"cos.multiarray\n_reconstruct\n.", "os.multiarray._reconstruct"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "numpy.ndarray.tofile"),
        (pickle.dumps(np.float64(1.5)), "scalar"),
    ],
)
def test_whatever_is_not_part_of_an_array_is_refused_by_name(folder: Path, program: bytes, asked: str) -> None:
    (folder / "train_images.pkl.gz").write_bytes(gzip.compress(program))
    message = refusal(folder)
    assert message.startswith(f"{folder}/train_images.pkl.gz: ")
    assert asked in message


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        ([1, 2, 3], "holds list, but a numeric numpy array is needed"),
        ({"images": 1}, "holds dict, but"),
        (np.array([None] * 120), "holds ndarray, but a numeric numpy array is needed"),
        (np.zeros((120, 16, 16), np.float32), "float32 (120, 16, 16), but uint8 (N, H, W)"),
        (np.zeros((120, 16), np.uint8), "uint8 (120, 16), but uint8 (N, H, W)"),
        (np.zeros((119, 16, 16), np.uint8), "119 pictures but 120 labels"),
        (np.zeros((120, 16, 17), np.uint8), "train pictures are (16, 17), test pictures (16, 16)"),
    ],
)
def test_images_of_another_kind_are_refused(folder: Path, thing: object, reason: str) -> None:
    put(folder / "train_images.pkl.gz", thing)
    assert reason in refusal(folder)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.full(120, 4), "labels 4 to 4, but label_name.csv has 0 to 3"),
        (np.arange(120) % 4 - 1, "labels -1 to 2, but label_name.csv has 0 to 3"),
        (np.full(120, 2**64 - 1, np.uint64), "labels 18446744073709551615 to"),
        (np.zeros(120), "float64 (120,), but whole numbers (N,) are needed"),
        (np.zeros((120, 1), np.int64), "int64 (120, 1), but whole numbers (N,) are needed"),
        (np.zeros(119, np.int64), "120 pictures but 119 labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(folder: Path, labels: np.ndarray, reason: str) -> None:
    put(folder / "train_labels.pkl.gz", labels)
    assert reason in refusal(folder)


def test_no_pictures_at_all_are_refused(folder: Path) -> None:
    put(folder / "test_images.pkl.gz", np.zeros((0, 16, 16), np.uint8))
    put(folder / "test_labels.pkl.gz", np.zeros(0, np.int64))
    assert "test: no pictures" in refusal(folder)


def _halve(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _scramble(data: bytes) -> bytes:
    return data[:20] + bytes(byte ^ 0x5A for byte in data[20:60]) + data[60:]


@pytest.mark.parametrize("name", ["train_images.pkl.gz", "test_labels.pkl.gz", "train_keys.csv.gz"])
@pytest.mark.parametrize("damage", [_halve, _scramble, lambda data: b"", lambda data: b"not gzip at all"])
def test_a_damaged_file_is_refused_by_name(folder: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    message = refusal(folder)
    assert message.startswith(str(path))
    assert message.endswith("prepare the data again")
    assert "\n" not in message


def test_a_pickle_cut_short_inside_a_whole_gzip_is_refused(folder: Path) -> None:
    path = folder / "train_images.pkl.gz"
    path.write_bytes(gzip.compress(_halve(gzip.decompress(path.read_bytes()))))
    assert refusal(folder).startswith(str(path))


@pytest.mark.parametrize("name", ["train_images.pkl.gz", "train_labels.pkl.gz", "test_images.pkl.gz", "label_name.csv"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refusal(folder) == f"{folder / name} is missing: run ./inv prepare first"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none").startswith(f"{tmp_path / 'none'} is missing: run ./inv prepare first")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "needs the columns label,name"),
        ("label,title\n0,a\n1,b\n", "needs the columns label,name"),
        ("label,name\n0,a\n1,b\n3,c\n4,d\n", "labels must count 0, 1, 2 ... with no gap"),
        ("label,name\n0,a\n0,b\n1,c\n2,d\n", "labels must count 0, 1, 2 ... with no gap"),
        ("label,name\nx,a\ny,b\n", "labels must count 0, 1, 2 ... with no gap"),
        ("label,name\n0,a\n", "1 class, but a classifier needs at least 2"),
        ("label,name\n", "0 class"),
        ("\xff\xfe\x00", "needs the columns label,name"),
    ],
)
def test_a_broken_label_name_csv_is_refused(folder: Path, text: str, reason: str) -> None:
    (folder / "label_name.csv").write_bytes(text.encode("latin-1"))
    message = refusal(folder)
    assert message.startswith(f"{folder / 'label_name.csv'}: {reason}")
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        "row,key_id\n0,a\n1,b\n",
        "row,key\n" + "".join(f"{row},k{row}\n" for row in range(120)),
        "row,key_id\n" + "".join(f"{row},k{row}\n" for row in reversed(range(120))),
    ],
    ids=["too short", "no key_id", "in another order than the pictures"],
)
def test_keys_that_do_not_name_the_rows_are_refused(folder: Path, text: str) -> None:
    (folder / "train_keys.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert "needs a column key_id and rows 0 to 119 in order" in refusal(folder)


@pytest.mark.parametrize("missing", [{7}, set(range(120))])
def test_a_row_without_a_key_is_refused_by_its_number(folder: Path, missing: set[int]) -> None:
    text = "row,key_id\n" + "".join(f"{row},{'' if row in missing else f'k{row}'}\n" for row in range(120))
    (folder / "train_keys.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert f"train_keys.csv.gz: row {min(missing)} has no key_id" in refusal(folder)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[1, 2]"])
def test_a_provenance_that_is_not_json_is_refused(folder: Path, text: str) -> None:
    (folder / "provenance.json").write_text(text)
    assert refusal(folder).startswith(f"{folder / 'provenance.json'}: not JSON")
    assert len(refusal(folder)) < 500


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("cat", "line 3: the class cat is on line 2 too"),
        ("ca\u00adt", "the class 'ca\\xadt' is on line 2 too"),
        (" cat ", "line 3: the class  cat  is on line 2 too"),
        ("", "line 3: a class without a name"),
        ("\u200b", "line 3: a class without a name"),
        ("d\0og", "line 3: holds a NUL character"),
    ],
)
def test_class_names_that_nobody_can_tell_apart_are_refused_by_line(folder: Path, second: str, reason: str) -> None:
    (folder / "label_name.csv").write_text(f"label,name\n0,cat\n1,{second}\n2,x\n3,y\n", encoding="utf-8")
    assert reason in refusal(folder)


def test_class_names_are_read_as_a_spreadsheet_saves_them(folder: Path) -> None:
    (folder / "label_name.csv").write_bytes(
        "label;name\r\n1;caf\xe9\r\n\r\n0;cat\r\n2;null\r\n3;3\r\n".encode("utf-16")
    )
    assert storage.read(folder).names == ["cat", "caf\xe9", "null", "3"]


NAMES = ["train_images.pkl.gz", "test_labels.pkl.gz", "train_keys.csv.gz", "label_name.csv", "provenance.json"]


@pytest.mark.parametrize("name", [*NAMES, "train_images.npy"])
def test_what_is_no_plain_file_is_refused_and_not_waited_for(folder: Path, name: str) -> None:
    path = folder / name
    for pattern in ("train_images*", name):
        for each in folder.glob(pattern) if "train_images" in name else [path]:
            each.unlink(missing_ok=True)
    os.mkfifo(path)
    assert f"{path} is a named pipe" in refusal(folder)
    path.unlink()
    path.mkdir()
    assert f"{path} is a folder" in refusal(folder)
    path.rmdir()
    path.symlink_to(path)
    assert f"{path} cannot be read (Too many levels" in refusal(folder)


def _npy(header: str, version: int = 1, claims: int | None = None) -> bytes:
    text = header.encode()
    size = len(text) if claims is None else claims
    return b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + text + b"x" * 100


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-5, 4, 4), }"), "its shape is (-5, 4, 4)"),
        (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (9, 4, 4), }"), "take 216 bytes, but it has 172"),
        (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1 << 40, 4, 4), }"), "its header cannot be parsed"),
        (_npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 4, 4), }"), "it holds object, and numbers or text"),
        (_npy("{'descr': '|V1000000000', 'fortran_order': False, 'shape': (1, 4, 4), }"), "and numbers or text are"),
        (_npy("", 2, 2**32 - 1), "its header claims 4,294,967,295 bytes"),
        (_npy("", 3, 2**32 - 1), "its version 3.0 is not supported"),
        (_npy("(" * 9000), "its header cannot be parsed"),
        (b"", "not a whole .npy file"),
        (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4, 4), }"), "no pictures"),
        (_npy("{'descr': '<u2', 'fortran_order': False, 'shape': (2, 4, 4), }"), "uint16 (2, 4, 4), but uint8"),
    ],
)
def test_a_map_that_claims_what_it_has_not_is_refused_by_its_header(folder: Path, data: bytes, reason: str) -> None:
    (folder / "train_images.pkl.gz").unlink()
    (folder / "train_images.npy").write_bytes(data)
    assert reason in refusal(folder)
    assert "allow_pickle" not in refusal(folder)


def _bomb(before: bytes, zeros: int, after: bytes = b"") -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [packer.compress(before), *(packer.compress(bytes(1 << 20)) for _ in range(zeros >> 20))]
    return b"".join([*pieces, packer.compress(after), packer.flush()])


def _around(shape: tuple[int, ...]) -> tuple[bytes, bytes]:
    return arrays._around(np.zeros(shape, np.uint8))


def test_a_few_bytes_that_claim_gigabytes_are_refused_before_they_are_there(folder: Path) -> None:
    """Each in this process, whose peak stays what it was: nothing is set aside for what a file only claims."""
    small_claims = {
        "bytes": b"\x80\x05\x96" + (45 * 10**8).to_bytes(8, "little") + b"x.",
        "text": b"\x80\x05\x8d" + (45 * 10**8).to_bytes(8, "little") + b"x.",
        "a frame": b"\x80\x05\x95" + (45 * 10**8).to_bytes(8, "little") + b"N.",
        "a place to remember": b"\x80\x05Nr\xff\xff\xff\xff.",
        "a long number": b"\x80\x05\x8b\xff\xff\xff\x7f.",
        "half a gigabyte": b"\x80\x05\x96" + (5 * 10**8).to_bytes(8, "little") + b"x.",
        "deep": b"\x80\x05N" + b"\x85" * 10**6 + b".",
        "a wide dtype": pickle.dumps(np.zeros(3, np.uint8), 2).replace(b"\x02\0\0\0u1", b"\x0b\0\0\0V1000000000"),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for what, program in small_claims.items():
        (folder / "train_images.pkl.gz").write_bytes(gzip.compress(program))
        assert len(refusal(folder)) < 500, what
    (folder / "train_images.pkl.gz").write_bytes(_bomb(b"\x80\x05\x96" + (1 << 32).to_bytes(8, "little"), 1 << 24))
    assert (
        "4,294,967,296 bytes, but at most 750,000,000 are read: if that is right, allow it with --largest-set 4.3"
        in (refusal(folder))
    )
    (folder / "train_images.pkl.gz").write_bytes(_bomb(b"\x80\x05", 0, b"") + gzip.compress(b"N" * (1 << 24)))
    assert "has more than 10,000 opcodes" in refusal(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


def test_many_rows_in_few_bytes_are_refused_for_what_each_takes_beside_its_picture(folder: Path) -> None:
    before, after = _around((50 << 20, 1, 1))
    (folder / "train_images.pkl.gz").write_bytes(_bomb(before, 50 << 20, after))
    assert "train: 52,428,800 rows comes to 6,710,886,400 bytes" in refusal(folder)


def test_more_is_read_when_that_is_asked_for_and_less_when_not(folder: Path) -> None:
    assert "allow it with --largest-set" in _with_limit(folder, 1e-5)
    assert storage.read(folder, 1e-3).names == small.NAMES


def _with_limit(folder: Path, largest: float) -> str:
    before, after = _around((1 << 12, 16, 16))  # in a few kilobytes
    (folder / "train_images.pkl.gz").write_bytes(_bomb(before, 1 << 20, after))
    with pytest.raises(UserError) as error:
        storage.read(folder, largest)
    shutil.copy(folder / "test_images.pkl.gz", folder / "train_images.pkl.gz")
    for name in ("labels.pkl.gz", "keys.csv.gz"):
        shutil.copy(folder / f"test_{name}", folder / f"train_{name}")
    return str(error.value)


def test_keys_beyond_what_their_rows_admit_are_refused_before_they_are_parsed(folder: Path) -> None:
    (folder / "train_keys.csv.gz").write_bytes(_bomb(b'row,key_id\n0,"', 64 << 20))
    assert "train_keys.csv.gz: holds more than 188,416 bytes" in refusal(folder)


def test_a_sparse_file_of_classes_or_facts_is_refused_by_its_size(folder: Path) -> None:
    for name in ("provenance.json", "label_name.csv"):
        with open(folder / name, "r+b") as file:
            file.truncate(20 << 30)
        assert f"{name} is 21,474,836,480 bytes, but at most" in refusal(folder)


def test_a_pickle_whose_checksum_does_not_fit_is_refused(folder: Path) -> None:
    path = folder / "train_images.pkl.gz"
    data = bytearray(gzip.compress(gzip.decompress(path.read_bytes())))
    data[-8] ^= 1
    path.write_bytes(bytes(data))
    assert refusal(folder).startswith(f"{path}: not a whole gzipped pickle")
