"""What a finished run leaves in its folder: a report by class, predictions by key, and pictures of them and of epochs.

Report and predictions are written before result.json, by which a run is finished: so a finished run has them whole, and
one that was killed before makes them again. The pictures are destinations, drawn from the files. torch and matplotlib
are imported where they are used: ./inv report needs neither.
"""

import io
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from project.work.files import arrays, disk
from project.work.labels.naming import unpacked
from project.work.pages import fonts
from project.work.reporter.result import Result
from project.work.run_folder import HISTORY_FILE, PREDICTION_FILES, REPORT_FILE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from torch import Tensor

    from project.work.dataset.base_dataset import Dataset

CURVE_FILE, CONFUSION_FILE = "curve.png", "confusion.png"
PLAIN = r"[A-Za-z0-9_ .+-]*"  # a text that any font shows as it stands
LABELS = {"train": "train, as augmented", "valid": "valid"}
NUMBERED = 12  # classes whose cells hold numbers
LETTERS = 18  # of a class's name in a picture, at most
_ROWS = 1 << 12  # of which probabilities are in memory at once
_CELL = {NUMBERED: 0.62, 45: 0.28, 110: 0.125}  # number of classes, at most -> inches of a cell
_SIDE = 12.5  # inches of the map of more classes
_NAME, _PAIRS = 0.115, 4.4  # inches that a name needs, and the list of confusions
_DARK = 0.35  # from this share on a cell is dark and its number white


@dataclass(frozen=True)
class Answers:
    """What a network says of a split. logits: float32 (n, K); labels: int64 (n,), as they are given."""

    logits: "Tensor"
    labels: "Tensor"

    def table(self, keys: np.ndarray, names: list[str], temperature: float) -> pd.DataFrame:
        """A line a row, by key: label and prediction, the calibrated probabilities of both, and the label's rank.

        keys: text (n,); names: of the classes. A rank of 1 is the prediction.
        """
        parts = [
            _judged(logits, labels, temperature)
            for logits, labels in zip(self.logits.split(_ROWS), self.labels.split(_ROWS), strict=True)
        ]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        labels, by_name = self.labels.cpu().numpy(), np.array(names, dtype=object)
        predictions = found.pop("prediction")
        columns = {"key_id": keys, "label": labels, "name": by_name[labels], "prediction": predictions}
        return pd.DataFrame(columns | {"predicted_name": by_name[predictions]} | found)

    def calibration_error(self, temperature: float) -> float:
        """The expected calibration error at a temperature, a share of 1."""
        from project.work.classifier import calibration_error, probabilities, ranked

        predictions = ranked(self.logits)[:, 0]
        chances = (probabilities(part, temperature).amax(dim=1) for part in self.logits.split(_ROWS))
        confidence = np.concatenate([each.cpu().numpy() for each in chances])
        return calibration_error(confidence, (predictions == self.labels).cpu().numpy())


def _judged(logits: "Tensor", labels: "Tensor", temperature: float) -> dict[str, np.ndarray]:
    """Columns of some rows: prediction, confidence, label_probability, label_rank."""
    from project.work.classifier import probabilities, ranked

    best, chances = ranked(logits), probabilities(logits, temperature)
    higher = (logits > logits.gather(1, labels[:, None])).sum(dim=1)
    hit = best == labels[:, None]
    rank = hit.byte().argmax(dim=1).where(hit.any(dim=1), higher.clamp(min=best.shape[1])) + 1
    found = {
        "prediction": best[:, 0],
        "confidence": chances.gather(1, best[:, :1])[:, 0],
        "label_probability": chances.gather(1, labels[:, None])[:, 0],
        "label_rank": rank,
    }
    columns = {name: values.cpu().numpy() for name, values in found.items()}
    return {name: each.astype(float).round(5) if each.dtype.kind == "f" else each for name, each in columns.items()}


@dataclass(frozen=True)
class Outcome:
    """What a run came to: what the network of the selected epoch says of validation and test."""

    valid: Answers
    test: Answers

    @cached_property
    def temperature(self) -> float:
        """Of the classifier's probabilities: fitted on validation, by its labels as they are given."""
        from project.work.classifier import fitted_temperature

        return fitted_temperature(self.valid.logits, self.valid.labels)

    def write(self, folder: Path, dataset: "Dataset", source: Path) -> None:
        """Write report.csv and the predictions of both splits. source: the folder of the prepared data set."""
        from project.work.dataset import storage

        test_keys = storage.read_keys(source, "test", len(dataset.test.records.labels))["key_id"].to_numpy(dtype=object)
        keys = {"valid": unpacked(dataset.train_keys[dataset.valid.rows.numpy()]), "test": test_keys}
        keys["test"] = keys["test"][dataset.test.rows.numpy()]
        reports = []
        for part, answers in (("test", self.test), ("valid", self.valid)):
            table = answers.table(keys[part], dataset.names, self.temperature)
            arrays.write_gzip(folder / PREDICTION_FILES[part], table.to_csv(index=False).encode())
            report = class_report(table["label"].to_numpy(), table["prediction"].to_numpy(), dataset.names)
            report.insert(0, "part", part)
            reports.append(report)
        disk.replace_file(folder / REPORT_FILE, pd.concat(reports).to_csv(index=False).encode())


def is_written(folder: Path) -> bool:
    """Whether a run folder has its report and predictions."""
    return not any(disk.absent(folder / name) for name in (REPORT_FILE, *PREDICTION_FILES.values()))


def class_report(labels: np.ndarray, predictions: np.ndarray, names: list[str]) -> pd.DataFrame:
    """A line a class: label, name, count, predicted, right, precision, recall, f1.

    labels, predictions: int (n,). Empty where there is nothing to divide by; F1 is empty for a class without rows, so
    that the mean of the column is macro F1.
    """
    rows = (labels, predictions, labels[labels == predictions])
    count, predicted, right = (np.bincount(each, minlength=len(names)) for each in rows)
    with np.errstate(invalid="ignore"):
        shares = {"precision": right / predicted, "recall": right / count, "f1": 2 * right / (count + predicted)}
    shares["f1"] = np.where(count > 0, shares["f1"], np.nan)
    columns = {"label": np.arange(len(names)), "name": names, "count": count, "predicted": predicted, "right": right}
    return pd.DataFrame(columns | {name: values.round(6) for name, values in shares.items()})


class CurvePlot:
    """curve.png in the run folder: loss and top-1 accuracy by epoch, with the selected epoch marked."""

    def write(self, result: Result) -> str:
        """Draw the curves of history.csv."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        history = pd.read_csv(result.folder / HISTORY_FILE)
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        loss, accuracy = figure.subplots(1, 2)
        for part, style in (("train", "--"), ("valid", "-")):
            loss.plot(history["epoch"], history[f"{part}_loss"], style, marker=".", label=LABELS[part])
            accuracy.plot(history["epoch"], 100 * history[f"{part}_accuracy"], style, marker=".", label=LABELS[part])
        selected, test = result.row["selected_epoch"], result.row["best_test_accuracy"]
        accuracy.plot(selected, 100 * test, "k*", label=f"test, {test:.1%}")
        loss.set(xlabel="epoch", ylabel="loss")
        accuracy.set(xlabel="epoch", ylabel="top-1 accuracy (%)", ylim=(0, 102))
        for axes in (loss, accuracy):
            axes.axvline(selected, color="grey", linewidth=1, label=f"selected, {selected}")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.legend()
        return f"curve in {_saved(figure, result, CURVE_FILE, '')}"


def _saved(figure: "Figure", result: Result, name: str, further: str) -> Path:
    """Save a figure in the run folder, under a title that says whose it is. further: words of the title."""
    title = f"{result.folder.name} on {Path(result.row['dataset']).name}"
    figure.suptitle(title + further, fontsize=11)
    if not re.fullmatch(PLAIN, title):
        fonts.for_matplotlib(figure)
    path = result.folder / name
    with disk.replacing(path) as file:
        figure.savefig(file, dpi=110, format="png")
    return path


class ConfusionPlot:
    """confusion.png in the run folder: which class's pictures of the test split were taken for which.

    Of more than NUMBERED classes, the most frequent confusions are named beside the map.
    """

    def write(self, result: Result) -> str:
        """Draw the predictions of the test split."""
        report = pd.read_csv(result.folder / REPORT_FILE, keep_default_na=False, dtype={"name": str})
        names = report.loc[report["part"] == "test", "name"].tolist()
        text = arrays.read_gzip(result.folder / PREDICTION_FILES["test"], disk.LARGEST)
        table = pd.read_csv(io.BytesIO(text), usecols=["label", "prediction"])
        counts = np.zeros((len(names), len(names)), np.int64)
        np.add.at(counts, (table["label"].to_numpy(), table["prediction"].to_numpy()), 1)
        words = f": {len(table):,} pictures to test, {np.trace(counts) / len(table):.1%} right"
        return f"confusions in {_saved(confusion_figure(counts, names), result, CONFUSION_FILE, words)}"


def confusion_figure(counts: np.ndarray, names: list[str]) -> "Figure":
    """The figure of a confusion matrix, int (K, K): a row a class, a column a prediction. names: of the K classes."""
    from matplotlib.figure import Figure

    classes, short = len(names), [_short(name) for name in names]
    cell = next((size for most, size in _CELL.items() if classes <= most), _SIDE / classes)
    side = max(cell * classes, 2.5)
    beside = 0.0 if classes <= NUMBERED else _PAIRS
    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    below = _draw_map(axes, counts / np.maximum(1, counts.sum(axis=1, keepdims=True)), short, side / classes)
    pairs = figure.add_axes((0, 0, 1, 1)) if beside else None
    if pairs is not None:
        _draw_pairs(pairs, counts, short, int(side / 0.19))
    if not all(re.fullmatch(PLAIN, name) for name in names):
        fonts.for_matplotlib(figure)
    if all(len(text.get_text()) == 1 for text in below):  # Chinese characters, where a font has them
        for text in below:
            text.set_rotation(0)
    left = 0.5 + max(_inches(text.get_text(), float(text.get_fontsize())) for text in axes.texts)
    width, height = left + side + 1.0 + beside, left + side + 0.5
    figure.set_size_inches(width, height)
    axes.set_position((left / width, left / height, side / width, side / height))
    key = figure.add_axes(((left + side + 0.12) / width, left / height, 0.14 / width, side / height))
    _draw_key(figure, axes, key)
    figure.text((left + side / 2) / width, 0.1 / height, "prediction", ha="center")
    figure.text(0.1 / width, (left + side / 2) / height, "label", va="center", rotation=90)
    if pairs is not None:
        pairs.set_position(((left + side + 0.9) / width, left / height, beside / width, side / height))
    return figure


def _draw_map(axes: "Axes", shares: np.ndarray, names: list[str], cell: float) -> list["Annotation"]:
    """The map: shares (K, K) of each class's pictures. cell: inches. Names that do not fit are left out.

    Returns the names below it.
    """
    from matplotlib.colors import PowerNorm

    # Colour follows the square root, so that 1% is visible.
    some = np.ma.masked_equal(shares, 0)  # white
    axes.imshow(some, cmap="magma_r", norm=PowerNorm(0.5, 0, 1), interpolation="nearest", aspect="auto")
    axes.set(xticks=[], yticks=[])
    step, found = max(1, int(np.ceil(_NAME / cell))), []
    size = min(9.0, 0.8 * 72 * step * cell)
    usual: dict[str, Any] = {"textcoords": "offset points", "fontsize": size, "annotation_clip": False}
    for place in range(0, len(names), step):  # not as names of ticks, whose letters no font is found for
        beside, below = ("axes fraction", "data"), ("data", "axes fraction")
        axes.annotate(names[place], (0, place), (-3, 0), beside, ha="right", va="center", **usual)
        found.append(
            axes.annotate(names[place], (place, 0), (0, -3), below, ha="center", va="top", rotation=90, **usual)
        )
    if len(names) > NUMBERED:
        return found
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            text, colour = f"{100 * share:.{0 if share >= 0.0995 else 1}f}", "white" if share > _DARK else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    return found


def _draw_key(figure: "Figure", axes: "Axes", place: "Axes") -> None:
    bar = figure.colorbar(axes.images[0], cax=place, ticks=[0, 0.01, 0.1, 0.25, 0.5, 1])
    place.set_yticklabels(["0%", "1%", "10%", "25%", "50%", "100%"], fontsize=8)
    bar.set_label("of the label's pictures", fontsize=8)


def _draw_pairs(axes: "Axes", counts: np.ndarray, names: list[str], most: int) -> None:
    """The most frequent confusions in words: how many pictures of which class were taken for which."""
    axes.set_axis_off()
    away = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    order = np.argsort(-away, axis=None, kind="stable")[:most]
    lines: list[tuple[str, ...]] = [("pictures", "share", "of", "taken for")]
    for true, taken in zip(*np.unravel_index(order, away.shape), strict=True):
        if (number := away[true, taken]) > 0:
            lines.append((f"{number:,}", f"{number / counts[true].sum():.0%}", names[true], names[taken]))
    for at, line in enumerate(lines):
        for x, text, side in zip((0.14, 0.27, 0.32, 0.66), line, ("right", "right", "left", "left"), strict=True):
            axes.text(x, 1 - (at + 0.5) / (most + 1), text, ha=side, va="center", fontsize=9)


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}\u2026"


def _inches(text: str, size: float) -> float:
    """About how long a text is, in letters of so many points."""
    return sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.6 for letter in text) * size / 72
