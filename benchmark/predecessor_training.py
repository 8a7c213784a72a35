"""The predecessor's training, written afresh from its published description: data, loader, training and testing."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measure import cores
from torch import nn
from torch.utils.data import DataLoader, Dataset

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise it asks a server for its newest version
MEAN, STD = 0.1093, 0.2921
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 1e-4


def pipeline(train: bool) -> Callable[..., dict[str, Any]]:
    """Its albumentations: flip in training, normalise, to tensor."""
    import albumentations as A
    from albumentations.pytorch import ToTensorV2

    steps = [A.HorizontalFlip(p=0.5)] if train else []
    return A.Compose([*steps, A.Normalize(mean=(MEAN,), std=(STD,)), ToTensorV2()])


class Doodles(Dataset):
    """Images one by one. faithful: the pipeline is built for every image, as it was; otherwise once."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, train: bool, faithful: bool) -> None:
        self.images, self.labels, self.train = images, labels, train
        self.made = None if faithful else pipeline(train)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        change = self.made or pipeline(self.train)
        return change(image=self.images[row][..., None])["image"], int(self.labels[row])


def loader(
    images: np.ndarray, labels: np.ndarray, batch_size: int, *, train: bool, faithful: bool, workers: int | None = None
) -> DataLoader:
    """Its loader: a worker process a core."""
    workers = cores() if workers is None else workers
    return DataLoader(
        Doodles(images, labels, train, faithful),
        batch_size,
        shuffle=train,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )


def optimizer(network: nn.Module) -> torch.optim.SGD:
    """Its optimizer, with torch's defaults."""
    rates = {"lr": LEARNING_RATE, "momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
    return torch.optim.SGD(network.parameters(), nesterov=True, **rates)


def train(network: nn.Module, batches: DataLoader, steps: torch.optim.Optimizer, device: torch.device) -> float:
    """An epoch; the loss is fetched at every step, and predictions are counted one by one."""
    network.train()
    criterion, total, right = nn.CrossEntropyLoss(), 0.0, 0
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        steps.zero_grad()
        logits = network(images)
        loss = criterion(logits, labels)
        loss.backward()
        steps.step()
        total += loss.item()
        right += count_right(logits, labels)
    return total / len(batches)


@torch.no_grad()
def evaluate(network: nn.Module, batches: DataLoader, device: torch.device) -> float:
    """Its accuracy on a split."""
    network.eval()
    criterion, total, right, seen = nn.CrossEntropyLoss(), 0.0, 0, 0
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        logits = network(images)
        total += criterion(logits, labels).item()
        right += count_right(logits, labels)
        seen += len(labels)
    return right / seen


def count_right(logits: torch.Tensor, labels: torch.Tensor) -> int:
    """A Python loop over predictions as lists."""
    predictions = logits.argmax(dim=1).cpu().tolist()
    return sum(1 for guess, label in zip(predictions, labels.cpu().tolist(), strict=True) if guess == label)
