"""The settings of ./inv results, declared once for the task and the script; standard library only."""

from dataclasses import dataclass

from project.work.declaration import setting


@dataclass(frozen=True)
class SummarySettings:
    """Which runs to show, and how."""

    output: str | None = setting(None, "folder of results.csv; project/output when not given")
    uuid: str | None = setting(None, "runs alone whose uuids begin so: 1f0c,2d3e; each has a line of its own")
    dataset: str | None = setting(None, "runs on these data sets alone: sample,photos")
    method: str | None = setting(None, "runs of these methods alone: base,elr,recipe=robust,ema=0.99+mixup")
    runs: bool = setting(
        False, "a line a run, with its uuid, in place of one for runs that differ in their seeds alone"
    )
    all: bool = setting(False, "runs that are not finished too: how far they are, and what goes on with them")
    format: str = setting("table", "csv and json have every value whole, with uuids", choices=("table", "csv", "json"))
