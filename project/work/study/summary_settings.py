"""The settings of ./inv results, declared once for the task and the script; standard library only."""

from dataclasses import dataclass

from project.work.settings.flags import setting


@dataclass(frozen=True)
class SummarySettings:
    """Which runs to show, and how."""

    output: str | None = setting(None, "folder of results.csv; project/output when not given", value="FOLDER")
    uuid: str | None = setting(None, "only runs whose uuids begin with one of these: 1f0c,2d3e; one line each")
    dataset: str | None = setting(None, "only runs on these data sets: sample,photos")
    method: str | None = setting(None, "only runs of these methods: base,elr,recipe=robust,ema=0.99+mixup")
    runs: bool = setting(False, "one line for each run, with its uuid, instead of one for all of its seeds")
    all: bool = setting(False, "also runs that are not finished: how far they are, and how to go on with each")
    format: str = setting(
        "table", "csv and json print every value, uncut, with uuids", choices=("table", "csv", "json")
    )
