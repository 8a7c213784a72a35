"""The selected epoch is the best on validation, and history.csv holds every epoch."""

import csv
import dataclasses
from pathlib import Path

import pytest

from project.work.runner.history import METRICS, EpochRow, History, mean_speed, speed
from project.work.settings.groups import TARGET_METRICS


def row(epoch: int, accuracy: float, loss: float) -> EpochRow:
    return EpochRow(epoch, 0.1, 1.0, 0.5, valid_loss=loss, valid_accuracy=accuracy, seconds=1, pictures_per_second=9)


@pytest.mark.parametrize(
    ("epochs", "selected"),
    [
        ([(0.5, 1.0), (0.7, 1.0), (0.6, 0.1)], 2),
        ([(0.7, 0.9), (0.7, 0.8), (0.7, 0.85)], 2),
        ([(0.7, 0.9), (0.7, 0.9)], 1),
        ([(0.1, 5.0)], 1),
    ],
    ids=["best accuracy", "of equals the lower loss", "of equals in both the first", "only one"],
)
def test_the_selected_epoch(tmp_path: Path, epochs: list[tuple[float, float]], selected: int) -> None:
    history = History(tmp_path / "history.csv")
    said = [history.add(row(number, *values)) for number, values in enumerate(epochs, start=1)]
    assert history.selected.epoch == selected
    assert said[selected - 1]
    assert not any(said[selected:])


@pytest.mark.parametrize(
    ("target", "selected"), [("top1", 2), ("macro_f1", 1), ("loss", 3), ("map3", 1)], ids=lambda each: str(each)
)
def test_the_target_metric_selects_the_epoch_and_the_loss_decides_among_equals(target: str, selected: int) -> None:
    history = History(None, target)
    figures = [(0.5, 0.9, 1.0, 0.7), (0.7, 0.6, 0.9, 0.7), (0.6, 0.8, 0.2, 0.6)]  # top-1, macro F1, loss, MAP@3
    for number, (top1, macro_f1, loss, map3) in enumerate(figures, start=1):
        loss -= 0.5 if (target, number) == ("map3", 1) else 0.0
        more = {"valid_macro_f1": macro_f1, "valid_map3": map3}
        history.add(dataclasses.replace(row(number, top1, loss), more=more))
    assert history.selected.epoch == selected


def test_epochs_of_earlier_versions_are_restored_and_those_of_other_columns_refused(tmp_path: Path) -> None:
    old = dataclasses.asdict(row(1, 0.5, 1.0))
    del old["more"]
    history = History(tmp_path / "history.csv")
    history.restore([old, old | {"epoch": 2, "valid_macro_f1": 0.4}])
    assert [each.as_dict() for each in history.rows] == [old, old | {"epoch": 2, "valid_macro_f1": 0.4}]
    lines = list(csv.DictReader(history.path.open()))
    assert [line["valid_macro_f1"] for line in lines] == ["", "0.4"]
    for wrong in ({"test_accuracy": 1.0}, {"valid_macro_f1": "high"}, {1: 2.0}):
        with pytest.raises(ValueError, match=r"other columns|not a number"):
            history.restore([old | wrong])


def test_every_target_metric_has_its_function() -> None:
    assert tuple(METRICS) == TARGET_METRICS


def test_the_file_shows_every_number_in_full_and_comes_back(tmp_path: Path) -> None:
    history = History(tmp_path / "history.csv")
    for epoch in (1, 2):
        history.add(row(epoch, 1 / 3, 2 / 3))
    history.write()
    lines = list(csv.DictReader(history.path.open()))
    assert [line["epoch"] for line in lines] == ["1", "2"]
    assert float(lines[1]["valid_accuracy"]) == 1 / 3
    again = History(tmp_path / "again.csv")
    again.restore(history.as_dicts())
    assert again.rows == history.rows
    assert again.path.read_bytes() == history.path.read_bytes()


def test_a_clock_that_stands_still_or_goes_backwards_gives_no_speed() -> None:
    assert [speed(100, seconds) for seconds in (50.0, 0.0, -1.0)] == [2.0, 0.0, 0.0]
    assert mean_speed([100.0, 300.0]) == pytest.approx(150.0)  # of equal amounts of work
    assert mean_speed([0.0, 300.0]) == pytest.approx(300.0)
    assert mean_speed([0.0]) == 0.0
