"""The sheet shows the pictures that were prepared, pixel by pixel, and marks the labels known to be wrong."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from project.data_preparation import figures, sample_sheet
from project.work.common import ROOT, UserError
from project.work.dataset.storage import Pictures, Prepared, write

NAMES = ["apple", "boat", "car"]


def prepare(images, labels, true=None, **provenance):
    keys = pd.DataFrame({"key_id": [str(row) for row in range(len(labels))]})
    if true is not None:
        keys["true_label"] = true
    part = Pictures(np.asarray(images, np.uint8), np.array(labels), keys)
    return Prepared(part, part, NAMES, provenance)


def blank(rows, true=None, **provenance):
    return prepare(np.zeros((len(rows), 32, 32)), rows, true, **provenance)


def is_red(pixels):
    return (pixels == sample_sheet.RED).all(axis=-1)


def test_a_drawing_is_dark_ink_on_white_enlarged_to_64_pixels():
    images = np.zeros((2, 32, 32), np.uint8)
    images[0, 0, 0], images[1, 31, 31] = 255, 100
    pixels, framed = sample_sheet.sheet(prepare(images, [0, 2]), [0, 2], per_class=3)
    assert pixels.shape == (2 * 72, 3 * 72, 3)
    assert not framed
    assert (pixels[4:6, 4:6] == 0).all()
    assert (pixels[72 + 66 : 72 + 68, 66:68] == 155).all()
    assert (pixels < 255).any(axis=-1).sum() == 2 * 4


def test_a_colour_picture_is_shown_as_it_is():
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    pixels, _ = sample_sheet.sheet(prepare(images, [1]), [1], per_class=1)
    np.testing.assert_array_equal(pixels[4:-4, 4:-4], images[0])


def test_a_large_picture_is_not_shrunk():
    pixels, _ = sample_sheet.sheet(prepare(np.zeros((1, 96, 128)), [0]), [0], per_class=1)
    assert pixels.shape == (96 + 8, 128 + 8, 3)


def test_only_pictures_with_a_wrong_label_are_framed_in_red():
    # Rows: right, wrong, shows a class that was not taken, unknown.
    prepared = blank([0, 0, 0, 0], true=[0, 1, -1, np.nan])
    pixels, framed = sample_sheet.sheet(prepared, [0], per_class=4)
    assert framed
    edge = [is_red(pixels[:, 72 * column : 72 * (column + 1)]).sum() for column in range(4)]
    frame = 70**2 - 66**2
    assert edge == [0, frame, frame, 0]


def test_the_file_holds_the_sheet_pixel_by_pixel_and_a_legend_only_where_a_label_is_wrong(tmp_path):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (6, 32, 32), dtype=np.uint8)
    for name, true in (("right", [0, 0, 1, 1, 2, 2]), ("wrong", [0, 2, 1, 1, 2, 2])):
        prepared = prepare(images, [0, 0, 1, 1, 2, 2], true)
        sample_sheet.draw_samples(prepared, tmp_path / f"{name}.png", classes=3, per_class=2)
        picture = (imread(tmp_path / f"{name}.png")[..., :3] * 255).round().astype(np.uint8)
        sheet, _ = sample_sheet.sheet(prepared, [0, 1, 2], per_class=2)
        right, bottom = picture.shape[1] - 14, picture.shape[0] - 34
        assert picture.shape[0] == sheet.shape[0] + 44 + 34
        np.testing.assert_array_equal(picture[44:bottom, right - sheet.shape[1] : right], sheet)
        assert is_red(picture[bottom:]).any() == (name == "wrong")


def test_classes_are_chosen_evenly_and_no_more_than_there_are(tmp_path, monkeypatch):
    asked = []
    draw = sample_sheet.sheet
    monkeypatch.setattr(sample_sheet, "sheet", lambda p, labels, n: asked.append(list(labels)) or draw(p, labels, n))
    for classes in (2, 10):
        sample_sheet.draw_samples(blank([0, 1, 2]), tmp_path / "a.png", classes=classes, per_class=1)
    assert asked == [[0, 2], [0, 1, 2]]


def test_the_same_data_gives_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        sample_sheet.draw_samples(blank([0, 1, 2], true=[0, 1, 1], synthetic=True), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_title_says_synthetic_of_synthetic_data_only():
    assert sample_sheet._title(blank([0], synthetic=True), "sample", 3) == "sample: 3 of 3 classes of synthetic doodles"
    assert sample_sheet._title(blank([0], synthetic=False), "quickdraw", 2) == "quickdraw: 2 of 3 classes"


def test_quickdraw_is_drawn_rather_than_the_sample_and_nothing_prepared_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"\./inv prepare --source sample"):
        figures.choose(tmp_path, None)
    for name in ("sample", "quickdraw"):
        write(tmp_path / name, blank([0, 1, 2]))
        assert figures.choose(tmp_path, None) == tmp_path / name
    assert figures.choose(tmp_path, "sample") == tmp_path / "sample"
    with pytest.raises(UserError, match="under the name cats"):
        figures.choose(tmp_path, "cats")


@pytest.mark.slow
def test_the_command_line_draws_the_pictures(tmp_path):
    write(tmp_path / "in" / "sample", blank([0, 1, 2]))
    figures.main(["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")])
    assert imread(tmp_path / "out" / "env.png").shape[:2] == (700, 1400)
    assert (tmp_path / "out" / "image_sample.png").exists()
    grey = imread(tmp_path / "out" / "raster.png")[..., 0]
    levels = [len(np.unique(row.round(3))) for row in np.array_split(grey, 3)]
    assert levels[2] < levels[1]  # distance has more shades than upstream
    assert all(row.min() < 0.3 for row in np.array_split(grey, 3))


def test_pictures_are_drawn_beside_those_of_the_readme_unless_told_otherwise(tmp_path, monkeypatch):
    write(tmp_path / "in" / "mine", blank([0, 1, 2]))
    for name in ("draw_environment", "draw_rasters"):
        monkeypatch.setattr(figures, name, lambda path: path.write_bytes(b"drawn"))
    monkeypatch.setattr(figures, "OUTPUT", tmp_path / "project" / "output")
    before = {path: path.stat().st_mtime_ns for path in (ROOT / "fig").iterdir()}
    figures.main(["--input", str(tmp_path / "in"), "--dataset", "mine"])
    there = tmp_path / "project" / "output" / "figures"
    assert sorted(path.name for path in there.iterdir()) == ["env.png", "image_sample.png", "raster.png"]
    assert {path: path.stat().st_mtime_ns for path in (ROOT / "fig").iterdir()} == before


def test_every_arrow_of_the_architecture_ends_at_the_edge_of_its_boxes_and_no_boxes_overlap():
    boxes = figures.BOXES

    def on_edge(box, point):
        across, up = abs(point[0] - box.x) / (box.width / 2), abs(point[1] - box.y) / (box.height / 2)
        return max(across, up) == pytest.approx(1)

    for start, end, route in figures.ARROWS:
        points = figures.waypoints(boxes[start], boxes[end], route)
        assert on_edge(boxes[start], points[0]), (start, end)
        assert on_edge(boxes[end], points[-1]), (start, end)
        steps = np.diff(points, axis=0)
        assert (steps == 0).any(axis=1).all(), f"{start} to {end} runs aslant"
    for a in boxes.values():
        apart = [abs(a.x - b.x) >= (a.width + b.width) / 2 or abs(a.y - b.y) >= (a.height + b.height) / 2
                 for b in boxes.values() if b is not a]  # fmt: skip
        assert all(apart), a.name
