"""The training loop. A method is a subclass that overrides one part of a step.

`BaseRunner.losses` puts the parts together, in this order, whatever methods a run combines:

1. `correct_targets`: other targets in place of the labels (label posterior)
2. `forward`: the network's answer, and what it answers to (mixup, manifold mixup)
3. `teach_targets`: other targets once they are mixed (NTS)
4. `loss`: what a step minimises (cross entropy, GCE, SCE)
5. `penalties`: what is added to it (ELR, distillation)

Co-teaching overrides `losses` itself, as it has two networks. Penalties add up; methods that override another part of
the same name are refused together.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from project.work import classifier, common
from project.work.classifier import Classifier
from project.work.common import UserError, progress
from project.work.dataset import augmentations, imbalance
from project.work.dataset.base_dataset import Batch, Dataset, Split, batch_sizes
from project.work.dataset.transforms import AUGMENTATIONS
from project.work.labels.noise_channel import channel_rate
from project.work.machine.device import MixedPrecision, seeded
from project.work.machine.distributed import RunContext
from project.work.run_folder import CHECKPOINT_FILE, HISTORY_FILE, git_revision
from project.work.runner import fine_tuning, optimizer, sam
from project.work.runner.checkpoint import CheckpointFile, Known
from project.work.runner.history import EpochRow, History, RowMemory, margins, measure, speed, valid_column
from project.work.runner.optimizer import make_network, schedule_factor
from project.work.settings import resolve

Stateful = torch.nn.Module | torch.optim.Optimizer | torch.amp.GradScaler | RowMemory


def weighed(logits: Tensor, weights: Tensor | None) -> Tensor:
    """The same logits, float (B, K), whose gradients are multiplied row by row by weights, float (B,).

    A loss that is the mean of what each row costs then learns what the mean of weight x cost would teach, whatever that
    cost is, while its value stays that of rows that count alike.
    """
    if weights is None:
        return logits
    fixed = logits.detach()
    return fixed + weights[:, None] * (logits - fixed)


class BaseRunner:
    """Cross entropy with the labels as they are given.

    cost: CPU time of a run as a multiple of the plain one, see `table.cost`.
    """

    cost: float = 1.0

    def __init__(self, context: RunContext, dataset: Dataset, folder: Path) -> None:
        self.context, self.dataset = context, dataset
        self.settings, self.device, self.distributed = context.settings, context.device, context.distributed
        self.learnt, settings = dataset.learnt, self.settings
        if settings.class_weight != "none":
            self.learnt = imbalance.weighed_by_class(self.learnt, settings.class_weight, settings.class_weight_beta)
        plain = settings.flip and settings.augment in AUGMENTATIONS
        self.augmentation = AUGMENTATIONS[settings.augment] if plain else augmentations.make(settings, self.learnt)
        self.sizes = batch_sizes(len(self.learnt), self.settings.batch_size)
        self.steps = -(-len(self.sizes) // self.settings.accumulation_steps)  # an epoch
        self.model = self.make_network("weights")
        self.trained = [self.model]
        self.average = optimizer.make_average(self.model, self.settings.ema)
        self.optimizers = optimizer.make(self.settings, self.model)
        self.precision = MixedPrecision(self.device, self.settings.amp, min(dataset.train.shape[1:]))
        path = folder / HISTORY_FILE if self.distributed.rank == 0 else None
        self.history = History(path, self.settings.target_metric)
        self.selected: dict[str, Tensor] = {}
        self.valid_logits: Tensor | None = None  # of the epoch before, in this process
        self.file = CheckpointFile(folder / CHECKPOINT_FILE)
        self.memories: dict[str, RowMemory] = {}
        self.add_memory("margins", 2, sums=True)  # sum and count
        self.repeating = False  # whether SAM passes a batch that has been passed before
        self._start_epoch(0)

    def make_network(self, purpose: str) -> torch.nn.Module:
        """A new network on the device; its weights depend on seed and purpose."""
        return make_network(self.context, self.dataset, self.settings.epoch * self.steps, purpose)

    def correct_targets(self, batch: Batch) -> Batch:
        """The whole batch with the targets to mix and to learn; those of the labels unless a method knows better."""
        return batch

    def forward(self, batch: Batch) -> tuple[Tensor, Batch]:
        """Logits of this process's share of a batch, and that share as they answer to it (a method may have mixed it).

        batch: whole in every process but for its pictures, which are those of `seen`.
        """
        return self.model(batch.images), self.mine(batch, batch.images)

    def seen(self, count: int) -> slice:
        """Which pictures of a batch of so many this process reads: its share, all when alone."""
        return self.distributed.share(count)

    def mine(self, batch: Batch, images: Tensor) -> Batch:
        """This process's share of a batch, with the pictures given."""
        return batch.part(self.distributed.share(len(batch)), images)

    def estimated_noise(self) -> float:
        """The share of labels that seems wrong, by those of validation, which cannot be memorised."""
        logits = self.predict(self.dataset.valid) if self.valid_logits is None else self.valid_logits
        confidence = logits.softmax(dim=1).gather(1, self.dataset.valid.labels[:, None])[:, 0]
        return channel_rate(confidence.cpu().double().numpy(), len(self.dataset.names))

    def add_memory(self, name: str, *shape: int, sums: bool = False) -> None:
        """Remember so much of every row that may be learnt from. name: of its own, as methods combine."""
        assert name not in self.memories, f"two methods remember {name}"
        self.memories[name] = RowMemory(len(self.learnt.records.labels), *shape, device=self.device, sums=sums)

    @torch.no_grad()
    def observe(self, logits: Tensor, batch: Batch) -> None:
        """Note what a step said of its rows. logits: float (B, K), of this process's share of the batch."""
        found = margins(logits, self.learnt.records.labels[batch.rows])
        self.memories["margins"].values.index_add_(0, batch.rows, torch.stack([found, torch.ones_like(found)], dim=1))

    def teach_targets(self, batch: Batch) -> Batch:
        """The share of a batch with the targets that the loss reads; those it has unless there is a teacher."""
        return batch

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """What a step minimises: the mean over the batch, as a scalar."""
        return functional.cross_entropy(logits, batch.targets, label_smoothing=self.settings.label_smoothing)

    def penalties(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        """What methods add to the loss: scalars, each a mean over the batch."""
        return []

    def losses(self, batch: Batch) -> tuple[list[Tensor], Tensor, Batch]:
        """The loss of every trained network; logits of the first; this process's share of the batch as it was seen.

        A loss is the mean over the share: the sum over all shares of size x loss / batch is that of the batch.
        """
        logits, seen = self.forward(self.correct_targets(batch))
        logits = logits.float()
        return [self.mean_loss(logits, seen)], logits.detach(), seen

    def mean_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """The loss and its penalties over a share of a batch, which may be empty. logits: float (B, K)."""
        if not len(batch):  # there is no mean; but the other processes wait for a backward pass
            return logits.sum()
        logits = weighed(logits, batch.weights)
        penalties = self.penalties(logits, batch)
        return sum(penalties, self.loss(logits, self.teach_targets(batch)))

    def fit(self, after_epoch: Callable[[], None] = lambda: None) -> History:
        """Train to the last epoch from wherever the run stands; an epoch is on disk before after_epoch and the next."""
        self._restore()
        if self.settings.head_first and not self.history.rows:
            from project.work.runner import head_first  # brings scipy

            head_first.fit(self.context, self.dataset, self.trained)
        done, epochs, count = len(self.history.rows), self.settings.epoch, len(self.learnt)
        with progress(total=epochs * count, initial=done * count, unit="picture", unit_scale=True) as bar:
            for epoch in range(done, epochs):
                bar.set_description(f"epoch {epoch + 1}/{epochs}", refresh=False)
                row = self._epoch(epoch, bar)
                if self.history.add(row):
                    self.selected = {name: value.clone() for name, value in self.network.state_dict().items()}
                if self.distributed.rank == 0:
                    self._save()
                    after_epoch()
                bar.set_postfix(valid=f"{row.valid_accuracy:.1%}", refresh=False)
        return self.history

    @property
    def network(self) -> torch.nn.Module:
        """The network that is evaluated: the average of the weights if there is one."""
        return self.model if self.average is None else self.average.module

    def classifier(self) -> Classifier:
        """The network as it is now, as a classifier."""
        settings, split = self.settings, self.dataset.train
        chosen = {name: getattr(settings, name) for name in resolve.experiment_settings()}
        name, made = resolve.network(settings), self.dataset.preparation
        return Classifier(
            self.network, name, self.dataset.names, split.shape, split.normalise, chosen, preparation=made
        )

    def predict(self, split: Split) -> Tensor:
        """Logits of every picture, float (N, K), in the order of the split; each process computes its share."""
        mine = split.subset(self.distributed.share(len(split)))
        size = classifier.at_once(split.shape, self.device)
        logits = self.classifier().logits(batch.images for batch in mine.batches(size))
        return self.distributed.whole(logits, len(split))

    @contextmanager
    def at_selected(self) -> Iterator[None]:
        """The network as it was at the selected epoch; afterwards as it is."""
        last = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.selected)
        try:
            yield
        finally:
            self.network.load_state_dict(last)

    def predict_selected(self, split: Split) -> Tensor:
        """Logits as `predict` gives them, by the network as it was at the selected epoch."""
        with self.at_selected():
            return self.predict(split)

    def save_classifier(self, path: Path, temperature: float = 1.0) -> None:
        """Write the network of the selected epoch as a classifier. temperature: of its probabilities."""
        with self.at_selected():
            made = dataclasses.replace(self.classifier(), git_revision=git_revision(), temperature=temperature)
            made.save(path)

    def _epoch(self, epoch: int, bar: tqdm) -> EpochRow:
        started = time.perf_counter()
        self._start_epoch(epoch)
        loss, accuracy = self._train(epoch, bar)
        trained = time.perf_counter()
        if not np.isfinite(loss):
            rate = self.settings.learning_rate
            raise UserError(f"the loss became {loss} in epoch {epoch + 1}; try a --learning-rate below {rate:g}")
        self.valid_logits = self.predict(self.dataset.valid)
        valid = measure(self.valid_logits, self.dataset.valid.labels)
        values = {
            "epoch": epoch + 1,
            "learning_rate": max(group["lr"] for group in self.optimizers[0].param_groups),
            "train_loss": loss,
            "train_accuracy": accuracy,
            "seconds": max(0.0, time.perf_counter() - started),
            "pictures_per_second": speed(len(self.learnt), trained - started),
        }
        return EpochRow.of(values | {valid_column(name): value for name, value in valid.items()})

    def _start_epoch(self, epoch: int) -> None:
        """Random streams that depend on seed and epoch alone, so that a resumed run needs none from the past."""
        self.generator = common.generator(self.settings.seed, "epoch", epoch)
        self.numpy_generator = np.random.default_rng(common.derive_seed(self.settings.seed, "mixing", epoch))

    def _train(self, epoch: int, bar: tqdm) -> tuple[float, float]:
        """One pass over the training pictures; returns mean loss and accuracy as they were during the pass."""
        for network in self.trained:
            fine_tuning.train(network)
        totals = torch.zeros(2, device=self.device)
        for first, group in self._groups():
            self._set_learning_rate(epoch, first // self.settings.accumulation_steps)
            passes, said = [], []
            for batch, pictures in group:
                if self.settings.sam:
                    passes.append(sam.Pass.now(batch, pictures, self.generator, self.numpy_generator))
                logits, seen, total = self.backward(batch, pictures)
                said.append((logits, seen))
                totals += total
                bar.update(len(batch))
            if self.settings.sam:
                sam.repeat(self, passes, self.settings.sam_radius)
            for logits, seen in said:  # after SAM has passed them again: what is remembered may decide what is learnt
                self.observe(*(logits, seen) if self.shown is None else imbalance.once(logits, seen))
            self._step()
        for memory in self.memories.values():
            memory.end_epoch(self.distributed)
        loss, accuracy = (self.distributed.total(totals) / len(self.learnt)).tolist()
        return loss, accuracy

    def order(self) -> Tensor | None:
        """Positions of the rows that an epoch shows, int64 (n,), on the CPU; None: each once, shuffled."""
        if self.settings.sampler == "none":
            return None
        return imbalance.order(self.learnt.labels.cpu(), self.settings.sampler, self.generator)

    def _groups(self) -> Iterator[tuple[int, Iterator[tuple[Batch, int]]]]:
        """The batches of an epoch by optimizer step, each with the number of pictures in its step."""
        self.shown, size = self.order(), self.settings.batch_size
        batches = self.learnt.batches(size, self.generator, self.augmentation, self.seen, self.shown)
        steps = self.settings.accumulation_steps
        for first in range(0, len(self.sizes), steps):
            sizes = self.sizes[first : first + steps]
            yield first, ((next(batches), sum(sizes)) for _ in sizes)

    def backward(self, batch: Batch, pictures: int) -> tuple[Tensor, Batch, Tensor]:
        """Add a batch's gradients, as its share of a step of so many pictures.

        Returns logits and batch of this process's share, as `losses` does, and the sums of loss and accuracy over it,
        float (2,), without waiting for the device.
        """
        with self.precision.autocast(), self._drawing():
            losses, logits, seen = self.losses(batch)
        self.precision.scaler.scale(sum(losses) * (max(1, len(seen)) / pictures)).backward()
        right = seen.targets.gather(1, logits.argmax(dim=1, keepdim=True)).sum()
        return logits, seen, torch.stack([losses[0].detach() * len(seen), right])

    def _drawing(self) -> AbstractContextManager[None]:
        """What a network may draw in a pass (dropout and the like) from torch's global random state, begins at a seed
        that is drawn from the epoch's generator: so it is the same after a resume, and in SAM's second pass of a batch.

        Only where a network draws. Each process draws for its own share.
        """
        if not getattr(self.model, "draws", False):
            return nullcontext()
        drawn = int(torch.randint(1 << 48, (), generator=self.generator))
        return seeded(common.derive_seed(drawn, "layers", self.distributed.rank), self.device)

    def add_gradients(self) -> None:
        """Add up the gradients of all processes."""
        for network in self.trained:
            self.distributed.add_gradients(network)

    def _step(self) -> None:
        self.add_gradients()
        fine_tuning.clip(self.trained, self.optimizers, self.precision.scaler, self.settings.clip_norm)
        for each in self.optimizers:
            self.precision.scaler.step(each)
            each.zero_grad()
        self.precision.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.model)

    def _set_learning_rate(self, epoch: int, step: int) -> None:
        at, steps = epoch * self.steps + step, self.settings.epoch * self.steps
        now = schedule_factor(self.settings.schedule, at, steps, self.settings.warm_up)
        optimizer.set_rates(self.optimizers, now)

    def _parts(self) -> dict[str, Stateful]:
        parts: dict[str, Stateful] = {"model": self.model, "scaler": self.precision.scaler, **self.memories}
        parts |= {f"optimizer{number}": each for number, each in enumerate(self.optimizers)}
        return parts if self.average is None else parts | {"average": self.average}

    def _save(self) -> None:
        self.file.save_run(self._parts(), self.selected, self.history, Known.of(self.settings, self.dataset))
        self.history.write()

    def _restore(self) -> None:
        saved = self.distributed.first(lambda: self.file.load(self.device))
        if saved is None:
            return
        parts = {"selected": self.network} | self._parts()  # the network first as it was when selected, then as it is
        self.file.restore_run(saved, parts, self.history, Known.of(self.settings, self.dataset))
        self.selected = saved["selected"]
