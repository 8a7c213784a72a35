"""Extra pictures are trained on and nothing else, with their classes matched by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small
import torch

from project.work.common import UserError
from project.work.dataset import storage
from project.work.dataset.base_dataset import Dataset, load
from project.work.dataset.pictures import Joined, Resident
from project.work.dataset.storage import Pictures

CPU = torch.device("cpu")
NAMES = ["cross", "bar", "beam"]  # in another order, and one is missing


def extra_set(folder: Path, names: list[str] = NAMES, images: np.ndarray | None = None) -> str:
    """A prepared set of 12 pictures a class of these names, its own labels counting from 0."""
    part = small.pictures(12, 7)
    place = {small.NAMES.index(name): number for number, name in enumerate(names) if name in small.NAMES}
    rows = np.flatnonzero(np.isin(part.labels, list(place)))
    labels = np.array([place[label] for label in part.labels[rows]])
    keys = part.keys.iloc[rows].reset_index(drop=True)
    made = Pictures(part.images[rows] if images is None else images[: len(rows)], labels, keys)
    storage.write(folder, storage.Prepared(made, made, names))
    return str(folder)


def test_classes_are_matched_by_name_and_only_training_gets_more(settings: Callable, tmp_path: Path) -> None:
    plain = load(settings(), CPU)
    data = load(settings(extra_train=extra_set(tmp_path / "more")), CPU)
    for part in ("train", "valid", "test"):
        assert torch.equal(getattr(data, part).rows, getattr(plain, part).rows)
    assert np.array_equal(data.train_keys, plain.train_keys)
    assert data.train.normalise == plain.train.normalise
    assert len(data.learnt) == 108 + 36
    assert data.fingerprint.startswith(f"{plain.fingerprint}-")
    given = small.pictures(12, 7)
    kept = np.isin(given.labels, [0, 1, 3])
    assert data.extra is not None
    assert data.extra.labels.tolist() == given.labels[kept].tolist()  # bar, beam, cross are 0, 1, 3 here
    batches = list(data.learnt.batches(50, torch.Generator().manual_seed(0)))
    rows = torch.cat([batch.rows for batch in batches])
    assert sorted(rows.tolist()) == sorted([*plain.train.rows.tolist(), *range(120, 156)])
    own = torch.from_numpy(np.concatenate([small.pictures(30, 1).images, given.images[kept]])).float()
    shown = torch.cat([batch.images for batch in batches])[:, 0]
    expected = data.train.normalise(own[rows][:, None])[:, 0]
    torch.testing.assert_close(shown, expected)
    targets = torch.cat([batch.targets for batch in batches]).argmax(dim=1)
    assert torch.equal(targets, data.learnt.records.labels[rows])


def test_pictures_of_two_homes_come_in_the_order_that_is_asked_for() -> None:
    first, second = (Resident(torch.arange(start, start + 4).view(4, 1, 1, 1).to(torch.uint8)) for start in (0, 100))
    joined = Joined(first, second, 4)
    asked = [torch.tensor([5, 0, 7]), torch.tensor([1, 2]), torch.tensor([4])]
    assert [batch.flatten().tolist() for batch in joined.stream(asked)] == [[101, 0, 103], [1, 2], [100]]


@pytest.mark.parametrize(
    "method", [{}, {"mixup": True}, {"label_posterior": True}, {"elr": True}, {"class_weight": "inverse"}]
)
def test_methods_learn_from_extra_pictures_and_resume(
    make_runner: Callable, settings: Callable, tiny_network: str, tmp_path: Path, method: dict
) -> None:
    more = extra_set(tmp_path / "more")
    values = {"extra_train": more, "model": tiny_network, "epoch": 3, **method}
    data = load(settings(extra_train=more), CPU)
    runner = make_runner(data, folder="run", **values)
    assert sum(runner.sizes) == 144
    runner.fit()
    counts = runner.memories["margins"].values[:, 1]
    assert counts[data.valid.rows].tolist() == [0] * 12
    assert counts[120:].tolist() == [3] * 36
    again = make_runner(data, folder="run", **values)
    again.fit()
    assert len(again.history.rows) == 3
    assert torch.equal(again.memories["margins"].values, runner.memories["margins"].values)


@pytest.mark.slow
def test_a_run_reports_them_and_its_margins_are_of_the_set_alone(prepared: Path, tmp_path: Path) -> None:
    import json

    import pandas as pd

    from project.work import main

    words = ["--dataset", prepared, "--extra-train", extra_set(tmp_path / "more"), "--output", tmp_path, "--uuid=x"]
    main.main([*map(str, words), "--epoch=1", "--device=cpu"])
    folder = tmp_path / "base-x"
    assert json.loads((folder / "result.json").read_text())["train_pictures"] == 144
    margins = pd.read_csv(folder / "margins.csv.gz")
    assert len(margins) == 108
    assert margins["row"].max() < 120


def test_fold_models_learn_from_all_of_them_and_predict_none(
    settings: Callable, tmp_path: Path, tiny_network: str
) -> None:
    from project.work.machine.distributed import RunContext
    from project.work.teacher import oof

    teacher = settings(extra_train=extra_set(tmp_path / "more"), folds=2, epoch=1, model=tiny_network)
    data: Dataset = load(teacher, CPU)
    made = oof.make(RunContext(teacher, CPU), data, tmp_path / "oof")
    assert made.logits.shape == (120, 4)
    assert made.margins is not None
    assert made.margins.shape == (120,)


@pytest.mark.parametrize(
    ("names", "channels", "side", "said"),
    [
        (["bar", "sphere"], 1, 16, "1 of its classes are none of the data set's 4: sphere; rename them in its"),
        (["bar", "beam"], 3, 16, "its pictures have 3 channels, those of the data set 1; prepare it again with the"),
        (["bar", "beam"], 1, 20, "its pictures are 20 pixels wide, those of the data set 16; give --image-size"),
    ],
)
def test_what_does_not_fit_is_refused(
    settings: Callable, tmp_path: Path, names: list[str], channels: int, side: int, said: str
) -> None:
    shape = (24, side, side) if channels == 1 else (24, side, side, channels)
    images, labels = np.zeros(shape, np.uint8), np.arange(24) % 2
    keys = small.pictures(6, 1).keys
    part = Pictures(images, labels, keys)
    storage.write(tmp_path / "more", storage.Prepared(part, part, names))
    with pytest.raises(UserError) as refusal:
        load(settings(extra_train=str(tmp_path / "more")), CPU)
    assert str(refusal.value).startswith(f"--extra-train {tmp_path}/more: {said}")


def test_a_set_is_no_extra_of_its_own_and_sizes_may_be_made_equal(
    settings: Callable, prepared: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="this is the data set itself, whose validation pictures would be learnt from"):
        load(settings(extra_train=f"{prepared}/../lines"), CPU)
    larger = extra_set(tmp_path / "larger", images=np.zeros((36, 24, 24), np.uint8))
    data = load(settings(extra_train=larger, image_size=12), CPU)
    assert next(data.learnt.batches(200)).images.shape == (144, 1, 12, 12)
