"""What every entry point shares: where things are, what a person can put right, progress, seeds.

Standard library only at import, so that a command line answers at once.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm

CODE = Path(__file__).resolve().parents[2]  # what this code was loaded from


def repository(code: Path) -> Path:
    """Where data and results are: the repository that the code stands in or, for an installed package, here."""
    installed = any(code.glob("noisy_label_experiments-*.dist-info"))
    return Path(os.path.abspath(os.curdir)) if installed else code


ROOT = repository(CODE)
INPUT = ROOT / "project" / "input"
OUTPUT = ROOT / "project" / "output"
DEFAULTS_FILE = ROOT / "project" / "work" / "settings.yaml"


class UserError(Exception):
    """Something a person can put right; its text says what is wrong, where, and what to do.

    lines: to be printed below the text, where one line does not do.
    """

    def __init__(self, text: str, *lines: str) -> None:
        super().__init__(text)
        self.lines = lines


class InUse(UserError):
    """What is asked for is busy: another process is at it. Ends a command with an exit code of its own."""


def key_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where a service account's key file is looked for when none is named."""
    return Path(environment.get("CREDENTIAL_FOLDER") or ROOT / "project" / "work" / "reporter")


def key_files(named: str | None) -> list[Path]:
    """The key file that is named, or all that are in their folder."""
    return [Path(named).expanduser()] if named is not None else sorted(key_folder().glob("*.json"))


def input_folder(dataset: str) -> Path:
    """The folder of a data set given by name or path."""
    return Path(dataset) if "/" in dataset else INPUT / dataset


def output_folder(output: str | None) -> Path:
    """The folder of run folders and results.csv; project/output when none is given."""
    return OUTPUT if output is None else Path(output)


def progress(*items: Any, **options: Any) -> "tqdm":
    """A progress bar; where nobody watches it being redrawn (a log file), a line every ten seconds."""
    from tqdm import tqdm

    return tqdm(*items, mininterval=0.1 if sys.stderr.isatty() else 10, delay=1, **options)


def derive_seed(seed: int, *purpose: object) -> int:
    """A seed of its own for each purpose, so that no two parts of a run share a random stream."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def generator(seed: int, *purpose: object) -> "torch.Generator":
    """A CPU generator for one purpose; drawing on the CPU gives the same numbers on every device."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *purpose))
