"""Augmentations beyond the plain ones of `transforms`: for photos, torchvision's policies, and a person's own.

What is drawn comes from the generator of the epoch alone, so a run that is resumed goes on to the same numbers.
"""

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor

from project.work.common import UserError
from project.work.dataset import transforms
from project.work.dataset.base_dataset import Split
from project.work.dataset.transforms import AUGMENTATIONS, Augmentation
from project.work.files import own_code
from project.work.settings.groups import Settings

AREA = (0.35, 1.0)  # share of a photo that a crop keeps
ASPECT = 4 / 3  # of a crop or an erased part: width by height, or height by width, at most
COLOUR = 0.4  # brightness, contrast and saturation are changed by at most that share
ERASED = 0.25  # probability that a part is erased
ERASED_AREA = (0.02, 0.2)  # share of a picture that is erased
GREY = (0.299, 0.587, 0.114)  # shares of red, green and blue, as torchvision's


def make(settings: Settings, split: Split) -> Augmentation | None:
    """The augmentation that the settings ask for. split: pictures to try a person's own on. Raises UserError."""
    name, mirror = settings.augment, settings.flip
    if ":" in name:
        return _own(name, split, settings.batch_size)
    if name == "photo":
        return Augmentation(partial(draw_photo, mirror=mirror), photo)
    if name == "affine" and not mirror:
        return Augmentation(_upright_matrices, transforms.affine)
    if name in AUGMENTATIONS:
        return AUGMENTATIONS[name]
    from project.work.dataset import policies  # torchvision takes a second to import

    return policies.make(name, mirror)


def _upright_matrices(count: int, generator: torch.Generator) -> Tensor:
    """Those of affine, none mirrored."""
    return transforms.affine_matrices(count, generator, mirror=False)


def draw_photo(count: int, generator: torch.Generator, mirror: bool) -> Tensor:
    """float (count, 13): of the crop its inverse map (6); factors of brightness, contrast, saturation; of what is
    erased its centre and half its size (4), as shares of the sides, of size 0 where nothing is."""
    area, aspect, right, down, side, brightness, contrast, colour, rare, hole, shape, across, along = torch.rand(
        13, count, generator=generator
    )
    width, height = _sides(AREA[0] + area * (AREA[1] - AREA[0]), aspect)
    mirrored = torch.where(side < 0.5, -1.0, 1.0) if mirror else torch.ones(count)
    nothing = torch.zeros(count)
    crop = [width * mirrored, nothing, (right * 2 - 1) * (1 - width), nothing, height, (down * 2 - 1) * (1 - height)]
    factors = [1 + COLOUR * (each * 2 - 1) for each in (brightness, contrast, colour)]
    wide, high = _sides(ERASED_AREA[0] + hole * (ERASED_AREA[1] - ERASED_AREA[0]), shape)
    erased = (rare < ERASED).float()
    place = [wide / 2 + across * (1 - wide), high / 2 + along * (1 - high), erased * wide / 2, erased * high / 2]
    return torch.stack([*crop, *factors, *place], dim=1)


def _sides(area: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height, float (n,), in shares of a picture's, 1 at most, of parts of an area; drawn: in 0..1."""
    root = torch.exp((drawn * 2 - 1) * (math.log(ASPECT) / 2))
    return (area.sqrt() * root).clamp(max=1), (area.sqrt() / root).clamp(max=1)


def photo(images: Tensor, amounts: Tensor) -> Tensor:
    """Random resized crop, mirror, colour jitter and erasing, as drawn. images: float (B, C, H, W) in 0..255.

    Of grey pictures brightness and contrast change; a fourth channel (alpha) keeps its values.
    """
    images = transforms.affine(images, amounts[:, :6].view(-1, 2, 3), "border")
    colours = images[:, :3] if images.shape[1] == 4 else images
    changed = _jittered(colours, amounts[:, 6:9])
    images = torch.cat([changed, images[:, 3:]], dim=1) if images.shape[1] == 4 else changed
    return _erased(images, amounts[:, 9:])


def _jittered(images: Tensor, factors: Tensor) -> Tensor:
    brightness, contrast, colour = (each[:, None, None, None] for each in factors.unbind(dim=1))
    images = images * brightness
    mean = _grey(images).mean(dim=(1, 2, 3), keepdim=True)
    images = mean.lerp(images, contrast)
    if images.shape[1] == 3:
        images = _grey(images).lerp(images, colour)
    return images.clamp(0, 255)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images
    red, green, blue = images.split(1, dim=1)
    return GREY[0] * red + GREY[1] * green + GREY[2] * blue


def _erased(images: Tensor, places: Tensor) -> Tensor:
    """A rectangle of each picture replaced by the picture's mean. places: see `draw_photo`."""
    x, y, wide, high = (each[:, None] for each in places.unbind(dim=1))
    across = (_shares(images.shape[3], images) - x).abs() < wide
    along = (_shares(images.shape[2], images) - y).abs() < high
    hole = (along[:, :, None] & across[:, None, :])[:, None]
    return torch.where(hole, images.mean(dim=(2, 3), keepdim=True), images)


def _shares(side: int, like: Tensor) -> Tensor:
    """Where the centres of pixels are, as shares of a side: float (1, side)."""
    return ((torch.arange(side, device=like.device) + 0.5) / side)[None]


def _own(text: str, split: Split, count: int) -> Augmentation:
    """A person's own function, once it has changed a batch of so many pictures as it should. Raises UserError."""
    function = own_code.load("--augment", text)

    def change(images: Tensor, seeds: Tensor) -> Tensor:
        before = images.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        try:
            after = function(before, np.random.default_rng(seeds.tolist()))
        except Exception as error:  # a person's code may raise anything
            raise UserError(f"--augment {text}: raised {own_code.raised(error)}") from error
        found = f"{after.dtype} {after.shape}" if isinstance(after, np.ndarray) else type(after).__name__
        if found != (wanted := f"uint8 {before.shape}"):
            raise UserError(f"--augment {text}: gave back {found}, but must give {wanted}, as it was given")
        pixels = torch.from_numpy(np.ascontiguousarray(after)).to(images.device)
        return pixels.permute(0, 3, 1, 2).float()

    made = Augmentation(_seeds, change, on_host=True)
    _try(made, text, split, count)
    return made


def _seeds(count: int, generator: torch.Generator) -> Tensor:
    """A seed for each picture, int64 (count,)."""
    return torch.randint(2**32, (count,), generator=generator)


def _try(augmentation: Augmentation, text: str, split: Split, count: int) -> None:
    """Raises UserError where a function does not change real pictures as it should, or draws on its own."""
    rows = split.rows[:count]
    pictures = split.records.pictures
    images = next(pictures.stream([rows.to(pictures.home)])).float()
    seeds = _seeds(len(rows), torch.Generator().manual_seed(0))
    first, again = (augmentation.change(images, seeds) for _ in range(2))
    if not torch.equal(first, again):
        raise UserError(f"--augment {text}: two calls with equal generators gave different pictures; draw all that is"
                        " random from the generator that it is given, or no run could be repeated")  # fmt: skip
