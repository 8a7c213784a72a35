"""What every entry point shares: paths, names of flags, errors for the user, progress and seeds.

Imports only the standard library, so that a command line answers at once.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm

CODE = Path(__file__).resolve().parents[2]  # the folder that this code was loaded from


def repository(code: Path) -> Path:
    """Where data and results are: the repository of the code or, for an installed package, the current folder."""
    installed = any(code.glob("noisy_label_experiments-*.dist-info"))
    return Path(os.path.abspath(os.curdir)) if installed else code


ROOT = repository(CODE)
INPUT = ROOT / "project" / "input"
OUTPUT = ROOT / "project" / "output"
DEFAULTS_FILE = ROOT / "project" / "work" / "settings.yaml"


class UserError(Exception):
    """An error that the user can put right. Its text says what is wrong, where, and what to do.

    lines: printed below the text, where one line is not enough.
    """

    def __init__(self, text: str, *lines: str) -> None:
        super().__init__(text)
        self.lines = lines


class InUse(UserError):
    """Another process is working on the same thing. Ends a command with an exit code of its own."""


def flag(name: str) -> str:
    """The command-line flag of a field: batch_size -> --batch-size; of one letter: m -> -m."""
    return ("-" if len(name) == 1 else "--") + name.replace("_", "-")


def is_switch(hint: Any) -> bool:
    """Whether a field of this type is a switch: it has a flag to switch it on and one to switch it off."""
    return bool in (get_args(hint) or (hint,))


def key_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder in which to look for a service account's key file when none is named."""
    return Path(environment.get("CREDENTIAL_FOLDER") or ROOT / "project" / "work" / "reporter")


def key_files(named: str | None) -> list[Path]:
    """The key file that is named, or all in the key folder."""
    return [Path(named).expanduser()] if named is not None else sorted(key_folder().glob("*.json"))


def input_folder(dataset: str) -> Path:
    """The folder of a data set given by name or path."""
    return Path(dataset) if "/" in dataset else INPUT / dataset


def output_folder(output: str | None) -> Path:
    """The folder of run folders and results.csv; project/output when none is given."""
    return OUTPUT if output is None else Path(output)


def progress(*items: Any, **options: Any) -> "tqdm":
    """A progress bar in a terminal; a line every ten seconds in a log file."""
    from tqdm import tqdm

    return tqdm(*items, mininterval=0.1 if sys.stderr.isatty() else 10, delay=1, **options)


def derive_seed(seed: int, *purpose: object) -> int:
    """A separate seed for each purpose, so that no two parts of a run share a random stream."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def generator(seed: int, *purpose: object) -> "torch.Generator":
    """A CPU generator for one purpose; drawing on the CPU gives the same numbers on every device."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *purpose))
