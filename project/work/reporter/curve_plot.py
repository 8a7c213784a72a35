"""The course of a run as a picture."""

import pandas as pd
from matplotlib.figure import Figure

from project.work.reporter.reporter import Result

FILE = "curve.png"


class CurvePlot:
    """curve.png in the run folder: loss and top-1 accuracy by epoch, with the selected epoch marked."""

    def write(self, result: Result) -> str:
        """Draw the curves of history.csv."""
        history = pd.read_csv(result.folder / "history.csv")
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        loss, accuracy = figure.subplots(1, 2)
        for part, style in (("train", "--"), ("valid", "-")):
            loss.plot(history["epoch"], history[f"{part}_loss"], style, marker=".", label=part)
            accuracy.plot(history["epoch"], 100 * history[f"{part}_accuracy"], style, marker=".", label=part)
        loss.set(xlabel="epoch", ylabel="loss", title="loss")
        accuracy.set(xlabel="epoch", ylabel="top-1 accuracy (%)", title="top-1 accuracy", ylim=(0, 100))
        for axes in (loss, accuracy):
            axes.axvline(result.row["selected_epoch"], color="grey", linewidth=1, label="selected")
            axes.grid(alpha=0.3)
            axes.legend()
        test = f"test {result.row['best_test_accuracy']:.1%} at epoch {result.row['selected_epoch']}"
        figure.suptitle(f"{result.folder.name} on {result.row['dataset']}: {test}", fontsize=11)
        path = result.folder / FILE
        figure.savefig(path, dpi=110)
        return f"curve in {path}"
