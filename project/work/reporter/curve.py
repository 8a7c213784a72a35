"""A plot of a run: loss and accuracy by epoch."""

import re
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from project.work.files import disk
from project.work.pages import fonts
from project.work.reporter.result import Result
from project.work.run_folder import HISTORY_FILE

FILE = "curve.png"
PLAIN = r"[A-Za-z0-9_ .+-]*"  # a title that any font shows as it stands
LABELS = {"train": "train, as augmented", "valid": "valid"}


class CurvePlot:
    """curve.png in the run folder: loss and top-1 accuracy by epoch, with the selected epoch marked."""

    def write(self, result: Result) -> str:
        """Draw the curves of history.csv."""
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
        title = f"{result.folder.name} on {Path(result.row['dataset']).name}"
        figure.suptitle(title, fontsize=11)
        if not re.fullmatch(PLAIN, title):
            fonts.for_matplotlib(figure)
        path = result.folder / FILE
        with disk.replacing(path) as file:
            figure.savefig(file, dpi=110, format="png")
        return f"curve in {path}"
