"""TrivialAugmentWide and RandAugment, as torchvision defines them, drawn from the generator of an epoch.

torchvision's own classes draw from global randomness, one draw for a whole batch. Here operation, strength and sign are
drawn for each picture, and torchvision's kernels change all pictures that drew the same at once.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from project.work.dataset import transforms
from project.work.dataset.pictures import staged
from project.work.dataset.transforms import Augmentation

BINS = 31  # of strength, from none to the most
SIGNED, UNSIGNED, FIXED = 2, 1, 0  # how an operation takes its strength


@dataclass(frozen=True)
class Policy:
    """operations: how many a picture gets; bin: the strength of all, or None where it is drawn; the most of each kind:
    shear (tangent), shift (pixels, or as a share of the side if relative), turn (degrees), blend, bits (taken away)."""

    operations: int
    bin: int | None
    shear: float
    shift: float
    relative: bool
    turn: float
    blend: float
    bits: int


POLICIES: Mapping[str, Policy] = {
    "trivial": Policy(1, None, 0.99, 32, False, 135, 0.99, 6),  # Müller and Hutter, 2021
    "randaugment": Policy(2, 9, 0.3, 150 / 331, True, 30, 0.9, 4),  # Cubuk et al., 2020
}

Kernel = Callable[[Tensor, Policy, float], Tensor]  # pictures uint8 (n, C, H, W), strength in -1..1


def _sheared(x: float, y: float) -> Kernel:
    def kernel(images: Tensor, policy: Policy, strength: float) -> Tensor:
        shear = [math.degrees(math.atan(each * strength * policy.shear)) for each in (x, y)]
        return functional.affine(images, angle=0.0, translate=[0, 0], scale=1.0, shear=shear, center=[0.0, 0.0])

    return kernel


def _shifted(x: int, y: int) -> Kernel:
    def kernel(images: Tensor, policy: Policy, strength: float) -> Tensor:
        height, width = images.shape[2:] if policy.relative else (1, 1)
        shift = [int(strength * policy.shift * each) for each in (x * width, y * height)]
        return functional.affine(images, angle=0.0, translate=shift, scale=1.0, shear=[0.0, 0.0])

    return kernel


def _in_colours(change: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """A change of colours, which torchvision knows of one channel or three: alpha stays, others are grey each."""
    if images.shape[1] in (1, 3):
        return change(images)
    if images.shape[1] == 4:
        return torch.cat([change(images[:, :3]), images[:, 3:]], dim=1)
    return change(images.flatten(0, 1)[:, None]).view_as(images)


def _blended(kernel: Callable[[Tensor, float], Tensor]) -> Kernel:
    return lambda images, policy, strength: _in_colours(lambda each: kernel(each, 1 + strength * policy.blend), images)


def _coloured(kernel: Callable[[Tensor], Tensor]) -> Kernel:
    return lambda images, policy, strength: _in_colours(kernel, images)


def _posterized(images: Tensor, policy: Policy, strength: float) -> Tensor:
    bits = 8 - round(strength * policy.bits)
    return _in_colours(lambda each: functional.posterize(each, bits), images)


def _solarized(images: Tensor, policy: Policy, strength: float) -> Tensor:
    return _in_colours(lambda each: functional.solarize(each, 255 * (1 - strength)), images)


OPERATIONS: Mapping[str, tuple[int, Kernel]] = {
    "identity": (FIXED, lambda images, policy, strength: images),
    "shear x": (SIGNED, _sheared(1, 0)),
    "shear y": (SIGNED, _sheared(0, 1)),
    "shift x": (SIGNED, _shifted(1, 0)),
    "shift y": (SIGNED, _shifted(0, 1)),
    "turn": (SIGNED, lambda images, policy, strength: functional.rotate(images, strength * policy.turn)),
    "brightness": (SIGNED, _blended(functional.adjust_brightness)),
    "colour": (SIGNED, _blended(functional.adjust_saturation)),
    "contrast": (SIGNED, _blended(functional.adjust_contrast)),
    "sharpness": (SIGNED, _blended(functional.adjust_sharpness)),
    "posterize": (UNSIGNED, _posterized),
    "solarize": (UNSIGNED, _solarized),
    "autocontrast": (FIXED, _coloured(functional.autocontrast)),
    "equalize": (FIXED, _coloured(functional.equalize)),
}
_HOW = torch.tensor([how for how, _ in OPERATIONS.values()])
_KERNELS = [kernel for _, kernel in OPERATIONS.values()]


def make(name: str, mirror: bool) -> Augmentation:
    """A policy by its name; pictures are mirrored first, half of them, if they may be."""
    policy = POLICIES[name]
    return Augmentation(partial(draw, policy=policy, mirror=mirror), partial(change, policy=policy), on_host=True)


def draw(count: int, generator: torch.Generator, policy: Policy, mirror: bool) -> Tensor:
    """int64 (count, 1 + operations x 2): whether each picture is mirrored; then operation and signed bin in turn.

    What an operation does not read is 0: the sign of one that has none, and the bin of one of fixed strength.
    """
    found = [transforms.mirrors(count, generator).long() * mirror]
    for _ in range(policy.operations):
        operation = torch.randint(len(OPERATIONS), (count,), generator=generator)
        strength = torch.randint(BINS, (count,), generator=generator)
        sign = torch.where((torch.rand(count, generator=generator) < 0.5) & (_HOW[operation] == SIGNED), -1, 1)
        if policy.bin is not None:
            strength = torch.full((count,), policy.bin)
        found += [operation, strength * sign * (_HOW[operation] > FIXED)]
    return torch.stack(found, dim=1)


def change(images: Tensor, amounts: Tensor, policy: Policy) -> Tensor:
    """The pictures as drawn, float (B, C, H, W) in 0..255. amounts: on the CPU."""
    pixels = transforms.flip(images, staged(amounts[:, 0] > 0, images.device)).round().to(torch.uint8)
    for turn in range(policy.operations):
        kinds, place = amounts[:, 1 + 2 * turn : 3 + 2 * turn].unique(dim=0, return_inverse=True)
        after = torch.empty_like(pixels)
        for number, (operation, strength) in enumerate(kinds.tolist()):
            at = staged((place == number).nonzero()[:, 0], images.device)
            after[at] = _KERNELS[operation](pixels[at], policy, strength / (BINS - 1))
        pixels = after
    return pixels.float()
