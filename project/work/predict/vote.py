"""Several classifiers, and several views of a picture, as one: the mean of their probabilities.

Views of a picture (test-time augmentation) are used only where they gain on the validation split of the classifier's
own run: by more than the standard error of that gain, paired by picture.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from project.work.classifier import Classifier
from project.work.common import progress
from project.work.dataset.base_dataset import Split
from project.work.dataset.pictures import resized
from project.work.predict.choosing import Chosen

PIXELS = {"cpu": 1 << 19, "mps": 1 << 21, "cuda": 1 << 23}  # of a batch, by device; its pictures are at most MOST
MOST = 512
_SHIFT = 16  # a view is shifted by the 16th part of the side

View = Callable[[Tensor], Tensor]


def _shifted(down: int, right: int) -> View:
    """A view of pictures (B, C, H, W) shifted by so many 16ths of the side; their borders are drawn on."""

    def view(pixels: Tensor) -> Tensor:
        height, width = pixels.shape[2:]
        y, x = (sign * max(1, round(side / _SHIFT)) for sign, side in ((down, height), (right, width)))
        most = max(abs(x), abs(y))
        wide = functional.pad(pixels.float(), (most,) * 4, mode="replicate")
        return wide[:, :, most - y : most - y + height, most - x : most - x + width].to(pixels.dtype)

    return view


def _same(pixels: Tensor) -> Tensor:
    return pixels


def _mirrored(pixels: Tensor) -> Tensor:
    return pixels.flip(3)


_SHIFTS = tuple(_shifted(*by) for by in ((1, 0), (-1, 0), (0, 1), (0, -1)))
PLAIN: tuple[View, ...] = (_same,)
WAYS: Mapping[str, tuple[View, ...]] = {"flip": (_same, _mirrored), "shifts": (_same, *_SHIFTS)}


def batch(classifier: Classifier) -> int:
    """How many pictures a classifier takes at once."""
    pixels = PIXELS.get(classifier.device.type, PIXELS["cpu"])
    return max(2, min(MOST, pixels // (classifier.shape[1] * classifier.shape[2])))


@dataclass(frozen=True)
class Voter:
    """A classifier with its views. called: its name for a person."""

    classifier: Classifier
    called: str
    views: Sequence[View] = PLAIN

    def answers(self, images: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Probabilities, float32 (n, K), of images uint8 (n, H, W[, C]), and whether each is of no class, bool (n,)."""
        pixels, unknown = self.classifier.pixels(images), self.classifier.unknown
        if unknown is None:
            logits, outside = self.classifier.logits([self._normal(pixels)]), None
        else:
            logits, features = self.classifier.with_features(pixels)
            outside = unknown.outside(logits / self.classifier.temperature, features)
        found = self.classifier.probabilities(logits)
        for view in self.views[1:]:
            found = found + self.classifier.probabilities(self.classifier.logits([self._normal(view(pixels))]))
        return found / len(self.views), outside

    def _normal(self, pixels: Tensor) -> Tensor:
        return self.classifier.normaliser.on(self.classifier.device)(pixels)


def soft_vote(said: Sequence[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor]:
    """The mean of probabilities (n, K), and whether at least half of those classifiers that can say so say "none".

    said: what each says, as `Voter.answers` gives it.
    """
    found = sum(probabilities for probabilities, _ in said) / len(said)
    judges = [outside for _, outside in said if outside is not None]
    assert isinstance(found, Tensor)
    if not judges:
        return found, torch.zeros(len(found), dtype=torch.bool, device=found.device)
    return found, torch.stack(judges).float().mean(dim=0) >= 0.5


@dataclass(frozen=True)
class Gain:
    """What a way of viewing gains on validation: in accuracy, with the standard error of the paired difference."""

    way: str
    accuracy: float
    gain: float
    error: float

    @property
    def pays(self) -> bool:
        """Whether it gains more than its standard error."""
        return self.gain > self.error


def with_views(chosen: Chosen, split: Split) -> Voter:
    """A classifier with the views that gain most on its validation split, if any does; says what was decided."""
    gains = view_gains(chosen.classifier, split)
    best = max(gains, key=lambda each: each.gain)
    way = f"by {best.gain:+.2%} (standard error {best.error:.2%}) to {best.accuracy:.1%} on {len(split):,} pictures"
    said = f"{best.way} gains accuracy {way}" if best.pays else f"no view pays, {best.way} changes accuracy {way}"
    print(f"--tta, {chosen.called}: {said} of validation", file=sys.stderr)
    return Voter(chosen.classifier, chosen.called, WAYS[best.way] if best.pays else PLAIN)


def view_gains(classifier: Classifier, split: Split) -> list[Gain]:
    """What each of WAYS gains over the plain view on a split."""
    views = {id(view): view for way in WAYS.values() for view in way}
    normalise, side = classifier.normaliser.on(classifier.device), classifier.shape[1]
    right: dict[str, list[Tensor]] = {name: [] for name in ("plain", *WAYS)}
    places = split.rows.to(split.records.pictures.home).split(batch(classifier))
    labels = split.labels.split(batch(classifier))
    passes = zip(split.records.pictures.stream(places), labels, strict=True)
    what = f"{len(views)} views of validation"
    for pixels, given in progress(passes, desc=what, total=len(places), unit="batch"):
        square = resized(pixels.to(classifier.device), side)
        said = {
            name: classifier.probabilities(classifier.logits([normalise(view(square))])) for name, view in views.items()
        }
        for name, way in {"plain": PLAIN, **WAYS}.items():
            mean = torch.stack([said[id(view)] for view in way]).mean(dim=0)
            right[name].append((mean.argmax(dim=1) == given.to(mean.device)).double().cpu())
    hits = {name: torch.cat(each).numpy() for name, each in right.items()}
    found = []
    for name in WAYS:
        apart = hits[name] - hits["plain"]
        error = float(apart.std(ddof=1)) / math.sqrt(len(apart)) if len(apart) > 1 else math.inf
        found.append(Gain(name, float(hits[name].mean()), float(apart.mean()), error))
    return found
