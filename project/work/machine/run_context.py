"""What surrounds a run: its settings, its device, the processes that share it, and its copy in a bucket."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from project.work.machine.distributed import ALONE, Distributed
from project.work.settings.groups import Settings

if TYPE_CHECKING:
    from project.work.machine.run_sync import RunSync


@dataclass(frozen=True)
class RunContext:
    """distributed: this process among those of the run; sync: keeps folders in step with a bucket, None without one."""

    settings: Settings
    device: torch.device
    distributed: Distributed = ALONE
    sync: "RunSync | None" = None

    def using(self, settings: Settings) -> "RunContext":
        """The same surroundings with other settings: a teacher's, an audit's."""
        return dataclasses.replace(self, settings=settings)

    def send(self, folder: Path) -> None:
        """Send what changed in a folder to the bucket. Raises UserError."""
        if self.sync is not None:
            self.sync.send(folder)

    def try_send(self, folder: Path) -> None:
        """The same; a failure is a warning, since the next epoch sends what is missing."""
        if self.sync is not None:
            self.sync.try_send(folder)
