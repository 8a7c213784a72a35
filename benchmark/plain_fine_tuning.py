"""Fine-tunes a pretrained network of timm as a tutorial does, on a prepared set; prints what came out as JSON.

    .venv/bin/python benchmark/plain_fine_tuning.py --dataset project/input/trash --epoch 2

A head drawn at random, AdamW with one learning rate for all layers, a cosine to 0, flips, the last epoch: pictures,
divisions and weights are those that a run of this repository has, and nothing else of it is used.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import measure
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional

from project.work.dataset import base_dataset
from project.work.dataset.base_dataset import Split
from project.work.machine.process import run_command
from project.work.networks import backbones
from project.work.settings.flags import parse, setting
from project.work.settings.resolve import combine

View = Callable[[Split, Tensor], Tensor]  # the pictures at these rows, normalised


@dataclass(frozen=True)
class Plain:
    """What is trained."""

    dataset: str = setting("quickdraw", "name of a prepared data set of RGB pictures, or its folder")
    model: str = setting("tf_efficientnet_lite0", "network of timm")
    size: int = setting(224, "side in pixels", within="[8, 1024]")
    epoch: int = setting(2, "passes over the training pictures", within="[1, inf)")
    batch_size: int = setting(32, "pictures a step", within="[2, inf)")
    learning_rate: float = setting(3e-4, "highest learning rate", within="(0, inf)")
    weight_decay: float = setting(0.05, "weight decay", within="[0, inf)")
    seed: int = setting(0, "seed of head, order and flips", within="[0, inf)")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, read the test split once, and print the figures."""
    options = parse(Plain, argv, "Fine-tune a network of timm in a plain loop.")
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    asked = combine({"stage": "features", "dataset": options.dataset, "model": options.model, "device": "cpu"})
    dataset = base_dataset.load(asked, torch.device("cpu"))
    network, mean, std = pretrained(options.model, len(dataset.names))
    for split in (dataset.train, dataset.test):
        assert split.shape == (3, options.size, options.size), f"prepare the pictures at {options.size}"

    def view(split: Split, rows: Tensor) -> Tensor:
        (images,) = split.records.pictures.stream([rows])
        return ((images / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    train(options, network, dataset.train, view)
    labels, logits = dataset.test.labels, predict(network, dataset.test, view)
    valid = predict(network, dataset.valid, view)
    figures = {
        "top-1": 100 * (logits.argmax(1) == labels).float().mean().item(),
        "macro F1": 100 * f1_score(labels, logits.argmax(1), average="macro"),
        "validation": 100 * (valid.argmax(1) == dataset.valid.labels).float().mean().item(),
    }
    print(json.dumps(figures | {"epochs": options.epoch, "CPU-s": measure.cpu_seconds()}))


def pretrained(name: str, classes: int) -> tuple[nn.Sequential, Tensor, Tensor]:
    """A network with pretrained weights and a random head; mean and std of its pixels, float (1, 3, 1, 1)."""
    backbone = backbones.open_backbone(combine({"stage": "features", "model": name}))
    network = nn.Sequential(backbone.network.requires_grad_(True), nn.Linear(backbone.width, classes))
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (backbone.normaliser.mean, backbone.normaliser.std))
    return network.to(memory_format=torch.channels_last), mean, std  # type: ignore[call-overload]


def train(options: Plain, network: nn.Module, split: Split, view: View) -> None:
    """Every epoch shuffles and flips anew."""
    optimizer = torch.optim.AdamW(network.parameters(), options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epoch * math.ceil(len(split) / options.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for _ in range(options.epoch):
        for rows in split.rows[torch.randperm(len(split))].split(options.batch_size):
            images = view(split, rows)
            images = torch.where(torch.rand(len(rows), 1, 1, 1) < 0.5, images.flip(3), images)
            optimizer.zero_grad()
            functional.cross_entropy(network(images), split.records.labels[rows]).backward()
            optimizer.step()
            schedule.step()


@torch.inference_mode()
def predict(network: nn.Module, split: Split, view: View) -> Tensor:
    """Logits, float (N, K)."""
    network.eval()
    return torch.cat([network(view(split, rows)) for rows in split.rows.split(16)])


if __name__ == "__main__":
    run_command(main)
