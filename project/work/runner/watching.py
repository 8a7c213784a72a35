"""Looking into training: where a step's time goes (--profile), and what the gradients of each layer are (--gradients).

Both are classes around a runner, made where they are asked for: a run without them is what it was.
"""

import csv
import io
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from project.work.dataset.base_dataset import Batch
from project.work.dataset.transforms import Augmentation
from project.work.files import disk, tables
from project.work.runner.base_runner import BaseRunner
from project.work.runner.history import EpochRow, History
from project.work.settings.groups import Settings

TRACE, PROFILE, GRADIENTS, PICTURE = "profile.json.gz", "profile.txt", "gradients.csv", "gradients.png"
WARM_UP = 3  # steps that are not traced: the first ones allocate memory and choose kernels
PARTS = ("reading", "augmenting", "forward", "backward", "step")
MUCH = 0.25  # share of the time from which on a part beside forward and backward is worth mending
APART = 1000  # how many times as large the largest update-to-weight ratio may be as the smallest
ADVICE = {
    "reading": "training waits for pictures: prepare them at the side that is trained at, let them stay in memory (a"
    " larger --largest-set), or use more cores",
    "augmenting": "a plainer --augment (affine, then flip) takes less; on a GPU it is nearly free",
    "step": "the optimizer takes long for so small a batch: a larger --batch-size, --accumulation-steps, or --optimizer"
    " sgd in place of muon",
    "network": "the network is what takes the time, as it should: --amp, --compile, a smaller --image-size or --model,"
    " or more processes or GPUs make it faster",
}


def watched(runner: type[BaseRunner], settings: Settings) -> type[BaseRunner]:
    """The runner, looked into as the settings ask; itself where they do not."""
    around = [ProfiledRunner] * (settings.profile is not None) + [GradientsRunner] * settings.gradients
    return type(runner.__name__, (*around, runner), {}) if around else runner


class ProfiledRunner(BaseRunner):
    """Traces some steps with torch.profiler and says what share of their time each part took.

    The clock waits for the device at the end of each part, so that what a GPU is still at counts where it belongs.
    """

    def __init__(self, context: Any, dataset: Any, folder: Path) -> None:
        super().__init__(context, dataset, folder)
        self.place, self.spent = folder, defaultdict[str, float](float)
        self.steps_seen = self.steps_traced = 0
        self.profiler: Any = None
        if self.augmentation is not None:
            within = self.augmentation
            self.augmentation = Augmentation(within.draw, self._timed("augmenting", within.change), within.on_host)

    def fit(self, after_epoch: Callable[[], None] = lambda: None) -> History:
        try:
            return super().fit(after_epoch)
        finally:
            self._finish()

    def losses(self, batch: Batch) -> tuple[list[Tensor], Tensor, Batch]:
        with self._part("forward"):
            return super().losses(batch)

    def backward(self, batch: Batch, pictures: int) -> tuple[Tensor, Batch, Tensor]:
        before = self.spent["forward"]
        with self._part("backward"):
            found = super().backward(batch, pictures)
        self.spent["backward"] -= self.spent["forward"] - before  # it calls `losses`
        return found

    def _groups(self) -> Iterator[tuple[int, Iterator[tuple[Batch, int]]]]:
        for first, group in super()._groups():
            self._begin()
            yield first, self._read(group)

    def _read(self, group: Iterator[tuple[Batch, int]]) -> Iterator[tuple[Batch, int]]:
        while True:
            before = self.spent["augmenting"]
            with self._part("reading"):
                found = next(group, None)
            self.spent["reading"] -= self.spent["augmenting"] - before
            if found is None:
                return
            yield found

    def _step(self) -> None:
        with self._part("step"):
            super()._step()
        self.steps_seen += 1
        if self.profiler is not None:
            self.steps_traced += 1
            if self.steps_traced == self.settings.profile:
                self._finish()

    def _begin(self) -> None:
        """Start to trace once the first steps are done, and only once."""
        if self.steps_seen < WARM_UP or self.steps_traced or self.profiler is not None or self.distributed.rank != 0:
            return
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self.device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        self.spent.clear()
        self.profiler = torch.profiler.profile(activities=activities)
        self.profiler.start()

    def _finish(self) -> None:
        if self.profiler is not None:
            self.profiler.stop()
            profiler, self.profiler = self.profiler, None
            partial = self.place / f".{TRACE}"
            profiler.export_chrome_trace(str(partial))
            partial.replace(self.place / TRACE)
            text = said(dict(self.spent), self.steps_traced, self.settings.batch_size)
            disk.replace_file(self.place / PROFILE, f"{text}\n".encode())
            print(f"{text}\ntrace in {self.place / TRACE}; open it in ui.perfetto.dev or chrome://tracing")
        elif not self.steps_traced and self.steps_seen and self.distributed.rank == 0:
            print(f"--profile: the run had {self.steps_seen} steps, but the first {WARM_UP} are not traced; give more"
                  " --epoch or a smaller --batch-size")  # fmt: skip
            self.steps_seen = 0

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        if self.profiler is None:
            yield
            return
        with torch.profiler.record_function(name):
            began = time.perf_counter()
            yield
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.spent[name] += time.perf_counter() - began

    def _timed(self, name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def timed(*arguments: Tensor) -> Tensor:
            with self._part(name):
                return function(*arguments)

        return timed


def said(spent: dict[str, float], steps: int, batch_size: int) -> str:
    """Where the time went and which part to mend. spent: seconds of each part."""
    total = sum(spent.values()) or 1.0
    shares = {name: spent.get(name, 0.0) / total for name in PARTS}
    each = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    beside = {name: share for name, share in shares.items() if name in ADVICE}
    worst = max(beside, key=lambda name: beside[name])
    advice = ADVICE[worst if beside[worst] >= MUCH else "network"]
    head = f"{worst} takes {beside[worst]:.0%}: " if beside[worst] >= MUCH else ""
    return f"{steps} steps of {batch_size} pictures, {1000 * total / steps:.0f} ms each: {each}\n{head}{advice}"


class GradientsRunner(BaseRunner):
    """Notes for each layer and epoch the norm of its gradient and how large its update is beside its weights.

    A layer is a module with parameters of its own. Norms are the mean over the steps of an epoch, before clipping.
    """

    def __init__(self, context: Any, dataset: Any, folder: Path) -> None:
        super().__init__(context, dataset, folder)
        self.table = folder / GRADIENTS
        self.layers: dict[str, list[torch.nn.Parameter]] = {
            name: own
            for name, module in self.model.named_modules()
            if (own := [each for each in module.parameters(recurse=False) if each.requires_grad])
        }
        self.stepping, self.noted, self.sums = False, 0, torch.zeros(2, len(self.layers), device=self.device)
        self.rows: list[dict[str, Any]] = []

    def add_gradients(self) -> None:
        super().add_gradients()
        if self.stepping:  # and not in SAM's first pass
            scale = self.precision.scaler.get_scale() if self.precision.scaler.is_enabled() else 1.0
            gradients = [[each.grad for each in own if each.grad is not None] for own in self.layers.values()]
            self.sums[0] += torch.stack([_norm(own, self.device) for own in gradients]) / scale

    def _step(self) -> None:
        before = [[each.detach().clone() for each in own] for own in self.layers.values()]
        self.stepping = True
        super()._step()
        self.stepping = False
        self.noted += 1
        for place, (own, old) in enumerate(zip(self.layers.values(), before, strict=True)):
            moved = _norm([now.detach() - then for now, then in zip(own, old, strict=True)], self.device)
            self.sums[1, place] += moved / _norm(old, self.device).clamp(min=1e-12)

    def _epoch(self, epoch: int, bar: Any) -> EpochRow:
        self.sums.zero_()
        self.noted = 0
        try:
            return super()._epoch(epoch, bar)
        finally:
            if self.noted and self.distributed.rank == 0:
                self._note(epoch + 1)

    def _note(self, epoch: int) -> None:
        if not self.rows:
            self.rows = [row for row in _earlier(self.table) if row["epoch"] < epoch]
        norms, ratios = (self.sums / self.noted).tolist()
        now = [
            {"epoch": epoch, "layer": name, "gradient_norm": norm, "update_ratio": ratio}
            for (name, own), norm, ratio in zip(self.layers.items(), norms, ratios, strict=True)
            if any(each.requires_grad for each in own)  # and not what is frozen
        ]
        self.rows += now
        text = io.StringIO()
        table = csv.DictWriter(text, list(now[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        disk.replace_file(self.table, text.getvalue().encode())
        for line in warnings(now):
            print(f"epoch {epoch}: {line}")

    def fit(self, after_epoch: Callable[[], None] = lambda: None) -> History:
        history = super().fit(after_epoch)
        if self.rows and self.distributed.rank == 0:
            draw(self.rows, self.table.with_name(PICTURE))
            print(f"gradients in {self.table} and {PICTURE}")
        return history


def _norm(tensors: list[Tensor], device: torch.device) -> Tensor:
    return torch.stack([each.float().norm() for each in tensors]).norm() if tensors else torch.zeros((), device=device)


def _earlier(path: Path) -> list[dict[str, Any]]:
    """The rows of epochs before a resumed run went on; none where there is no such file."""
    if disk.absent(path):
        return []
    columns = ("epoch", "layer", "gradient_norm", "update_ratio")
    table = tables.read_table(path, columns, "the gradients of this run")
    numbers = table[["gradient_norm", "update_ratio"]].astype(float)
    values = zip(table["epoch"].astype(int), table["layer"], numbers.to_numpy().tolist(), strict=True)
    return [dict(zip(columns, (epoch, layer, *pair), strict=True)) for epoch, layer, pair in values]


def warnings(rows: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the gradients of an epoch, a line each. rows: as in gradients.csv, of one epoch."""
    lines = []
    endless = [row["layer"] for row in rows if not math.isfinite(row["gradient_norm"] + row["update_ratio"])]
    nothing = [row["layer"] for row in rows if row["gradient_norm"] == 0]
    if endless:
        lines.append(f"gradients are not finite in {_few(endless)}: try a lower --learning-rate")
    if nothing:
        lines.append(f"gradients are 0 in {_few(nothing)}: these layers learn nothing")
    moving = [row for row in rows if math.isfinite(row["update_ratio"]) and row["update_ratio"] > 0]
    if moving:
        least, most = (choose(moving, key=lambda row: row["update_ratio"]) for choose in (min, max))
        if most["update_ratio"] >= APART * least["update_ratio"]:
            lines.append(
                f"updates are {most['update_ratio'] / least['update_ratio']:,.0f} times as large beside the weights in"
                f" {most['layer']} ({most['update_ratio']:.1e}) as in {least['layer']} ({least['update_ratio']:.1e})"
            )
    return lines


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more layers" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """A picture of both figures by layer, from input to output, a line an epoch, the last ones darkest."""
    from matplotlib.figure import Figure

    epochs = sorted({row["epoch"] for row in rows})
    names = [row["layer"] for row in rows if row["epoch"] == epochs[-1]]
    figure = Figure(figsize=(9, 2.5 + 0.16 * len(names)), layout="constrained")
    for axes, column, title in zip(
        figure.subplots(1, 2, sharey=True), ("gradient_norm", "update_ratio"), ("gradient norm", "update / weight"),
        strict=True,
    ):  # fmt: skip
        for place, epoch in enumerate(epochs):
            values = {row["layer"]: row[column] for row in rows if row["epoch"] == epoch}
            shade = 0.15 + 0.85 * (place + 1) / len(epochs)
            drawn = [values.get(name, math.nan) or math.nan for name in names]
            label = f"epoch {epoch}" if epoch in (epochs[0], epochs[-1]) else None
            axes.plot(drawn, range(len(names)), ".-", color="C0", alpha=shade, label=label)
        axes.set(xscale="log", title=title)
        axes.grid(alpha=0.3)
        axes.legend()
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    with disk.replacing(path) as file:
        figure.savefig(file, dpi=110, format="png")
