"""Many files at once: one meaning of 16 bits for all, memory that is bounded by headers, silence from below."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from picture_files import png, saved, shorts, tiff
from PIL import Image

from project.data_preparation.options import ImageFolderSettings
from project.data_preparation.pictures import reading
from project.data_preparation.pictures.reading import Allowance, read_pictures
from project.work.common import UserError

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = ImageFolderSettings(size=8)


def read(place, *files):
    paths = [place / f"{number}.png" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return read_pictures(paths, SETTINGS)


def grey(level, *chunks):
    return png(2, 1, 16, 0, [shorts(level, level)], *chunks)


@pytest.mark.parametrize(
    ("levels", "bits", "shown"),
    [
        ((100, 200), 8, (100, 200)),
        ((100, 1023), 10, (25, 255)),
        ((100, 2048), 12, (6, 128)),
        ((100, 4096), 16, (0, 16)),  # of the whole set, so that pictures stay comparable
        ((0, 65535), 16, (0, 255)),
    ],
)
def test_16_bits_mean_what_the_brightest_picture_of_the_set_says(tmp_path, levels, bits, shown):
    found = read(tmp_path, *map(grey, levels), png(1, 1, 8, 0, [b"\7"]))
    assert tuple(found.images[:2, 0, 0, 0]) == shown
    assert found.images[2, 0, 0, 0] == 7  # 8 bits are 8 bits
    assert ("depth" in found.notes()) == (bits < 16)
    if bits < 16:
        assert found.notes()["depth"] == f"2 pictures of 16 bits never use more than {bits}: read as {bits} bits"


def test_what_files_say_of_their_bits_is_heeded(tmp_path):
    assert read(tmp_path, grey(200, (b"sBIT", b"\x0c"))).images[0, 0, 0, 0] == 200 >> 4
    assert read(tmp_path, tiff(np.uint16([[200]]), {281: [4095]})).images[0, 0, 0, 0] == 200 >> 4
    # PGM says what is white, which neither tells nor asks anything of the others.
    assert read(tmp_path, b"P5 1 1 4095\n" + shorts(2048), grey(200)).images[:, 0, 0, 0].tolist() == [128, 200]


def test_colours_alpha_and_paper_of_12_bits(tmp_path):
    colour = png(1, 1, 16, 2, [shorts(4095, 2048, 0)])
    clear = png(1, 1, 16, 6, [shorts(4095, 0, 0, 65535)])
    paper = tiff(np.uint16([[4080]]), {262: [0]})
    assert read(tmp_path, colour, clear, paper).images[:, 0, 0].tolist() == [[255, 128, 0], [255, 0, 0], [0, 0, 0]]


def test_black_pictures_and_further_frames_are_told(tmp_path):
    frames = saved(Image.new("L", (8, 8), 9), "GIF", save_all=True, append_images=[Image.new("L", (8, 8), 90)])
    notes = read(tmp_path, grey(60000), grey(10), frames).notes()
    assert notes["black"].startswith("1 of 2 pictures of 16 bits are black all over")
    assert notes["frames"] == "1 files hold several frames or pages: the first of each was read"


def test_what_is_no_plain_file_or_too_large_is_a_fault_and_never_a_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with open(tmp_path / "sparse.png", "wb") as file:
        file.truncate(20 << 30)
    found = read_pictures([tmp_path / f"{name}.png" for name in ("pipe", "zero", "sparse", "gone")], SETTINGS)
    assert "named pipe" in found.faults[0]
    assert "device" in found.faults[1]
    assert "at most 256,000,000 are read (--largest-file 256)" in found.faults[2]
    assert "is missing" in found.faults[3]


def test_decoders_are_not_heard(tmp_path, capfd):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    packed = bytearray(saved(noise, "TIFF", compression="tiff_lzw"))
    packed[100:200] = bytes(100)
    jpeg = saved(noise, "JPEG")
    broken = png(9, 9, 8, 0, [b"\7" * 9] * 8 + [b"\1"])  # its pixels end too early
    found = read(tmp_path, bytes(packed), jpeg[:-2] + b"abcdefgh" + jpeg[-2:], broken)
    print("still here", file=sys.stderr)
    assert 2 in found.faults
    assert capfd.readouterr().err == "still here\n"


def test_what_cannot_fit_in_memory_is_refused_before_anything_is_read(monkeypatch):
    monkeypatch.setattr(reading, "free_memory", lambda: 10**9)
    with pytest.raises(UserError, match=r"1,000,000 pictures of 32x32 take 6.8 GB .* 1.0 GB are free: .*--size"):
        read_pictures([Path("none")] * 1_000_000, ImageFolderSettings(size=32))


def test_threads_take_turns_for_what_does_not_fit_at_once():
    room, most, now, lock = Allowance(10), 0, 0, threading.Lock()

    def work(part):
        nonlocal most, now
        with room.of(part):
            with lock:
                now += min(part, 10)
                most = max(most, now)
            with lock:
                now -= min(part, 10)

    threads = [threading.Thread(target=work, args=(part,)) for part in (4, 7, 10, 99, 3, 1) * 20]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 10
    assert room.free == 10


# The peak of one command: the test's own process has had other children, and is larger than a child may be.
PEAK = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


@pytest.mark.slow
def test_a_large_picture_is_refused_by_its_header(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for row in range(2):
            (tmp_path / "in" / name / f"{row}.png").write_bytes(grey(60000))
    (tmp_path / "in" / "b" / "huge.png").write_bytes(png(32000, 32000, 8, 2, [bytes(1000)]))
    command = [sys.executable, "project/data_preparation/image_folder.py", "--input", tmp_path / "in"]
    measured = [sys.executable, "-c", PEAK, *command, "--output", tmp_path / "out"]
    refused = subprocess.run(measured, cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "32,000 x 32,000 pixels, and more than --largest-picture 100" in refused.stderr
    assert int(refused.stdout.split()[-1]) < 900_000  # KB; it would take 3 GB
