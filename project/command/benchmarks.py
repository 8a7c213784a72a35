"""The settings of ./inv benchmark, declared once for the task and for benchmark/everything.py."""

from dataclasses import dataclass

from project.work.settings.flags import setting

SCRIPTS = (
    "preparation", "sampling", "rasters", "loaders", "train_step", "method_cost", "large_data", "startup",
    "photo_preparation", "loader_study",
)  # fmt: skip


@dataclass(frozen=True)
class BenchmarkSettings:
    """Which benchmarks to run, and where to write."""

    only: str | None = setting(None, "run only this one", choices=SCRIPTS)
    quick: bool = setting(False, "tiny sizes, to check that all scripts work; the figures mean nothing")
    rounds: int | None = setting(None, "number of times that each contender runs", within="[1, 1000]")
    output: str | None = setting(
        None, "folder of tables, rows and picture; project/output/benchmark when not given", value="FOLDER"
    )
    fig: bool = setting(False, "copy the picture to fig/benchmark.png, for the README")
