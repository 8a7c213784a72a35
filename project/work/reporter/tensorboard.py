"""TensorBoard: the epochs of a run while it trains, and at the end its settings and result.

The event files are in the run folder: `tensorboard --logdir project/output` shows all runs. A run that goes on begins
a new file with all its epochs, so that a kill between two files loses no point and doubles none. The package is needed
with --tensorboard alone.
"""

import csv
import importlib.util
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from project.work.common import UserError
from project.work.files import disk
from project.work.reporter.result import Result
from project.work.run_folder import HISTORY_FILE
from project.work.settings.resolve import experiment_settings

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"  # in the run folder
FIGURES = ("best_", "last_", "temperature")  # begin the columns of a result's figures


def refuse_missing() -> None:
    """Raises UserError where the package is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard: the package tensorboard is not installed: pip install tensorboard, or leave"
                        " --tensorboard out")  # fmt: skip


class TensorBoard:
    """The event files of a run folder: of its epochs so far, or of a finished run."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / FOLDER
        self._shown = 0  # epochs
        self._writer: SummaryWriter | None = None

    def show(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """Add the epochs that are not shown yet, each a row of history.csv. The run goes on, whatever fails here."""
        try:
            self._show(epochs)
        except Exception as error:
            print(f"warning: TensorBoard failed: {disk.said(error)}", file=sys.stderr)

    def write(self, result: Result) -> str:
        """Write all epochs, the settings (as hparams) and the result of a finished run."""
        from torch.utils.tensorboard.summary import hparams

        path, row = result.folder / HISTORY_FILE, result.row
        lines = [] if disk.absent(path) else disk.read_text(path).splitlines()  # a head on features has no epochs
        self._writer, self._shown = None, 0
        writer = self._show(
            [{name: float(cell) for name, cell in line.items() if cell} for line in csv.DictReader(lines)]
        )
        figures = {f"result/{name}": row[name] for name in row if name.startswith(FIGURES) and row[name] is not None}
        for tag, value in figures.items():
            writer.add_scalar(tag, value, row["selected_epoch"])
        settings = {name: row[name] for name in ("method", *experiment_settings()) if row.get(name) is not None}
        for summary in hparams(settings, figures):
            writer.file_writer.add_summary(summary)  # type: ignore[attr-defined]
        cells = (f"| {name} | {value} |" for name, value in row.items())
        writer.add_text("result", "\n".join(["| column | value |", "|---|---|", *cells]))
        writer.close()
        return f"TensorBoard: tensorboard --logdir {result.folder.parent}"

    def _show(self, epochs: Sequence[Mapping[str, float]]) -> "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        earlier: list[Path] = []
        if self._writer is None:
            earlier = sorted(self.place.glob("events.*"))
            self._writer = SummaryWriter(self.place, purge_step=0)  # it counts in place of files that were before it
        for at in range(self._shown, len(epochs)):
            # Epochs that were trained before end as if all had been trained without a pause.
            ended = time.time() - sum(later["seconds"] for later in epochs[at + 1 :])
            for name in epochs[at].keys() - {"epoch"}:
                self._writer.add_scalar(_tag(name), epochs[at][name], int(epochs[at]["epoch"]), ended)
        self._writer.flush()
        self._shown = len(epochs)
        for path in earlier:
            path.unlink()
        return self._writer


def _tag(column: str) -> str:
    """train_loss -> train/loss, so that TensorBoard shows what belongs together side by side."""
    part, _, name = column.partition("_")
    return f"{part}/{name}" if part in ("train", "valid") else f"epoch/{column}"
