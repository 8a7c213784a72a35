"""What is compared does the same work: the same pictures, the same batches, the same rows."""

import random
from collections.abc import Callable
from pathlib import Path

import inputs
import loader_peers
import numpy as np
import plain_raw_preparation
import predecessor_preparation
import pytest
import raster_peers
import sampling
import torch

from project.work.raster import raster
from project.work.raster.raster import pack, simplify

PICTURES = inputs.drawn(300), np.arange(300) % 7
LOADERS = list(loader_peers.every(*PICTURES, Path()))


def made(make: Callable) -> object:
    """What a factory makes, where its library is installed."""
    try:
        return make()
    except ImportError as error:
        pytest.skip(f"{error}")


def test_the_predecessors_recipe_and_our_upstream_raster_give_equal_bytes() -> None:
    drawings = inputs.drawings(500, seed=1)
    theirs = [predecessor_preparation.draw([stroke.T.tolist() for stroke in drawing]) for drawing in drawings]
    assert np.array_equal(np.stack(theirs), raster.render(drawings, 32, "upstream"))


@pytest.mark.slow
def test_plain_python_simplifies_raw_strokes_as_we_do() -> None:
    generator = np.random.default_rng(0)
    raws = [inputs.raw(drawing, generator) for drawing in inputs.drawings(60, seed=2)]
    ours = simplify(pack([[np.array(stroke[:2]).T for stroke in raw] for raw in raws]))
    theirs = [[np.array(stroke).T for stroke in plain_raw_preparation.simplify(raw)] for raw in raws]
    same = [all(map(np.array_equal, a, b)) for a, b in zip(ours, theirs, strict=True)]
    assert np.mean(same) > 0.95  # sums in another order pick another of points at equal distance


@pytest.mark.parametrize("name", raster_peers.PEERS)
def test_peers_draw_the_same_pictures(name: str) -> None:
    convert, draw = made(raster_peers.PEERS[name])
    drawings = inputs.drawings(50, seed=3)
    pictures = np.stack([draw(convert(drawing)) for drawing in drawings]).astype(float)
    assert pictures.shape == (50, 32, 32)
    assert np.corrcoef(pictures.ravel(), raster.render(drawings, 32).ravel())[0, 1] > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LOADERS if "predecessor as it was" not in name])
def test_loaders_deliver_every_picture_normalised_and_some_of_them_flipped(name: str, tmp_path: Path) -> None:
    images, labels = PICTURES
    random.seed(0)
    torch.manual_seed(0)
    batches = [batch for batch, _ in made(loader_peers.every(images, labels, tmp_path)[name])()]
    assert [batch.shape[1:] for batch in batches] == [(1, 32, 32)] * 3
    seen = torch.cat(batches).float()
    wanted = torch.from_numpy(images)[:, None] / 255
    wanted = (wanted - loader_peers.MEAN) / loader_peers.STD
    sums, wanted_sums = (part.sum(dim=(1, 2, 3)).sort().values for part in (seen, wanted))
    assert torch.allclose(sums, wanted_sums, atol=0.05)
    assert 0.35 < flipped_share(seen, wanted) < 0.65


def flipped_share(seen: torch.Tensor, wanted: torch.Tensor) -> float:
    """The share of pictures that are mirror images of what they should be."""
    flat, mirrored = wanted.flatten(1), wanted.flip(3).flatten(1)
    return float(
        (torch.cdist(seen.flatten(1), mirrored).amin(1) < torch.cdist(seen.flatten(1), flat).amin(1)).float().mean()
    )


@pytest.mark.parametrize("name", sampling.READERS)
def test_readers_give_300_rows(name: str, tmp_path: Path) -> None:
    folder = inputs.kaggle_folder(tmp_path, classes=1, rows=400)
    read = made(sampling.READERS[name])
    assert read(folder / "train_simplified" / "aa.csv") == sampling.COUNT


def test_made_drawings_are_like_those_of_people() -> None:
    drawings = inputs.drawings(500)
    assert 40 < inputs.mean_points(drawings) < 50
    ink = raster.render(drawings, 32, "upstream").mean() / 255
    assert 0.09 < ink < 0.12  # 0.108 on 10,258 real ones
