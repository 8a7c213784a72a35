"""Which runs of an output folder are finished or running right now; other processes may work there too."""

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
        """Whether a run has its row and is therefore finished."""
        from project.work.reporter.table.result_table import ResultTable

        table = ResultTable(self.output)
        with suppress(OSError, UserError):  # the run itself will report the error
            state = table.path.stat()
            seen = (state.st_ino, state.st_mtime_ns, state.st_size)
            if seen != self._seen:
                self._uuids, self._seen = set(table.read()["uuid"]), seen
        return uuid in self._uuids

    def is_whole(self, uuid: str) -> bool:
        """Whether a run has its row and has reported everything else, such as its curve."""
        if not self.has_row(uuid):
            return False
        from project.work.reporter import reporter

        return all(reporter.is_whole(folder) for folder in self._folders(uuid))

    def is_under_way(self, uuid: str) -> bool:
        """Whether a process is working on a run."""
        from filelock import FileLock, Timeout

        from project.work.run_folder import RUN_LOCK

        for folder in self._folders(uuid):
            try:
                FileLock(folder / RUN_LOCK).acquire(timeout=0).lock.release()
            except Timeout:
                return True
            except OSError:
                continue  # the run itself will report the error
        return False

    def _folders(self, uuid: str) -> list[Path]:
        return [folder for folder in self.output.glob(f"*-{uuid}") if folder.is_dir()]
