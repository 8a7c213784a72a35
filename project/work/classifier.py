"""A trained classifier: the network, its class names, its preprocessing and its predictions.

Evaluation, audits, fold models and prediction all go through `Classifier`, so that they agree to the bit.
"""

import copy
import dataclasses
import io
import itertools
import math
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
from project.work.dataset.prepared_data import Preparation, read_preparation
from project.work.dataset.transforms import Normaliser
from project.work.files import disk, tensors
from project.work.machine.device import MixedPrecision
from project.work.unknown import Unknown

MODEL_FILE = "model.pt"
BATCH = 512  # images that are evaluated at once
FORMAT = 1  # of MODEL_FILE
BINS = 15  # of the calibration error
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0
ENOUGH = 20_000  # rows that a temperature is fitted by
_ROWS, _STEPS, _EXACT = 1 << 10, 60, 1e-7  # rows at once, steps at most, relative step that is none
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Classifier:
    """A network and all that prediction needs.

    network: named stages, gives logits (B, K); model: its name, see `model.make`; names: of the K classes; shape: of
    the training images, (C, H, W); normaliser: of their pixels; settings: those of its run that change a result;
    git_revision: of the code that trained it; threshold: probability below which it names no class, or None;
    preparation: how the pictures that it learnt from were made of files or strokes, None where that is not known;
    unknown: what it says of pictures of no class, or None;
    temperature: logits are divided by it before they become probabilities, see `fitted_temperature`.
    """

    network: nn.Sequential
    model: str
    names: list[str]
    shape: tuple[int, int, int]
    normaliser: Normaliser
    settings: Mapping[str, Any]
    git_revision: str = ""
    threshold: float | None = None
    preparation: Preparation | None = None
    unknown: Unknown | None = None
    temperature: float = 1.0

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @cached_property
    def _evaluated(self) -> nn.Sequential:
        return folded(self.network)

    @cached_property
    def _precision(self) -> MixedPrecision:
        return MixedPrecision(self.device, self.settings.get("amp"), min(self.shape[1:]))

    @cached_property
    def head(self) -> nn.Linear:
        """The layer that gives the logits, of the network that is evaluated."""
        return model.final_layer(self._evaluated)

    @torch.inference_mode()
    def logits(self, batches: Iterable[Tensor]) -> Tensor:
        """Logits, float32 (N, K), of batches of normalised images on the network's device, float (B, C, H, W)."""
        none = torch.empty(0, len(self.names), device=self.device)
        with self._precision.autocast():
            return torch.cat([none, *(self._evaluated(images).float() for images in batches)])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, float32 (N, K), of images uint8 (N, H, W) or (N, H, W, C) of any size.

        They are resized as training resizes them. Raises UserError for images of another kind.
        """
        sizes, normalise = batch_sizes(len(self._checked(images)), BATCH), self.normaliser.on(self.device)
        parts = np.split(images, np.cumsum(sizes)[:-1]) if sizes else []
        return self.probabilities(self.logits(normalise(self.pixels(part)) for part in parts)).cpu().numpy()

    def probabilities(self, logits: Tensor) -> Tensor:
        """float (N, K), rows sum to 1, of logits as `logits` gives them."""
        return probabilities(logits, self.temperature)

    def pixels(self, images: np.ndarray) -> Tensor:
        """Images as `predict` takes them -> uint8 (N, C, H, W), on the device, of the size of the training images."""
        pixels = torch.from_numpy(np.ascontiguousarray(self._checked(images)))
        # The memory layout of training: the last bit of a convolution depends on it.
        pixels = (pixels[..., None] if pixels.ndim == 3 else pixels).permute(0, 3, 1, 2)
        return resized(pixels.to(self.device), self._side(pixels))

    def with_features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, float32 (N, K), and what the head makes them of, float32 (N, D), of one batch.

        pixels: as `pixels` gives them.
        """
        rows: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, given: rows.append(given[0].float()))
        try:
            logits = self.logits([self.normaliser.on(self.device)(pixels)])
        finally:
            hook.remove()
        return logits, rows[0]

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
            "temperature": self.temperature,
        }
        state |= {} if self.preparation is None else {"preparation": dataclasses.asdict(self.preparation)}
        state |= {} if self.unknown is None else {"unknown": self.unknown.as_dict()}
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
        made, unknown = state.get("preparation"), state.get("unknown")
        return cls(
            network, state["model"], state["names"], (channels, height, width), normaliser, state["settings"],
            state["git_revision"], state["threshold"], None if made is None else read_preparation(made),
            None if unknown is None else Unknown.read(unknown), state.get("temperature", 1.0),
        )  # fmt: skip


_FORM: dict[str, Any] = {
    "format": int, "state": dict, "model": str, "names": list, "shape": list, "mean": list, "std": list,
    "settings": dict, "git_revision": str, "threshold": (float, type(None)),
}  # fmt: skip
_LATER: dict[str, type] = {"preparation": dict, "unknown": dict}  # what files of earlier versions lack


def _refuse_unlike(state: Any) -> None:
    """Raises ValueError when a state does not have the form that `save` writes."""
    if not isinstance(state, dict):
        raise ValueError(f"it holds {type(state).__name__}")
    wrong = [name for name, kind in _FORM.items() if not isinstance(state.get(name, ()), kind)]
    wrong += [name for name, kind in _LATER.items() if name in state and not isinstance(state[name], kind)]
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
    temperature = state.get("temperature", 1.0)  # files of earlier versions have none
    if not isinstance(temperature, float) or not 0 < temperature < math.inf:
        raise ValueError(f"its temperature is {str(temperature)[:40]}")
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


def probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """softmax(logits / temperature): float (N, K), rows sum to 1. A temperature changes no order of classes."""
    return (logits / temperature if temperature != 1.0 else logits).softmax(dim=1)


def ranked(logits: Tensor) -> Tensor:
    """The five classes of highest logits, int64 (N, 5), the highest first; fewer where there are fewer classes."""
    return logits.topk(min(5, logits.shape[1]), dim=1).indices


def fitted_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that makes labels likeliest (Guo et al., On calibration of modern neural networks, ICML 2017).

    logits: float (N, K), of rows that were not learnt; labels: int64 (N,). A share 1 / (N + 1) of each label is spread
    over all classes, as one row without a label would do: so no temperature is 0, even where all labels are right. In
    LEAST_TEMPERATURE .. MOST_TEMPERATURE; 1 where logits are not finite. In float64, by ENOUGH evenly spread rows.
    """
    some = torch.linspace(0, len(logits) - 1, min(len(logits), ENOUGH)).long()
    values, labels = logits.detach()[some.to(logits.device)].cpu().double(), labels.cpu()[some]
    if not len(values) or not bool(values.isfinite().all()):
        return 1.0
    values = values - values.mean(dim=1, keepdim=True)  # so what is spread over all classes adds nothing
    wanted = float(values.gather(1, labels[:, None]).sum()) * len(labels) / (len(labels) + 1)
    low, high, found = 1 / MOST_TEMPERATURE, 1 / LEAST_TEMPERATURE, 1.0  # of 1 / temperature, in which it is convex
    for _ in range(_STEPS):
        slope, bend = _derivatives(values, found)
        slope -= wanted
        if slope == 0:
            break
        low, high = (low, found) if slope > 0 else (found, high)
        step = found - slope / bend if bend > 0 else math.inf
        step = step if low <= step <= high else (low + high) / 2  # Newton's step, or else half of where it can be
        if abs(step - found) < _EXACT * found:
            break
        found = step
    return round(1 / found, 6)


def _derivatives(values: Tensor, inverse: float) -> tuple[float, float]:
    """The first two derivatives by 1 / temperature of the sum of log(sum of exp(values / temperature)) over rows."""
    sums = torch.zeros(2, dtype=torch.float64)
    for part in values.split(_ROWS):
        chances = (part * inverse).softmax(dim=1)
        weighed = chances * part
        expected = weighed.sum(dim=1)
        sums += torch.stack([expected.sum(), (weighed * part).sum() - (expected * expected).sum()])
    return float(sums[0]), float(sums[1])


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """The expected calibration error: the mean distance of accuracy and confidence over BINS bins of equal width.

    confidence: float (N,), of the predicted classes; right: bool (N,), whether each is the label. Bins count by their
    rows (Guo et al., 2017).
    """
    confidence = confidence.astype(np.float64)
    bins = np.ceil(confidence * BINS).astype(int).clip(1, BINS) - 1  # ]0, 1/15], ]1/15, 2/15] ...
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / max(1, len(confidence)))


def folded(network: nn.Sequential) -> nn.Sequential:
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
