"""Prints how many drawings a CPU-second are prepared from CSV to files on disk, as whole processes on one core.

    .venv/bin/python benchmark/preparation.py
    .venv/bin/python benchmark/preparation.py --input ~/quickdraw --classes 340

Start-up is a run on two classes of two drawings; "beyond start-up" subtracts each contender's own. Ours prepares ten
times as many drawings a class, because its start-up would hide the work otherwise. It samples each file uniformly; the
predecessor takes the head.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import inputs
import measure
import table
from measure import Contender, Cost, Options

import make_command
from project.work.machine.process import run_command
from project.work.settings.flags import parse, setting

HERE = Path(__file__).parent
OURS = "project/data_preparation/quickdraw.py"


@dataclass(frozen=True)
class PreparationOptions(Options):
    """What to prepare."""

    rounds: int = setting(3, "number of times that each contender runs", within="[1, 1000]")
    input: str | None = setting(None, "Kaggle's folder of simplified drawings; made from a seed when not given")
    classes: int = setting(100, "classes to make when there is no --input", within="[2, 676]")
    per_class: int = setting(300, "drawings a class for the others", within="[2, inf)")
    many: int = setting(3000, "drawings a class for ours", within="[2, inf)")
    raw_classes: int = setting(10, "classes of raw strokes, made from a seed", within="[2, 676]")


class Runs:
    """Whole processes on one input, each in its own folder; records the peak memory of each, in MB."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.peaks: dict[str, float] = {}

    def ours(self, name: str, folder: Path, per_class: int, one_core: bool = True, **values: object) -> Contender:
        """quickdraw.py on a folder."""
        words = {"input": folder, "per_class": per_class, **values}

        def command(output: Path) -> list[str]:
            return make_command.script(OURS, words | {"output": output})

        return self._contender(name, folder, per_class, command, one_core)

    def theirs(self, name: str, script: str, folder: Path, per_class: int) -> Contender:
        """A script of this folder that takes FOLDER OUTPUT PER_CLASS."""
        files = next(folder.glob("train_*"))

        def command(output: Path) -> list[str]:
            return [sys.executable, *map(str, (HERE / script, files, output, per_class))]

        return self._contender(name, folder, per_class, command, True)

    def _contender(
        self, name: str, folder: Path, per_class: int, command: Callable[[Path], list[str]], one_core: bool
    ) -> Contender:
        count = len(list(folder.glob("train_*/*.csv"))) * per_class

        def run() -> float:
            output = Path(tempfile.mkdtemp(dir=self.scratch))  # a new folder, so that no earlier work is continued
            peak = measure.process(command(output), one_core)
            self.peaks[name] = max(peak, self.peaks.get(name, 0))
            return count

        return Contender(name, run)


def study(group: str, starts: list[Contender], whole: list[Contender], runs: Runs, options: Options) -> None:
    """Measure whole runs and starts in turn; show the runs, the runs minus their starts, and the starts."""
    if options.quick:  # the work on so few drawings is too small against start-up
        table.compare(f"{group}, whole process", "drawings", whole, options, warm=False)
        return
    for each in starts:  # once to warm up; whole runs need no warm-up
        each.run()
    named = [dataclasses.replace(each, name=f"{each.name} start") for each in starts]
    costs = measure.in_turn([*named, *whole], options.turns, warm=False)
    ran = {each.name: costs[each.name] for each in whole}
    started = {each.name: costs[f"{each.name} start"] for each in whole}
    beyond = {name: _beyond(ran[name], started[name]) for name in ran}
    noted = [dataclasses.replace(each, note=f"peak {runs.peaks[each.name]:.0f} MB") for each in whole]
    table.show(table.as_rows(f"{group}, whole process", "drawings", noted, ran), options)
    if all(each.cpu > 0 and each.wall > 0 for turns in beyond.values() for each in turns):
        table.show(table.as_rows(f"{group}, beyond start-up", "drawings", whole, beyond), options)
    else:
        print(f"\n{group}: too few drawings to tell work from start-up")
    once = {name: [dataclasses.replace(each, units=1) for each in turns] for name, turns in started.items()}
    table.show(table.as_rows(f"{group}, start-up alone", "starts", whole, once), options)


def _beyond(whole: Sequence[Cost], starts: Sequence[Cost]) -> list[Cost]:
    pairs = zip(whole, starts, strict=True)
    return [Cost(a.units, a.cpu - b.cpu, a.wall - b.wall) for a, b in pairs]


@dataclass(frozen=True)
class Input:
    """A folder, and how many drawings of each of its classes are prepared."""

    folder: Path
    per_class: int


def simplified(runs: Runs, mine: Input, theirs: Input) -> list[Contender]:
    """Ours and the predecessor on simplified strokes."""
    return [
        runs.ours("ours", mine.folder, mine.per_class, processes=1),
        runs.ours("ours, raster upstream", mine.folder, mine.per_class, raster="upstream", processes=1),
        runs.theirs("predecessor", "predecessor_preparation.py", theirs.folder, theirs.per_class),
    ]


def raw_strokes(runs: Runs, mine: Input, theirs: Input) -> list[Contender]:
    """Ours and plain Python on raw strokes."""
    return [
        runs.ours("ours on raw", mine.folder, mine.per_class, raw=True, processes=1),
        runs.theirs("plain Python on raw", "plain_raw_preparation.py", theirs.folder, theirs.per_class),
    ]


def processes(runs: Runs, mine: Input, theirs: Input) -> list[Contender]:
    """Ours in two processes and in one; compare the seconds, not the CPU-seconds."""
    return [
        runs.ours(f"ours, {count} process{'es' * (count > 1)}", mine.folder, mine.per_class, False, processes=count)
        for count in (2, 1)
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    options = parse(PreparationOptions, argv, "Measure preparation as whole processes.")
    if options.quick:
        options = dataclasses.replace(options, classes=2, per_class=10, many=20, raw_classes=2)
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        tiny, few, many = simplified_inputs(scratch, options)
        raw_tiny, raw_few, raw_many = (
            Input(inputs.kaggle_folder(scratch / f"raw-{rows}", classes, rows, as_raw=True), rows)
            for classes, rows in ((2, 2), (options.raw_classes, options.per_class), (options.raw_classes, options.many))
        )
        runs = Runs(scratch)
        for title, make, start, mine, theirs in (
            ("Preparation of simplified strokes", simplified, tiny, many, few),
            ("Preparation of raw strokes", raw_strokes, raw_tiny, raw_many, raw_few),
            ("Preparation in two processes", processes, tiny, many, few),
        ):
            study(title, make(runs, start, start), make(runs, mine, theirs), runs, options)


def simplified_inputs(scratch: Path, options: PreparationOptions) -> list[Input]:
    """The inputs for starts, for the others and for ours."""
    tiny = Input(inputs.kaggle_folder(scratch / "tiny", 2, 2), 2)
    if options.input is not None:
        return [tiny, *(Input(Path(options.input), rows) for rows in (options.per_class, options.many))]
    counts = (options.per_class, options.many)
    return [tiny, *(Input(inputs.kaggle_folder(scratch / str(rows), options.classes, rows), rows) for rows in counts)]


if __name__ == "__main__":
    run_command(main)
