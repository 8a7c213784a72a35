"""A prepared set that is damaged, foreign or not what it should be is refused, named, and never executed."""

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from project.work.dataset import storage
from project.work.declaration import UserError


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


def test_a_provenance_that_is_not_json_is_refused(folder: Path) -> None:
    (folder / "provenance.json").write_text("{")
    assert refusal(folder).startswith(f"{folder / 'provenance.json'}: not JSON")
