"""Which runs are finished or under way in an output folder, as it stands at this moment: others may work there too."""

from contextlib import suppress
from pathlib import Path

from project.work.common import UserError


class Finished:
    """The runs of an output folder. results.csv is read again only when it has changed."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self._seen: tuple[int, ...] = ()
        self._uuids: set[str] = set()

    def has_row(self, uuid: str) -> bool:
        """Whether a run has its row, and so is finished."""
        from project.work.reporter.table.result_table import ResultTable

        table = ResultTable(self.output)
        with suppress(OSError, UserError):  # a run that finds it so says what is wrong with it
            state = table.path.stat()
            seen = (state.st_ino, state.st_mtime_ns, state.st_size)
            if seen != self._seen:
                self._uuids, self._seen = set(table.read()["uuid"]), seen
        return uuid in self._uuids

    def is_whole(self, uuid: str) -> bool:
        """Whether a run has its row and all the rest of what it reports: its curve, say."""
        if not self.has_row(uuid):
            return False
        from project.work.reporter import reporter

        return all(reporter.is_whole(folder) for folder in self._folders(uuid))

    def is_under_way(self, uuid: str) -> bool:
        """Whether some process is at a run."""
        from filelock import FileLock, Timeout

        from project.work.run_folder import RUN_LOCK

        for folder in self._folders(uuid):
            try:
                FileLock(folder / RUN_LOCK).acquire(timeout=0).lock.release()
            except Timeout:
                return True
            except OSError:
                continue  # the run itself will say so
        return False

    def _folders(self, uuid: str) -> list[Path]:
        return [folder for folder in self.output.glob(f"*-{uuid}") if folder.is_dir()]
