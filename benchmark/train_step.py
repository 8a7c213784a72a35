"""Prints what a training step costs: our loop, the predecessor's, and the limit of a step on one resident batch.

    .venv/bin/python benchmark/train_step.py --model resnet18
    .venv/bin/python benchmark/train_step.py --device cuda --amp --compile

Both have the same network, batch and optimizer: first at equal precision, then ours with its default precision where
that is bfloat16. Torch's process-wide options (TensorFloat, cuDNN's search) apply to both. --threads are those of the
training process; the predecessor's loader also has a worker a core, and CPU-seconds count all of them. On a GPU compare
seconds.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import measure
import predecessor_training
import table
import torch
from measure import Contender, Options
from stepping import Bench, make_bench, peak_flop, predecessor_settings, synchronise

from project.work import model
from project.work.machine.device import MixedPrecision, choose_device, fast_bfloat16
from project.work.machine.process import run_command
from project.work.runner.base_runner import BaseRunner
from project.work.settings.flags import parse, setting
from project.work.settings.groups import Settings

METHODS = {  # settings added to the plain step
    "flip": {"augment": "flip"},
    "affine": {"augment": "affine"},
    "mixup": {"mixup": True},
    "manifold mixup": {"manifold_mixup": True},
    "soft targets": {"distillation": True},
}


@dataclass(frozen=True)
class StepOptions(Options):
    """What to train, and where."""

    dataset: str | None = setting(None, "name of a prepared data set; made from a seed when not given")
    model: str = setting("resnet18", "network", choices=("narrow", "resnet18", "resnet18-small"))
    batch_size: int = setting(128, "pictures a step", within="[2, inf)")
    pictures: int = setting(1280, "pictures of a turn", within="[2, inf)")
    device: str = setting("cpu", "where to train", choices=("auto", "cpu", "cuda", "mps"))
    threads: int = setting(1, "threads of the training process on a CPU", within="[1, 1024]")
    amp: bool = setting(False, "mixed precision even where the device does not multiply bfloat16 itself")
    compile: bool = setting(False, "torch.compile too, which takes minutes on a CPU")


class Study:
    """The tables of one device."""

    def __init__(self, options: StepOptions, bench: Bench) -> None:
        self.options, self.bench, self.device = options, bench, bench.device
        self.clock = "cpu" if self.device.type == "cpu" else "wall"
        self.where = f"{options.model}, batches of {options.batch_size}, {place(self.device, options.threads)}"

    def loops(self) -> None:
        """Ours, the predecessor's (in float32, as it was) and the limit: in float32, and in our default precision."""
        for amp, words in self._ways():
            same = predecessor_settings(model=self.options.model, amp=amp)
            once, as_it_was = (self._predecessor(faithful) for faithful in (False, True))
            contenders = [
                Contender("ours", self.bench.epoch(self.bench.runner(**same))),
                measure.optional("predecessor as it was", as_it_was),
                measure.optional("predecessor, pipeline made once", once),
                Contender("limit: one resident batch", self.bench.fixed(self.bench.runner(**same))),
            ]
            self._compare(f"Training loop, {words}, SGD", contenders)

    def _ways(self) -> list[tuple[bool, str]]:
        """(mixed precision, its name) pairs; mixed only if the device multiplies bfloat16 itself."""
        mixed = [(True, "ours in bfloat16, as by default here")] if fast_bfloat16(self.device) else []
        return [(False, "float32"), *mixed]

    def precisions(self) -> None:
        """Our loop and its limit by precision and compilation, with the FLOP they achieve."""
        plain = self.bench.runner(model=self.options.model, compile=False)
        note = f"{self.bench.flop(plain) / 1e6:.0f} MFLOP a picture"
        contenders = []
        for amp in (True, False) if self.options.amp or fast_bfloat16(self.device) else (False,):
            dtype = MixedPrecision(self.device, True).dtype if amp else torch.float32
            for compiled in (False, True) if self.options.compile else (False,):
                name = f"{str(dtype).removeprefix('torch.')}{', compiled' if compiled else ''}"
                values = {"amp": amp, "model": self.options.model, "compile": compiled}
                runner, limit = (self.bench.runner(**values) for _ in range(2))
                contenders.append(Contender(f"ours, {name}", self.bench.epoch(runner), note))
                contenders.append(Contender(f"limit, {name}", self.bench.fixed(limit), note))
        rows = self._compare("Training loop, default optimizer and augmentation", contenders)
        for row in rows:
            dtype = getattr(torch, row.name.split(", ")[1])
            achieved = row.per_second * float(row.note.split()[0]) * 1e6
            share = achieved / peak_flop(self.device, dtype, self.options.quick)
            print(f"{row.name}: {achieved / 1e9:.1f} GFLOP/s, {share:.0%} of a large {dtype} matrix product")

    def methods(self) -> None:
        """What each method adds to a step."""
        plain = {"model": self.options.model, "augment": "none"}
        settings = {"plain": {}, **METHODS}
        runners = {name: self.bench.runner(**(plain | values)) for name, values in settings.items()}
        contenders = [Contender(name, self.bench.epoch(runner)) for name, runner in runners.items()]
        for row in self._compare("What methods add to a step", contenders)[1:]:
            ratio = row.cpu_ratio if self.clock == "cpu" else row.wall_ratio
            print(f"{row.name}: {ratio[0] - 1:+.1%} of a plain step ({ratio[1] - 1:+.1%} to {ratio[2] - 1:+.1%})")

    def evaluation(self) -> None:
        """Predicting a split."""
        for amp, words in self._ways():
            runner = self.bench.runner(**predecessor_settings(model=self.options.model, amp=amp))
            contenders = [Contender("ours", self._prediction(runner))]
            for name, faithful in (("predecessor as it was", True), ("predecessor, pipeline made once", False)):
                contenders.append(measure.optional(name, self._predecessor(faithful, train=False)))
            self._compare(f"Evaluation, {words}", contenders)

    def _prediction(self, runner: BaseRunner) -> Callable[[], float]:
        def run() -> float:
            logits = runner.predict(self.bench.dataset.train)
            synchronise(self.device)
            return len(logits)

        return run

    def _predecessor(self, faithful: bool, train: bool = True) -> Callable[[], Callable[[], float]]:
        def make() -> Callable[[], float]:
            predecessor_training.pipeline(train)
            split = self.bench.dataset.train
            size, arrays = self.options.batch_size, self.bench.arrays
            batches = predecessor_training.loader(*arrays, size, train=train, faithful=faithful)
            network = model.make(self.options.model, split.classes, 1, seed=0).to(self.device)
            steps = predecessor_training.optimizer(network)

            def run() -> float:
                if train:
                    predecessor_training.train(network, batches, steps, self.device)
                else:
                    predecessor_training.evaluate(network, batches, self.device)
                synchronise(self.device)
                return len(split)

            return run

        return make

    def _compare(self, title: str, contenders: Sequence[Contender]) -> list[table.Row]:
        return table.compare(f"{title}: {self.where}", "pictures", contenders, self.options, clock=self.clock)


def place(device: torch.device, threads: int) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{threads} thread{'s' if threads > 1 else ''} of {device.type}" if device.type == "cpu" else device.type


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    options = parse(StepOptions, argv, "Measure training steps.")
    if options.quick:
        options = dataclasses.replace(options, pictures=16, batch_size=8)
    torch.set_num_threads(options.threads)
    device = choose_device(dataclasses.replace(Settings(), device=options.device))
    with tempfile.TemporaryDirectory() as scratch:
        shared = {"batch_size": options.batch_size, "uuid": "benchmark"}
        study = Study(options, make_bench(options.dataset, options.pictures, device, Path(scratch), shared))
        for part in (study.loops, study.precisions, study.methods, study.evaluation):
            part()


if __name__ == "__main__":
    run_command(main)
