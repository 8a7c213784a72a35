"""The state of a run on disk: replaced whole after every epoch, so that a kill at any moment leaves a good one."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from project.work.dataset import storage
from project.work.declaration import UserError


class CheckpointFile:
    """One file; tensors and plain values only, so that reading it runs no code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file; on an error the old one stays."""
        data = io.BytesIO()
        torch.save(state, data)
        storage.replace_file(self.path, data.getvalue())

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The state, or None when nothing was saved yet. Raises UserError when the file is damaged."""
        storage.remove_partial(self.path)
        if not self.path.exists():
            return None
        try:
            return torch.load(self.path, map_location=device, weights_only=True)
        except Exception as error:
            reason = str(error).partition("\n")[0] or "it ends too early"
            raise UserError(f"{self.path}: damaged ({reason}); delete its folder to begin again") from error

    def restore(self, parts: Mapping[str, Any], states: Mapping[str, Any]) -> None:
        """Give each part of a run its saved state. Raises UserError when they are of another run's kind."""
        try:
            for name, part in parts.items():
                part.load_state_dict(states[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(f"{self.path}: of another network than this code has; begin a new run") from error
