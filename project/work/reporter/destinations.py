"""The destinations of a result: the table and the curve always, the others when they are configured."""

import os
from pathlib import Path

from project.work.reporter import slack
from project.work.reporter.curve import CurvePlot
from project.work.reporter.reporter import Destination
from project.work.reporter.sheet import sheet
from project.work.reporter.table.result_table import ResultTable
from project.work.settings.groups import ReportSettings


def destinations(settings: ReportSettings, run_folder: Path) -> list[Destination]:
    """Where the result of a run goes, in order: first what keeps it safe, then what may be out of reach."""
    output = run_folder.parent
    found: list[Destination] = [ResultTable(output), CurvePlot()]
    if sheet.configured(settings):
        found.append(sheet.Sheet(settings, output))
    return found + slack.from_environment(os.environ)
