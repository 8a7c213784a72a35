"""Photos, torchvision's policies and a person's own function: what they show, of any channels, and that it repeats."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from project.work.common import UserError
from project.work.dataset import augmentations, transforms
from project.work.dataset.augmentations import draw_photo, photo
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.transforms import Augmentation

POLICIES = ("trivial", "randaugment")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, channels: int = 3, side: int = 16) -> Tensor:
    return (torch.rand(count, channels, side, side, generator=generator(9)) * 255).round()


@pytest.fixture
def make(settings: Callable, dataset: Dataset) -> Callable[..., Augmentation]:
    """The augmentation of a name, as a runner makes it."""
    return lambda name, **more: augmentations.make(settings(augment=name, **more), dataset.train)


def changed(augmentation: Augmentation, images: Tensor, seed: int = 0) -> Tensor:
    return augmentation.change(images, augmentation.draw(len(images), generator(seed)))


@pytest.mark.parametrize("name", ["photo", *POLICIES])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_channels_keep_shape_and_range_and_a_generator_gives_the_same_again(
    make: Callable, name: str, channels: int
) -> None:
    images = noise(24, channels)
    shown = changed(make(name), images, 1)
    assert shown.shape == images.shape
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 255
    assert torch.equal(shown, changed(make(name), images, 1))
    assert not torch.equal(shown, changed(make(name), images, 2))


@pytest.mark.parametrize("name", ["photo", "affine", *POLICIES])
def test_nothing_comes_from_global_randomness_and_nothing_changes_it(make: Callable, name: str) -> None:
    before = torch.get_rng_state()
    first = changed(make(name), noise(8))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(5)
    assert torch.equal(first, changed(make(name), noise(8)))
    torch.set_rng_state(before)


@pytest.mark.parametrize("name", ["affine", "photo", *POLICIES])
def test_without_flips_a_picture_is_never_mirrored(make: Callable, name: str) -> None:
    """A ramp from dark on the left to bright on the right says which way round a picture is."""
    ramp = torch.linspace(60, 190, 16).expand(200, 1, 16, 16)
    calm = {"solarize", "turn", "shear x", "shear y", "shift x"}

    def leftward(flip: bool) -> int:
        shown = changed(make(name, flip=flip), ramp)
        if name in POLICIES:  # their other operations may turn a ramp round too: only what is told apart counts
            amounts = make(name, flip=flip).draw(200, generator())
            from project.work.dataset.policies import OPERATIONS

            names = list(OPERATIONS)
            mild = [not calm & {names[each] for each in row[1::2].tolist()} for row in amounts]
            shown = shown[torch.tensor(mild)]
        return int((shown[..., 4:7].mean(dim=(1, 2, 3)) > shown[..., 9:12].mean(dim=(1, 2, 3)) + 1).sum())

    assert leftward(False) == 0
    assert leftward(True) > 20


def test_plain_affine_draws_what_it_always_did() -> None:
    """--no-flip draws the same amounts, so a picture is turned and shifted as it would be, only not mirrored."""
    mirrored, upright = (transforms.affine_matrices(50, generator(), mirror=each) for each in (True, False))
    assert torch.equal(mirrored[:, :, 2], upright[:, :, 2])
    assert torch.equal(mirrored[:, :, 0].abs(), upright[:, :, 0].abs())
    assert (upright[:, 0, 0] > 0).all()


def test_a_crop_keeps_a_part_of_the_photo_of_the_size_that_was_drawn() -> None:
    amounts = draw_photo(4000, generator(), mirror=True)
    width, height = amounts[:, 0].abs(), amounts[:, 4]
    area = width * height
    assert 0.3 < float(area.min()) < 0.37
    assert 0.98 < float(area.max()) <= 1
    assert float((width / height).max()) <= 4 / 3 + 1e-5
    for size, place in ((width, amounts[:, 2]), (height, amounts[:, 5])):  # nothing beyond the photo's edge
        assert float((size + place.abs()).max()) <= 1 + 1e-5
    erased = amounts[:, 11] > 0
    assert abs(float(erased.float().mean()) - 0.25) < 0.03


def test_photo_by_known_amounts() -> None:
    """The left half of a picture, twice as bright, with its first quarter erased."""
    picture = torch.tensor([[[[10.0, 10, 40, 40]] * 4]])
    crop = [0.5, 0, -0.5, 0, 1, 0]
    shown = photo(picture, torch.tensor([[*crop, 2.0, 1, 1, 0.125, 0.5, 0, 0]]))
    assert shown[0, 0, 0, :3].tolist() == [20, 20, 20]
    assert float(shown[0, 0, 0, 3]) == pytest.approx(20 + 0.25 * 60)  # its centre is a quarter of a pixel beyond
    erased = photo(picture, torch.tensor([[1.0, 0, 0, 0, 1, 0, 1, 1, 1, 0.125, 0.5, 0.125, 0.5]]))
    assert erased[0, 0, :, 0].tolist() == [25.0] * 4  # the picture's mean
    assert erased[0, 0, :, 1].tolist() == [10.0] * 4


def test_colours_change_by_their_factors() -> None:
    picture = torch.tensor([100.0, 50, 200]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    whole, nothing = [1.0, 0, 0, 0, 1, 0], [0.0, 0, 0, 0]
    grey = 0.299 * 100 + 0.587 * 50 + 0.114 * 200
    shown = photo(picture, torch.tensor([[*whole, 1, 1, 0, *nothing]]))  # no colour left
    assert shown[0, :, 0, 0].tolist() == pytest.approx([grey] * 3, abs=1e-3)
    alpha = torch.cat([picture, torch.full((1, 1, 2, 2), 7.0)], dim=1)
    assert photo(alpha, torch.tensor([[*whole, 1.4, 1.4, 0, *nothing]]))[0, 3].unique().tolist() == [7.0]


@pytest.mark.parametrize(("name", "theirs"), [("trivial", "TrivialAugmentWide"), ("randaugment", "RandAugment")])
def test_each_operation_is_what_torchvision_makes_of_it(name: str, theirs: str) -> None:
    """Of every operation, by the strength that torchvision's table gives for the bin."""
    from torchvision.transforms import v2

    from project.work.dataset import policies

    reference = getattr(v2, theirs)()
    images, policy, place = noise(3, 3, 24).to(torch.uint8), policies.POLICIES[name], 9
    for (title, (how, kernel)), (known, (strengths, signed)) in zip(
        policies.OPERATIONS.items(), reference._AUGMENTATION_SPACE.items(), strict=True
    ):
        assert (how == policies.SIGNED) == signed, title
        amounts = strengths(policies.BINS, 24, 24)
        for sign in (1, -1) if signed else (1,):
            amount = 0.0 if amounts is None else sign * float(amounts[place])
            expected = reference._apply_image_or_video_transform(
                images, known, amount, interpolation=reference.interpolation, fill=reference._fill
            )
            shown = kernel(images, policy, sign * place / 30)
            apart = (shown.int() - expected.int()).abs().max()  # its strengths are rounded to float32
            assert apart <= 1, (title, sign)


def test_pictures_that_drew_the_same_are_changed_at_once_as_each_alone(make: Callable) -> None:
    images, made = noise(40), make("randaugment")
    amounts = made.draw(40, generator())
    alone = torch.cat([made.change(images[at : at + 1], amounts[at : at + 1]) for at in range(40)])
    assert torch.equal(made.change(images, amounts), alone)


OWN = """
import numpy as np

def brighter(images, generator):
    assert images.dtype == np.uint8 and images.shape[3] == 1
    return np.clip(images + generator.integers(0, 50, (len(images), 1, 1, 1)), 0, 255).astype(np.uint8)

def floats(images, generator): return images / 255
def smaller(images, generator): return images[:, 1:]
def nothing(images, generator): pass
def careless(images, generator): return images + np.random.randint(0, 9, images.shape).astype(np.uint8)
def broken(images, generator): return images.no_such_thing
number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of functions, in the current folder."""
    (tmp_path / "my_changes.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_changes"


def test_a_persons_own_function_changes_pictures_by_the_generator_it_is_given(make: Callable, own: str) -> None:
    made = make(f"{own}:brighter")
    images = noise(8, 1)
    added = changed(made, images, 1) - images
    assert float(added.min()) >= 0
    assert float(added.max()) < 50
    assert torch.equal(changed(made, images, 1), changed(made, images, 1))
    assert not torch.equal(changed(made, images, 1), changed(made, images, 2))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("floats", "gave back float64 (32, 16, 16, 1), but must give uint8 (32, 16, 16, 1), as it was given"),
        ("smaller", "gave back uint8 (32, 15, 16, 1), but must give uint8 (32, 16, 16, 1), as it was given"),
        ("nothing", "gave back NoneType, but must give uint8"),
        ("careless", "two calls with equal generators gave different pictures; draw all that is random from"),
        ("broken", "raised AttributeError ("),
        ("number", "has no function 'number'"),
        ("absent", "has no function 'absent'"),
    ],
)
def test_one_that_does_not_fit_is_refused_on_a_real_batch_before_training(
    make: Callable, own: str, function: str, said: str
) -> None:
    with pytest.raises(UserError) as refusal:
        make(f"{own}:{function}")
    assert said in str(refusal.value)
    assert str(refusal.value).startswith(f"--augment {own}:{function}: ")
    assert "\n" not in str(refusal.value)


def test_a_module_that_is_not_there_or_fails_is_told_so(make: Callable, own: str) -> None:
    with pytest.raises(UserError, match=r"^--augment nowhere\.at:all: there is no module nowhere"):
        make("nowhere.at:all")
    Path("spoilt.py").write_text("import my_changes\n1 / 0\n")
    with pytest.raises(UserError, match=r"^--augment spoilt:all: ZeroDivisionError .* in .*spoilt.py line 2 when"):
        make("spoilt:all")
    Path("needs.py").write_text("import not_installed_anywhere\n")
    with pytest.raises(UserError, match=r"^--augment needs:all: needs imports not_installed_anywhere, which is not"):
        make("needs:all")


@pytest.mark.parametrize("name", ["photo", "randaugment"])
def test_training_learns_by_it_and_resumes_to_the_bit_with_sam(
    make_runner: Callable, tiny_network: str, name: str
) -> None:
    """SAM passes a batch again; an epoch's randomness depends on seed and epoch alone."""
    values = {"model": tiny_network, "augment": name, "sam": True, "epoch": 3}
    whole = make_runner(folder="whole", **values)
    whole.fit()
    broken = make_runner(folder="broken", **values)

    class Killed(Exception):
        pass

    def kill() -> None:
        if len(broken.history.rows) == 2:
            raise Killed

    with pytest.raises(Killed):
        broken.fit(kill)
    again = make_runner(folder="broken", **values)
    again.fit()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    same = [dataclasses.replace(row, seconds=0, pictures_per_second=0) for row in whole.history.rows]
    assert same == [dataclasses.replace(row, seconds=0, pictures_per_second=0) for row in again.history.rows]
    assert math.isfinite(whole.history.rows[-1].train_loss)
