"""A trained classifier: the network, its class names, its preprocessing and its predictions.

Evaluation, audits, fold models and prediction all go through `Classifier`, so that they agree to the bit.
"""

import copy
import io
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from project.work import model
from project.work.common import UserError
from project.work.dataset.base_dataset import batch_sizes
from project.work.dataset.pictures import resized
from project.work.dataset.transforms import Normaliser
from project.work.files import disk, tensors
from project.work.machine.device import MixedPrecision

MODEL_FILE = "model.pt"
BATCH = 512  # images that are evaluated at once
FORMAT = 1  # of MODEL_FILE
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Classifier:
    """A network and all that prediction needs.

    network: named stages, gives logits (B, K); model: its name, see `model.make`; names: of the K classes; shape: of
    the training images, (C, H, W); normaliser: of their pixels; settings: those of its run that change a result;
    git_revision: of the code that trained it; threshold: probability below which it names no class, or None.
    """

    network: nn.Sequential
    model: str
    names: list[str]
    shape: tuple[int, int, int]
    normaliser: Normaliser
    settings: Mapping[str, Any]
    git_revision: str = ""
    threshold: float | None = None

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @cached_property
    def _evaluated(self) -> nn.Module:
        return folded(self.network)

    @cached_property
    def _precision(self) -> MixedPrecision:
        return MixedPrecision(self.device, self.settings.get("amp"), min(self.shape[1:]))

    @torch.inference_mode()
    def logits(self, batches: Iterable[Tensor]) -> Tensor:
        """Logits, float32 (N, K), of batches of normalised images on the network's device, float (B, C, H, W)."""
        none = torch.empty(0, len(self.names), device=self.device)
        with self._precision.autocast():
            return torch.cat([none, *(self._evaluated(images).float() for images in batches)])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities, float32 (N, K), of images uint8 (N, H, W) or (N, H, W, C) of any size.

        They are resized as training resizes them. Raises UserError for images of another kind.
        """
        pixels = torch.from_numpy(np.ascontiguousarray(self._checked(images)))
        # The memory layout of training: the last bit of a convolution depends on it.
        pixels = (pixels[..., None] if pixels.ndim == 3 else pixels).permute(0, 3, 1, 2)
        normalise, side = self.normaliser.on(self.device), self._side(pixels)
        parts = pixels.split(batch_sizes(len(pixels), BATCH))
        logits = self.logits(normalise(resized(part.to(self.device), side)) for part in parts)
        return logits.softmax(dim=1).cpu().numpy()

    def _checked(self, images: np.ndarray) -> np.ndarray:
        channels = images.shape[3] if images.ndim == 4 else 1
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise UserError(f"images: {images.dtype} {images.shape}, but uint8 (N, H, W) or (N, H, W, C) is needed")
        if channels != self.shape[0]:
            raise UserError(f"images: {channels} channels, but this classifier was trained on {self.shape[0]}")
        return images

    def _side(self, pixels: Tensor) -> int | None:
        """The side that images are resized to; None where they have the size of the training images."""
        if tuple(pixels.shape[2:]) == self.shape[1:]:
            return None
        if self.shape[1] != self.shape[2]:
            raise UserError(f"images: {tuple(pixels.shape[2:])}, but this classifier was trained on {self.shape[1:]}")
        return self.shape[1]

    def save(self, path: Path) -> None:
        """Write it to a file, which appears whole or not at all. It holds only tensors and plain values."""
        state = {
            "format": FORMAT,
            "state": self.network.state_dict(),
            "model": self.model,
            "names": list(self.names),
            "shape": list(self.shape),
            "mean": list(self.normaliser.mean),
            "std": list(self.normaliser.std),
            "settings": dict(self.settings),
            "git_revision": self.git_revision,
            "threshold": self.threshold,
        }
        data = io.BytesIO()
        torch.save(state, data)
        disk.replace_file(path, data.getvalue())

    @classmethod
    def load(cls, path: Path, device: torch.device = _CPU) -> "Classifier":
        """Read one from a file, onto a device. No code in the file is run. Raises UserError."""
        try:
            with disk.opened(path) as file:
                state = tensors.read(file, disk.reach([path], tensors.MOST), device)
            try:
                return cls._built(state, device)
            except UserError as error:  # of its network
                raise UserError(f"{path}: {error}") from error
        except tensors.BAD as error:
            raise UserError(f"{path}: not a trained classifier ({disk.said(error)}); {MODEL_FILE} in the folder of a"
                            " finished run is one") from error  # fmt: skip

    @classmethod
    def _built(cls, state: Any, device: torch.device) -> "Classifier":
        """Build one from a file's content. Raises ValueError or RuntimeError when its parts do not fit together."""
        _refuse_unlike(state)
        channels, height, width = state["shape"]
        if _of_features(state):
            network = model.of_features(state["model"], len(state["names"]))
        else:
            network = model.make(state["model"], len(state["names"]), channels, 0, (height, width))
        network.load_state_dict(state["state"])
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        normaliser = Normaliser(tuple(state["mean"]), tuple(state["std"]))
        return cls(
            network, state["model"], state["names"], (channels, height, width), normaliser, state["settings"],
            state["git_revision"], state["threshold"],
        )  # fmt: skip


_FORM: dict[str, Any] = {
    "format": int, "state": dict, "model": str, "names": list, "shape": list, "mean": list, "std": list,
    "settings": dict, "git_revision": str, "threshold": (float, type(None)),
}  # fmt: skip


def _refuse_unlike(state: Any) -> None:
    """Raises ValueError when a state does not have the form that `save` writes."""
    if not isinstance(state, dict):
        raise ValueError(f"it holds {type(state).__name__}")
    wrong = [name for name, kind in _FORM.items() if not isinstance(state.get(name, ()), kind)]
    if wrong:
        raise ValueError(f"its {wrong[0]} is missing")
    if state["format"] != FORMAT:
        raise ValueError(f"it is of format {state['format']}, and this code reads {FORMAT}")
    shape, numbers = state["shape"], [*state["mean"], *state["std"]]
    if len(shape) != 3 or not all(type(each) is int and 1 <= each <= 1 << 14 for each in shape):
        raise ValueError(f"its shape is {str(shape)[:40]}")
    spread = _of_features(state) and shape[0] == 1  # grey is spread to the three channels of such a network
    if len(numbers) != 2 * (3 if spread else shape[0]) or not all(isinstance(each, float) for each in numbers):
        raise ValueError("its mean and std are not one number a channel")
    if len(state["names"]) < 2 or not all(isinstance(name, str) for name in state["names"]):
        raise ValueError("its classes have no names")


def _of_features(state: Mapping[str, Any]) -> bool:
    """Whether a state is of a linear head on features: its stages are backbone and head."""
    return "head.weight" in state["state"] and any(str(name).startswith("backbone.") for name in state["state"])


def at_once(shape: tuple[int, int, int], device: torch.device = _CPU) -> int:
    """How many pictures of a shape, (C, H, W), a run evaluates at once: above 64 px fewer, by their pixels, and on a
    CPU so few that its cache holds what is computed."""
    pixels = shape[1] * shape[2]
    if pixels <= 64 * 64:
        return BATCH
    return max(1, (4 * 224 * 224 if device.type == "cpu" else BATCH * 64 * 64) // pixels)


def folded(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, with each batch normalisation folded into the convolution before it.

    It computes the same to rounding, in fewer steps.
    """
    network = copy.deepcopy(network).eval()
    for parent in network.modules():
        if not model.in_order(parent):  # elsewhere children may be called in another order
            continue
        for (name, first), (next_name, second) in itertools.pairwise(list(parent.named_children())):
            more = hasattr(second, "act")  # timm's normalisation rectifies too
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.modules.batchnorm._BatchNorm) and not more:
                setattr(parent, name, fuse_conv_bn_eval(first, second))
                setattr(parent, next_name, nn.Identity())
    return network
