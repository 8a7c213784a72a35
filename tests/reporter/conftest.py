"""A Google on this machine, and the destination that reports to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from reporting import KEY, quick
from stand_ins.google import Google

from project.work.machine.patience import Patience
from project.work.reporter.sheet.sheet import Sheet
from project.work.settings.groups import ReportSettings


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """Google as the clients of this process, and of those it starts, will find it."""
    with Google() as google:
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_SHEETS", google.url)
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_DRIVE", google.url + "/")
        yield google


@pytest.fixture
def key_file(google: Google, tmp_path: Path) -> Path:
    return google.key_file(tmp_path / "key.json")


@pytest.fixture
def make_sheet(key_file: Path, tmp_path: Path) -> Callable[..., Sheet]:
    """Makes the destination of results, by key unless a title is given."""

    def make(output: Path = tmp_path, patience: Patience | None = None, **settings: Any) -> Sheet:
        usual = {"credential_path": str(key_file)} | ({} if "sheet_title" in settings else {"sheet_key": KEY})
        return Sheet(ReportSettings(**(usual | settings)), output, patience or quick())

    return make
