"""Votes, and views of a picture that are used only where validation gains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from project.work.classifier import Classifier
from project.work.dataset.base_dataset import Dataset, Split
from project.work.dataset.pictures import Records, Resident
from project.work.dataset.transforms import Normaliser
from project.work.predict import vote
from project.work.predict.choosing import Chosen


class _Sides(nn.Module):
    """Looks at the left half alone, and at a bright row that says class 0: what is on the right it does not see."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, :, : images.shape[3] // 2].mean(dim=(1, 2))[:, None]


def judge(classifier_bias: float) -> Classifier:
    """Class 1 where the left half is bright."""
    head = nn.Linear(1, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.0], [20.0]]))
        head.bias.copy_(torch.tensor([classifier_bias, 0.0]))
    network = nn.Sequential(_Sides(), head)
    return Classifier(network, "narrow", ["dark", "bright"], (1, 8, 8), Normaliser((0.0,), (1.0,)), {"amp": False})


def split(labels: np.ndarray, sides: np.ndarray) -> Split:
    """Pictures 8 x 8 that are bright on the side that is said: 0 left, 1 right, -1 nowhere."""
    pixels = np.zeros((len(labels), 8, 8, 1), np.uint8)
    for picture, side in zip(pixels, sides, strict=True):
        if side >= 0:
            picture[:, :4] = 255 if side == 0 else 0
            picture[:, 4:] = 255 if side == 1 else 0
    records = Records(Resident(torch.from_numpy(pixels)), torch.from_numpy(labels))
    return Split(records, torch.arange(len(labels)), Normaliser((0.0,), (1.0,)), 2)


def test_a_view_is_used_where_validation_gains_by_it(capsys: pytest.CaptureFixture) -> None:
    labels, sides = np.tile([1, 1, 0, 0], 10), np.tile([0, 1, -1, -1], 10)  # bright on either side is class 1
    found = vote.with_views(Chosen(judge(8.0), None, "judge"), split(labels, sides))
    assert found.views == vote.WAYS["flip"]
    assert "--tta, judge: flip gains accuracy by +25.00%" in capsys.readouterr().err
    images = split(labels, sides).records.pictures.pixels.numpy()
    assert found.answers(images)[0].argmax(dim=1).tolist() == labels.tolist()


def test_no_view_is_used_where_it_loses(capsys: pytest.CaptureFixture) -> None:
    labels, sides = np.tile([1, 0, 0, 0], 10), np.tile([0, 1, 1, -1], 10)  # bright on the left alone is class 1
    found = vote.with_views(Chosen(judge(8.0), None, "judge"), split(labels, sides))
    assert found.views == vote.PLAIN
    assert "no view pays" in capsys.readouterr().err


def test_shifted_views_draw_their_border_on() -> None:
    pixels = torch.arange(16 * 16, dtype=torch.uint8).reshape(1, 1, 16, 16)
    down, up, right, left = (view(pixels)[0, 0] for view in vote.WAYS["shifts"][1:])
    assert torch.equal(down[1:], pixels[0, 0, :-1])
    assert torch.equal(down[0], pixels[0, 0, 0])
    assert torch.equal(up[:-1], pixels[0, 0, 1:])
    assert torch.equal(right[:, 1:], pixels[0, 0, :, :-1])
    assert torch.equal(left[:, :-1], pixels[0, 0, :, 1:])


def test_half_of_those_that_can_tell_make_a_picture_one_of_no_class() -> None:
    one, other = torch.tensor([[0.8, 0.2], [0.6, 0.4]]), torch.tensor([[0.4, 0.6], [0.4, 0.6]])
    found, outside = vote.soft_vote(
        [(one, torch.tensor([True, False])), (other, None), (other, torch.tensor([False] * 2))]
    )
    assert found[0].tolist() == pytest.approx([1.6 / 3, 1.4 / 3])
    assert outside.tolist() == [True, False]


@pytest.mark.slow
def test_fold_models_keep_their_classifiers(prepared: Path, tmp_path: Path, dataset: Dataset) -> None:
    from project.work import main

    words = [
        f"--dataset={prepared}",
        f"--output={tmp_path}",
        "--device=cpu",
        "--epoch=1",
        "--batch-size=32",
        "--folds=2",
    ]
    main.main([*words, "--stage=oof"])
    (folder,) = tmp_path.glob("oof-*")
    images = dataset.test.records.pictures.pixels.numpy()
    mean = sum(Classifier.load(folder / f"fold-{fold}" / "model.pt").predict(images) for fold in range(2)) / 2
    main.main(["-s", "predict", "-i", str(prepared), "-c", folder.name, f"--output={tmp_path}",
               f"--to={tmp_path / 'a.csv'}"])  # fmt: skip
    lines = (tmp_path / "a.csv").read_text().splitlines()[1:]
    assert [line.split(",")[2] for line in lines] == [dataset.names[at] for at in mean.argmax(axis=1)]
