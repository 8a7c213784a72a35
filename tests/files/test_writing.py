"""Files appear whole or not at all; what a killed writer left goes, a living one keeps its own; faults name a file."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from project.work.common import ROOT
from project.work.files import disk

WRITER = """
import sys, time
from pathlib import Path
from project.work.files import disk

with disk.replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    time.sleep(600)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    path, deadline = tmp_path / "history.csv", time.monotonic() + 120
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path], cwd=ROOT) for _ in range(2)]
    while sum(part.stat().st_size for part in tmp_path.iterdir()) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    writers[0].kill()
    assert writers[0].wait() == -signal.SIGKILL
    (tmp_path / ".history.csv.4711").write_bytes(b"left by an earlier version, whose process number is used again")
    for other in (".history.csv", ".history.csv.lock", ".other.csv.12", ".history.csv.12.note"):
        (tmp_path / other).write_bytes(b"somebody's")
    with disk.replacing(path) as file:
        file.write(b"whole")
    left = [name for name in names(tmp_path) if name.startswith(f".history.csv.{writers[1].pid}.")]
    writers[1].kill()
    writers[1].wait()
    assert len(left) == 1
    others = {".history.csv", ".history.csv.lock", ".other.csv.12", ".history.csv.12.note"}
    assert set(names(tmp_path)) == {"history.csv", *left} | others
    assert path.read_bytes() == b"whole"
    disk.sweep(path)
    assert set(names(tmp_path)) == {"history.csv"} | others


def test_a_fault_while_writing_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left on device") as fault, disk.replacing(path):
        raise OSError(28, "No space left on device")
    assert fault.value.filename == str(path)
    assert names(tmp_path) == ["file.csv"]
    assert path.read_bytes() == b"old"
    with pytest.raises(FileNotFoundError) as fault, disk.replacing(tmp_path / "gone" / "file.csv"):
        pass
    assert fault.value.filename == str(tmp_path / "gone" / "file.csv")
    with pytest.raises(FileNotFoundError) as fault, disk.replacing(path):  # of another file: it keeps its name
        (tmp_path / "source").read_bytes()
    assert fault.value.filename == str(tmp_path / "source")
