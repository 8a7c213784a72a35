"""Co-teaching: two networks, each of which learns from the pictures that the other finds easy."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from project.work.dataset.base_dataset import Batch
from project.work.runner import optimizer
from project.work.runner.base_runner import BaseRunner, Stateful


def kept_share(rate: float, epoch: int, epochs: int) -> float:
    """1 - rate x min(1, epoch / epochs): the share of a batch that is learnt from (Han et al., 2018, algorithm 1).

    epoch: how many are done, so that the first, before the networks know anything, keeps all.
    """
    return 1 - rate * min(1.0, epoch / epochs)


def kept(share: float, count: int) -> int:
    """How many of so many pictures that is: one at least."""
    return max(1, round(share * count))


def small_losses(losses: Tensor, count: int) -> Tensor:
    """Where the `count` smallest of losses, float (B,), are: int64 (count,), ascending.

    Networks learn what is common before what is wrong, so a small loss speaks for the label.
    """
    return losses.topk(count, largest=False, sorted=False).indices.sort().values


class CoTeachingRunner(BaseRunner):
    """Each network learns from the pictures of a batch whose cross entropy is small for the other (Han et al., 2018).

    Which are small is decided over the whole batch, also where several processes share it. The first network is the
    one evaluated, averaged (EMA) and observed, so that a run is one network as any other's is, at the same cost to
    use: the mean of both would gain what any two networks gain.
    """

    cost = 2.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.peer = self.make_network("weights of the peer")
        self.trained.append(self.peer)
        self.optimizers += optimizer.make(self.settings, self.peer)

    def losses(self, batch: Batch) -> tuple[list[Tensor], Tensor, Batch]:
        seen = self.mine(batch, batch.images)
        count = kept(self.share, len(batch))
        logits = [network(batch.images).float() for network in self.trained]
        first, second = (self._choose(each.detach(), seen, len(batch), count) for each in logits)
        crossed = zip(logits, (second, first), strict=True)
        losses = [self._taught(each, seen, chosen, len(batch) / count) for each, chosen in crossed]
        return losses, logits[0].detach(), seen

    def _choose(self, logits: Tensor, seen: Batch, pictures: int, count: int) -> Tensor:
        """Which pictures of this process's share are among the `count` of the batch with the smallest loss."""
        mine = functional.cross_entropy(logits, seen.targets, reduction="none")
        chosen = small_losses(self.distributed.whole(mine, pictures), count)
        if self.distributed.size == 1:
            return chosen
        share = self.distributed.share(pictures)  # how many are here is not known without waiting for the device
        return chosen[(chosen >= share.start) & (chosen < share.stop)] - share.start

    def _taught(self, logits: Tensor, seen: Batch, chosen: Tensor, weight: float) -> Tensor:
        """The loss over the chosen pictures, as a mean over the share. weight: pictures of the batch for each kept."""
        loss = self.mean_loss(logits[chosen], seen.part(chosen, seen.images[chosen]))
        return loss * (weight * len(chosen) / max(1, len(seen)))

    def _start_epoch(self, epoch: int) -> None:
        super()._start_epoch(epoch)
        rate = self.settings.co_teaching_rate
        if rate is None:
            rate = self.estimated_noise() if epoch > 0 else 0.0
        self.share = kept_share(rate, epoch, self.settings.co_teaching_epochs)

    def _parts(self) -> dict[str, Stateful]:
        return super()._parts() | {"peer": self.peer}
