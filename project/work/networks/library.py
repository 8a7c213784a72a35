"""Networks of timm by name, for any classes, channels and size. timm is imported where one of them is asked for."""

import difflib
from typing import Any

from torch import Tensor, nn

from project.work.common import UserError
from project.work.files import disk
from project.work.machine.device import seeded
from project.work.settings.groups import OWN_MODELS

PREFIX = "timm/"  # of a name that is meant as timm's where this repository has such a network too
Size = tuple[int, int]  # height and width of pictures


def timm() -> Any:
    """The library of networks. Raises UserError when it is missing."""
    try:
        import timm
    except ImportError as error:
        raise UserError(f"timm is missing, which the network comes from: pip install -r requirements.txt brings it"
                        f" ({disk.said(error)})") from error  # fmt: skip
    return timm


def plain(name: str) -> str:
    """The name of a network of timm as timm calls it."""
    return name.removeprefix(PREFIX)


def configuration(name: str) -> Any:
    """The configuration of the pretrained weights of a network: mean, std, input_size, classifier ...

    Without a tag (resnet18.a1_in1k) it is timm's own choice of them. Raises UserError for a name that timm has not.
    """
    library, (short, _, tag) = timm(), plain(name).partition(".")
    known = library.list_models()
    if short not in known:
        close = difflib.get_close_matches(short, sorted({*known, *OWN_MODELS}), n=3, cutoff=0)
        raise UserError(f"--model {disk.shown(name)}: timm has no such network; the nearest are {', '.join(close)}")
    tags = [each.partition(".")[2] for each in library.list_pretrained(f"{short}.*")] if tag else [tag]
    if tag not in tags:
        raise UserError(f"--model {disk.shown(name)}: its weights are called {', '.join(tags) or 'nothing'}")
    return library.get_pretrained_cfg(plain(name)) or library.models.PretrainedCfg()


def headless(name: str, size: Size | None = None) -> tuple[nn.Module, Any]:
    """A network of timm without its head and untrained, and the configuration of its pretrained weights.

    Takes float (B, 3, H, W), gives features (B, its head_hidden_size). Raises UserError for a name that timm has not,
    and for a size that the network cannot take.
    """
    return create(name, 0, 3, 0, size), configuration(name)


def create(
    name: str, classes: int, channels: int, seed: int, size: Size | None = None, state: dict[str, Tensor] | None = None
) -> nn.Module:
    """A network of timm with random weights, the same for the same seed.

    state: weights of the same network without its head, for three channels and its own size, to begin with. timm sums
    or repeats those of the first convolution for other channels, and resamples embeddings of positions for another
    size. Raises UserError.
    """
    config = configuration(name)
    options: dict[str, Any] = {"num_classes": classes, "in_chans": channels, **sized(name, config, size)}
    if state is not None:
        overlay = {"state_dict": dict(state), "num_classes": 0, "custom_load": False}
        options |= {"pretrained": True, "pretrained_cfg_overlay": overlay}
    with seeded(seed):
        try:
            network = timm().create_model(plain(name), **options)
        except Exception as error:  # each network checks its own arguments in its own way
            asked = f"{channels} channels" if size is None else f"{channels} channels and {size[0]} x {size[1]} pixels"
            raise UserError(f"--model {name}: cannot be made for {asked} ({disk.said(error)})") from error
    _refuse_patches(name, network, size)
    if state is not None:
        _refuse_unfilled(name, network, state, config, channels)
    return network


def sized(name: str, config: Any, size: Size | None) -> dict[str, Any]:
    """The options of timm for pictures of a size. Raises UserError for one that is too small."""
    own = tuple(config.input_size[1:])
    if size is None or size == own:
        return {}
    least = (1, 1) if config.min_input_size is None else tuple(config.min_input_size[1:])
    if size[0] < least[0] or size[1] < least[1]:
        raise UserError(f"--image-size {min(size)}: {name} takes pictures from {least[0]} x {least[1]} on")
    return {"img_size": size} if config.fixed_input_size else {}


def _refuse_patches(name: str, network: nn.Module, size: Size | None) -> None:
    """Raises UserError where patches do not divide the pictures: timm would leave their right and lower ends out."""
    embedding = getattr(network, "patch_embed", None)
    patch = getattr(embedding, "patch_size", None)
    if size is None or patch is None or getattr(embedding, "dynamic_img_pad", False):
        return
    step = max(patch) if isinstance(patch, tuple) else int(patch)
    if any(side % step for side in size):
        fitting = [side for side in (min(size) // step * step, (min(size) // step + 1) * step) if side >= step]
        raise UserError(
            f"--image-size {min(size)}: the patches of {name}, {step} x {step} pixels, do not divide pictures of"
            f" {size[0]} x {size[1]}; give --image-size {' or '.join(map(str, fitting))}"
        )


def _refuse_unfilled(name: str, network: nn.Module, state: dict[str, Tensor], config: Any, channels: int) -> None:
    """Raises UserError where timm left weights out that it could not adapt."""
    from timm.models import adapt_input_conv

    made, first = network.state_dict(), config.first_conv or ()
    for place in (first,) if isinstance(first, str) else first:
        weight = state.get(f"{place}.weight")
        if weight is not None and channels != config.input_size[0] and f"{place}.weight" in made:
            if weight.ndim != 4:
                raise UserError(f"--model {name}: its weights are for {config.input_size[0]} channels and cannot be"
                                f" adapted to {channels}; train it without --pretrained and --weights")  # fmt: skip
            state = state | {f"{place}.weight": adapt_input_conv(channels, weight)}
    for key, value in state.items():
        if key in made and made[key].shape == value.shape and not made[key].equal(value):
            raise UserError(f"--model {name}: timm did not take {key} of its weights; choose another network")
