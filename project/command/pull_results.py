"""Downloads the run folders of all jobs from their bucket, and merges their rows into results.csv."""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from project.work.common import UserError
from project.work.files.disk import absent
from project.work.machine.bucket import BucketFolder
from project.work.machine.run_sync import bring
from project.work.reporter.result import Result, read_result
from project.work.reporter.table.cells import as_text
from project.work.reporter.table.result_table import ResultTable
from project.work.run_folder import RESULT_FILE


def pull(place: BucketFolder, output: Path) -> tuple[list[Path], int]:
    """Download the run folders of all jobs, and merge their rows into the table.

    place: holds <uuid>/<run folder>/<path>. Returns the folders that changed and the number of rows that changed.
    """
    if not absent(ResultTable(output).path):
        ResultTable(output).read()  # fail on a broken table before hours of downloads
    jobs: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, blob in place.files().items():
        job, _, path = name.partition("/")
        jobs[job][path] = blob
    changed, folders = [], set()
    for files in jobs.values():
        changed += bring(place, files, output, watched=True)
        folders |= {output / path.partition("/")[0] for path in files if path.endswith(f"/{RESULT_FILE}")}
    return changed, sum(_merge(folder, ResultTable(output)) for folder in sorted(folders))


def _merge(folder: Path, table: ResultTable) -> bool:
    """Merge a finished run's row into the table; returns whether that changed anything."""
    try:
        row = read_result(folder)
    except UserError as error:
        print(f"warning: {error}", file=sys.stderr)
        return False
    if row is None:
        return False
    texts = as_text(row)
    if not absent(table.path):
        known = table.read()
        for old in known[known["uuid"] == texts["uuid"]].to_dict("records"):
            if texts.items() <= old.items():
                return False
    table.write(Result(row, folder))
    return True
