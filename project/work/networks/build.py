"""Networks from elsewhere by name, in named stages: those of timm, and a person's own as package.module:function.

Both are tried with a picture or two before they are used, so that what they cannot do is said at once.
"""

import copy
import inspect
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from project.work import common
from project.work.common import UserError
from project.work.dataset import storage
from project.work.dataset.transforms import Normaliser
from project.work.files import arrays, disk, own_code
from project.work.machine.device import seeded
from project.work.networks import library, stages, weights
from project.work.networks.library import Size
from project.work.networks.stages import Staged
from project.work.settings import resolve
from project.work.settings.groups import Settings

SIDE = 32  # of the pictures that a person's network is tried with where their size is not known


@dataclass(frozen=True)
class Start:
    """Weights to start from in place of random ones: those of a file, or, where it is None, of an installed package or
    timm's hub. The layer that gives the logits starts anew."""

    file: str | None


def make(
    name: str, classes: int, channels: int, seed: int, size: Size | None = None, start: Start | None = None
) -> Staged:
    """A network of timm or a person's own in named stages, the same for the same seed; see `model.make`."""
    if resolve.is_own_code(name):
        return _own(name, classes, channels, seed, size, start)
    where = _cut(name, size)
    state = None if start is None else weights.filled(name, start.file)[0].state_dict()
    return stages.cut(library.create(name, classes, channels, seed, size, state), where)


def prepare(settings: Settings) -> Callable[[int], Normaliser] | None:
    """Refuse what cannot be trained before the pictures are read: a network that is not there, weights that do not fit,
    a size that the network cannot take.

    Returns what gives the normaliser of the weights for a number of channels, None where it is measured on the pictures
    or given. Raises UserError.
    """
    name, size = resolve.network(settings), _size(settings)
    start = Start(settings.weights) if resolve.starts_pretrained(settings) else None
    if resolve.is_own_code(name):
        _function(name)
        return None
    config = library.configuration(name)
    if size is not None:
        _cut(name, size)
    if start is None:
        return None
    weights.filled(name, start.file)
    return lambda channels: weights.normaliser(config, channels)


def _size(settings: Settings) -> Size | None:
    """The size of the pictures as far as it is known before they are read: not that of small sets, read in a moment."""
    folder = common.input_folder(settings.dataset)
    packed, mapped = storage.packed_file(folder, "train"), storage.map_file(folder, "train")
    if settings.image_size is not None:
        return settings.image_size, settings.image_size
    if not disk.absent(packed):
        side = storage.packed.read(packed).view.side
        return side, side
    return None if disk.absent(mapped) else arrays.read_map(mapped).shape[1:3]


def origin(settings: Settings) -> str | None:
    """What decides a network beside its settings, in a word that changes when it does: the file of its weights, or of
    the module that makes it. None for networks of this repository and of timm that start from random weights."""
    found = []
    if resolve.is_own_code(settings.model):
        module = sys.modules[_function(settings.model).__module__]
        found.append(arrays.file_digest(Path(inspect.getfile(module))))
    if resolve.starts_pretrained(settings):
        found.append(weights.origin(settings))
    return " ".join(found) or None


@cache
def _cut(name: str, size: Size | None) -> stages.Cut:
    """Where a network of timm is cut for pictures of a size, which it is tried with. Raises UserError."""
    network = library.create(name, 3, 3, 0, size)
    height, width = size or library.configuration(name).input_size[1:]
    images = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    with seeded(0):
        try:
            with torch.no_grad():
                network.eval()(images)
        except Exception as error:  # each network checks sizes in its own way
            raise UserError(f"--model {name}: cannot take pictures of {height} x {width} ({disk.said(error)});"
                            " choose another --image-size") from error  # fmt: skip
        found = stages.tried(network, images)
    if found is None:
        raise UserError(f"--model {name}: its stages do not give the logits that timm gives; choose another network")
    return found


def _function(name: str) -> Callable[..., Any]:
    """The function of a person's network. Modules of Python itself are refused, as is what is no function or class: the
    file of a classifier that says a name cannot have os.kill called."""
    where = name.partition(":")[0]
    if where.partition(".")[0] in sys.stdlib_module_names:
        raise UserError(f"--model {disk.shown(name)}: {where} is a module of Python itself; name one of your own")
    found = own_code.load("--model", name)
    if not inspect.isfunction(found) and not inspect.isclass(found):
        raise UserError(f"--model {disk.shown(name)}: is a {type(found).__name__}, and a function is needed")
    return found


def _own(name: str, classes: int, channels: int, seed: int, size: Size | None, start: Start | None) -> Staged:
    """A person's network: a Sequential with stem and head as it is, a network of timm cut as every other, and any other
    module as a body that gives logits. Raises UserError."""
    said, function = f"--model {disk.shown(name)}", _function(name)
    images = torch.zeros(2, channels, *(size or (SIDE, SIDE)))
    with seeded(seed):
        try:
            network = function(classes, channels)
        except Exception as error:  # a person's own code
            raise UserError(f"{said}: {own_code.raised(error)}") from error
        if not isinstance(network, nn.Module):
            raise UserError(f"{said}: gives a {type(network).__name__}, and a torch.nn.Module is needed")
        _refuse_shape(said, network, images, classes)
    with seeded(0):
        made = _in_stages(network, images)
    if start is not None:  # resolve refuses --pretrained without a file
        weights.fill_own(network, str(start.file), name)
    return made


@torch.no_grad()
def _refuse_shape(said: str, network: nn.Module, images: torch.Tensor, classes: int) -> None:
    """Raises UserError where a network does not give logits (B, classes) of pictures."""
    try:
        logits = copy.deepcopy(network).eval()(images)
    except Exception as error:  # a person's own code
        raise UserError(f"{said}: fails with float pictures {tuple(images.shape)}: {own_code.raised(error)}") from error
    shape = tuple(getattr(logits, "shape", ())) or type(logits).__name__
    if shape != (len(images), classes):
        raise UserError(f"{said}: gives {shape} for pictures {tuple(images.shape)}, and logits {(len(images), classes)}"
                        " are needed, one a class")  # fmt: skip


def _in_stages(network: nn.Module, images: torch.Tensor) -> Staged:
    names = [name for name, _ in network.named_children()]
    if isinstance(network, nn.Sequential) and names[:1] == ["stem"] and names[-1] == "head":
        made = Staged(OrderedDict(network.named_children()))
        made.draws = stages.draws(copy.deepcopy(network), images)
        return made
    where = stages.tried(copy.deepcopy(network), images) if hasattr(network, "group_matcher") else None
    if where is None:
        where = stages.Cut(None, None, stages.draws(copy.deepcopy(network), images))
    return stages.cut(network, where)
