"""What a run remembers of every training row from epoch to epoch."""

import torch
from torch import Tensor

from project.work.machine.distributed import Parallel


class RowMemory:
    """values: float (N, ...), one entry a row of the training file.

    Each process changes the rows of its own share; after `end_epoch` all of them know what any has changed, as long as
    a row is changed by one process an epoch.
    """

    def __init__(self, rows: int, *shape: int, device: torch.device) -> None:
        self.values = torch.zeros(rows, *shape, device=device)
        self._before: Tensor | None = None

    def end_epoch(self, parallel: Parallel) -> None:
        """Bring the changes of all processes together."""
        if parallel.size == 1:
            return
        before = torch.zeros_like(self.values) if self._before is None else self._before
        self.values.copy_(before + parallel.total(self.values - before))
        self._before = self.values.clone()

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"values": self.values}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        self.values.copy_(state["values"])
        self._before = self.values.clone()
