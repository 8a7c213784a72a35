"""The settings of ./inv benchmark, declared once for the task and for benchmark/everything.py."""

from dataclasses import dataclass

from project.work.settings.flags import setting

SCRIPTS = (
    "preparation", "sampling", "rasters", "loaders", "train_step", "method_cost", "large_data", "startup",
    "photo_preparation", "loader_study",
)  # fmt: skip


@dataclass(frozen=True)
class BenchmarkSettings:
    """Which benchmarks, and where to."""

    only: str | None = setting(None, "one of them", choices=SCRIPTS)
    quick: bool = setting(False, "tiny sizes, to see that all of them work; the figures mean nothing")
    rounds: int | None = setting(None, "times that each contender has its turn", within="[1, 1000]")
    output: str | None = setting(
        None, "folder of tables, rows and picture; project/output/benchmark when not given", value="FOLDER"
    )
    fig: bool = setting(False, "copy the picture to fig/benchmark.png, for the README")
