"""Prints the cost of each method's step relative to a plain step, and its difference from the declared factor.

    .venv/bin/python benchmark/method_cost.py
    .venv/bin/python benchmark/method_cost.py --model resnet18 --rounds 9

All use the default recipe and run in turn. For NTS and distillation the table has the student's step; their teachers
are separate runs. Margins are part of every step; a step without them shows their cost. A loss takes less time than the
difference between two runs of the same step. So the second table measures all work outside the network by itself,
including augmentation and mixing.
"""

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import table
import torch
from measure import Contender, Options
from stepping import Bench, make_bench, synchronise

from project.work.dataset.base_dataset import Batch
from project.work.dataset.transforms import affine, affine_matrices
from project.work.machine.device import choose_device
from project.work.machine.process import run_command
from project.work.runner.base_runner import BaseRunner
from project.work.runner.label_posterior_runner import posterior
from project.work.runner.mixup_runner import MIX_AFTER, mix, mix_targets
from project.work.settings.flags import parse, setting
from project.work.settings.groups import Settings

METHODS = {  # settings, and the declared cost of a step
    "ELR": ({"elr": True}, 1.0),
    "GCE": ({"gce": True}, 1.0),
    "SCE": ({"sce": True}, 1.0),
    "mixup": ({"mixup": True}, 1.0),
    "student of NTS": ({"nts": True}, 1.0),
    "student of fold models": ({"distillation": True}, 1.0),
    "co-teaching": ({"co_teaching": True}, 2.0),
    "SAM": ({"sam": True}, 2.0),
}


@dataclass(frozen=True)
class CostOptions(Options):
    """What to train, and where."""

    rounds: int = setting(21, "number of times that each contender runs", within="[1, 1000]")
    dataset: str | None = setting(None, "name of a prepared data set; made from a seed when not given")
    classes: int = setting(340, "classes of the one that is made", within="[2, 600]")
    model: str = setting("narrow", "network", choices=("narrow", "resnet18", "resnet18-small"))
    batch_size: int = setting(128, "pictures a step", within="[2, inf)")
    pictures: int = setting(640, "pictures of a turn", within="[2, inf)")
    device: str = setting("cpu", "where to train", choices=("auto", "cpu", "cuda", "mps"))
    threads: int = setting(1, "threads of the training process on a CPU", within="[1, 1024]")


def without_margins(runner: BaseRunner) -> BaseRunner:
    """The runner without margins."""
    runner.observe = lambda *_: None
    return runner


class Study:
    """The tables of one device."""

    def __init__(self, options: CostOptions, bench: Bench) -> None:
        self.options, self.bench = options, bench
        self.clock = "cpu" if bench.device.type == "cpu" else "wall"
        classes = len(bench.dataset.names)
        self.where = f"{options.model}, batches of {options.batch_size}, {classes} classes"
        self.runners = {"base": bench.runner(), "margins off": without_margins(bench.runner())}
        self.runners |= {name: bench.runner(**values) for name, (values, _) in METHODS.items()}

    def steps(self) -> table.Row:
        """Whole steps, including the input; returns the plain step's row."""
        contenders = [Contender(name, self.bench.epoch(runner)) for name, runner in self.runners.items()]
        base, *rows = self._compare("What a step costs", "pictures", contenders)
        for row in rows:
            median, low, high = row.cpu_ratio if self.clock == "cpu" else row.wall_ratio
            declared = METHODS[row.name][1] if row.name in METHODS else 1.0
            beyond = [f"{ratio / declared - 1:+.1%}" for ratio in (median, low, high)]
            print(f"{row.name}: {beyond[0]} beyond {declared:g} steps ({beyond[1]} to {beyond[2]})")
        return base

    def parts(self, step: table.Row) -> None:
        """The work of each method outside the network by itself: too small a share to show in whole steps."""
        split, size = self.runners["student of NTS"].dataset.train, self.options.batch_size
        batch = next(split.batches(size, torch.Generator().manual_seed(0)))
        logits = torch.randn(len(batch), split.classes, generator=torch.Generator().manual_seed(0))
        logits = logits.to(self.bench.device)
        times = 2 if self.options.quick else 200

        def loss(runner: BaseRunner) -> Callable[[], float]:
            def once() -> None:
                runner.mean_loss(logits.detach().requires_grad_(), batch).backward()

            return self._repeated(once, times)

        plain = {name: self.runners[name] for name, (_, factor) in METHODS.items() if factor == 1 and name != "mixup"}
        contenders = [Contender("loss of base", loss(self.runners["base"]))]
        contenders += [Contender(f"loss of {name}", loss(runner)) for name, runner in plain.items()]
        observe = self.runners["base"].observe
        more = {"margins": lambda: observe(logits, batch)} | self._changes(batch, logits)
        contenders += [Contender(name, self._repeated(once, times)) for name, once in more.items()]
        rows = self._compare("What is computed beside the network", "steps", contenders)
        whole, base = len(batch) / self._rate(step), 1 / self._rate(rows[0])
        for row in rows[1:]:
            took = 1 / self._rate(row) - (0 if row.name in more else base)
            print(f"{row.name}: {took * 1e3:.2f} ms more, {took / whole:+.2%} of a plain step of {whole * 1e3:.0f} ms")

    def _changes(self, batch: Batch, logits: torch.Tensor) -> dict[str, Callable[[], object]]:
        """The work of augmentation, mixing and the label posterior (which also records margins) on a batch.

        Manifold mixup mixes one of three values; here each in turn.
        """
        generator, model = torch.Generator().manual_seed(0), self.runners["base"].model
        partners = torch.randperm(len(batch), generator=generator).to(self.bench.device)
        cuts = [0, *(1 + [name for name, _ in model.named_children()].index(place) for place in MIX_AFTER[1:])]
        with torch.no_grad(), self.runners["base"].precision.autocast():
            values = [model[:cut](batch.images) for cut in cuts]
        turn = itertools.cycle(value.requires_grad_(cut > 0) for cut, value in zip(cuts, values, strict=True))

        def mixed(values: torch.Tensor) -> torch.Tensor:
            mix_targets(batch, partners, 0.7)
            return mix(values, partners, 0.7)

        def mixed_within() -> None:
            values = mixed(next(turn))
            if values.requires_grad:
                values.backward(values)

        runner = self.bench.runner(label_posterior=True)

        def correct() -> None:
            posterior(batch.targets, runner._predictions(batch.rows), 0.4)
            runner.observe(logits, batch)

        return {
            "label posterior": correct,
            "affine": lambda: affine(batch.images, affine_matrices(len(batch), generator).to(self.bench.device)),
            "mixup": lambda: mixed(batch.images),
            "manifold mixup": mixed_within,
        }

    def _repeated(self, once: Callable[[], object], times: int) -> Callable[[], float]:
        def run() -> float:
            for _ in range(times):
                once()
            synchronise(self.bench.device)
            return times

        return run

    def _rate(self, row: table.Row) -> float:
        return row.per_cpu if self.clock == "cpu" else row.per_second

    def _compare(self, title: str, unit: str, contenders: Sequence[Contender]) -> list[table.Row]:
        return table.compare(f"{title}: {self.where}", unit, contenders, self.options, clock=self.clock)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    options = parse(CostOptions, argv, "Measure what methods cost.")
    if options.quick:
        options = dataclasses.replace(options, pictures=16, batch_size=8, classes=10)
    torch.set_num_threads(options.threads)
    device = choose_device(dataclasses.replace(Settings(), device=options.device))
    with tempfile.TemporaryDirectory() as scratch:
        shared = {"batch_size": options.batch_size, "model": options.model, "uuid": "benchmark"}
        bench = make_bench(options.dataset, options.pictures, device, Path(scratch), shared, options.classes)
        study = Study(options, bench)
        study.parts(study.steps())


if __name__ == "__main__":
    run_command(main)
