"""Networks of timm by name. timm is imported where one of them is asked for."""

import difflib
from typing import Any

from torch import nn

from project.work.common import UserError
from project.work.files import disk
from project.work.machine.device import seeded


def timm() -> Any:
    """The library of networks. Raises UserError when it is missing."""
    try:
        import timm
    except ImportError as error:
        raise UserError(f"timm is missing, which the network comes from: pip install -r requirements.txt brings it"
                        f" ({disk.said(error)})") from error  # fmt: skip
    return timm


def headless(name: str) -> tuple[nn.Module, Any]:
    """A network of timm without its head and untrained, and the configuration of its pretrained weights.

    Takes float (B, 3, H, W), gives features (B, its head_hidden_size). Raises UserError for a name that timm has not.
    """
    library, (plain, _, tag) = timm(), name.partition(".")
    known = library.list_models()
    if plain not in known:
        close = difflib.get_close_matches(plain, known, n=3, cutoff=0)
        raise UserError(f"--model {disk.shown(name)}: timm has no such network; the nearest are {', '.join(close)}")
    tags = [each.partition(".")[2] for each in library.list_pretrained(f"{plain}.*")] if tag else [tag]
    if tag not in tags:
        raise UserError(f"--model {disk.shown(name)}: its weights are called {', '.join(tags) or 'nothing'}")
    with seeded(0):
        network = library.create_model(name, pretrained=False, num_classes=0)
    return network, library.get_pretrained_cfg(name)
