"""A network of timm cut into named stages: stem, layer1, layer2 ..., head.

timm's families have no common layout, so the cut is seen from what flows through a network. timm itself says which
parameters are of the stem and which of a block (`group_matcher`). From the first block on, modules that each take what
the one before gave are the body; what comes before them is the stem, and timm's `forward_head` is the head. Stem and
head are the network itself without the modules of the other stages, so that timm's own code computes them.

Of a network whose blocks are no such row (a block takes more than one value, or something is computed between two
blocks) the whole body is one stage. In both cases the stages compute what the network does, to the bit, in training and
in evaluation: that is tried with random weights before a network is used.
"""

import copy
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn

MOST_STAGES = 7  # of a body, as EfficientNets have; of more blocks than that, neighbours share a stage
SHARED_STAGES = 4  # then there are so many
_CONTAINERS = (nn.Sequential, nn.ModuleList)
_FADED = 1e-4  # weights below it hide what lies behind them: a block that is scaled by 0


class Staged(nn.Sequential):
    """A network of named stages, and what is known of it.

    groups: the names of its parameters in groups from input to output (stem, each block, head); draws: whether a
    training pass draws from the global random state (dropout and the like), which then has to be seeded.
    """

    groups: Sequence[Sequence[str]] = ()
    draws: bool = False


@dataclass(frozen=True)
class Cut:
    """Where a network is cut. body: the paths of the modules of each stage, in the order in which they are called, or
    None where the body is one stage; head: those that timm's forward_head calls, or None where there is no such head;
    draws: see `Staged`."""

    body: tuple[tuple[str, ...], ...] | None
    head: frozenset[str] | None
    draws: bool = False


WHOLE = Cut(None, None)  # a network that cannot be cut is one stage


@torch.no_grad()
def cuts(network: Any, images: Tensor) -> list[Cut]:
    """The cuts to try, the finest first. images: float (B, C, H, W), which are passed through it once."""
    if not hasattr(network, "forward_features") or not hasattr(network, "forward_head"):
        return [WHOLE]
    units = _units(network)
    with _watched(network, units) as calls:
        features = network.eval().forward_features(images)
        row, many = _row(calls, features), len(calls)
        network.forward_head(features)
    in_head = frozenset(path for path, _, _ in calls[many:]) - {path for path, _, _ in calls[:many]}
    groups, found = [units[path] for path in row], [Cut(None, in_head), WHOLE]
    if 1 in groups:  # the row goes back to the first block
        first, last = groups.index(1), max(group for group in units.values() if group is not None)
        known = [None if group == last else group for group in groups[first:]]
        found.insert(0, Cut(_in_stages(row[first:], known), in_head))
    return found


def _units(network: Any) -> dict[str, int | None]:
    """The largest modules whose parameters are of one of timm's groups, by path; None for those without parameters.

    Group 0 is the stem, those of the blocks follow, the last is the head.
    """
    group = dict.fromkeys((name for name, _ in network.named_parameters()), 0)
    if hasattr(network, "group_matcher"):
        group = _group_parameters(network, network.group_matcher(coarse=True), reverse=True)
    found: dict[str, int | None] = {}

    def look(module: nn.Module, path: str) -> None:
        for name, child in module.named_children():
            place = f"{path}{name}"
            numbers = {group[f"{place}.{each}"] for each, _ in child.named_parameters()}
            if len(numbers) > 1 and isinstance(child, _CONTAINERS):
                look(child, f"{place}.")
            else:
                found[place] = min(numbers, default=None)

    look(network, "")
    return found


def _group_parameters(*arguments: Any, **options: Any) -> Any:
    from timm.models import group_parameters

    return group_parameters(*arguments, **options)


@contextmanager
def _watched(network: nn.Module, paths: Iterable[str]) -> Iterator[list[tuple[str, Any, Any]]]:
    """The calls of some modules while the context is open: path, the one value that it took or None, what it gave."""
    calls: list[tuple[str, Any, Any]] = []
    hooks = []
    for path in paths:

        def note(module: nn.Module, given: Any, options: Any, output: Any, path: str = path) -> None:
            alone = len(given) == 1 and all(value is None for value in options.values())
            calls.append((path, given[0] if alone else None, output))

        hooks.append(network.get_submodule(path).register_forward_hook(note, with_kwargs=True))
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _row(calls: Sequence[tuple[str, Any, Any]], wanted: Any) -> list[str]:
    """The modules that end in a value, each called once with what the one before gave, and nothing else."""
    names, row = [path for path, _, _ in calls], list[str]()
    for path, given, output in reversed(calls):
        if output is not wanted or names.count(path) > 1:
            break
        row.insert(0, path)
        wanted = given
    return row


def _in_stages(row: Sequence[str], groups: Sequence[int | None]) -> tuple[tuple[str, ...], ...]:
    """The units of a body in stages: by timm's groups, or by neighbouring ones where these are many.

    A unit without a group (it has no parameters, or timm groups it with the head) is of the stage before it.
    """
    stages: dict[int, list[str]] = {}
    now = 1
    for path, group in zip(row, groups, strict=True):
        now = now if group is None else group
        stages.setdefault(now, []).append(path)
    found = list(stages.values())
    if len(found) > MOST_STAGES:
        size, more = divmod(len(found), SHARED_STAGES)
        sizes = [size + (place < more) for place in range(SHARED_STAGES)]
        waiting = iter(found)
        found = [list(chain.from_iterable(islice(waiting, size))) for size in sizes]
    return tuple(map(tuple, found))


def cut(network: Any, where: Cut) -> Staged:
    """A network in stages, which hold its own modules."""
    stages = OrderedDict[str, nn.Module](stem=nn.Identity(), layer1=network, head=nn.Identity())
    if where.head is not None:
        body = {path for stage in where.body or () for path in stage}
        before = _Part(network, body | where.head, "forward_features")
        stages["stem" if body else "layer1"] = before
        for number, paths in enumerate(where.body or (), start=1):
            stages[f"layer{number}"] = _joined(network, paths)
        stages["head"] = _Part(network, _units(network).keys() - where.head, "forward_head", direct=False)
        stages.move_to_end("head")
    made = Staged(stages)
    made.groups, made.draws = _groups(network, made), where.draws
    return made


class _Part(nn.Module):
    """A network without some of its modules, of which one method is called."""

    def __init__(self, network: Any, gone: Set[str], method: str, direct: bool = True) -> None:
        """direct: whether it keeps the parameters that are of no module, such as the embedding of positions."""
        super().__init__()
        self.method, self.part = method, _without(network, gone)
        if not direct:
            self.part.__dict__.update(_parameters={}, _buffers={})

    def forward(self, values: Tensor) -> Tensor:
        return getattr(self.part, self.method)(values)


def _without(module: nn.Module, gone: Set[str]) -> nn.Module:
    """A copy without the modules at some paths, which shares the others: the identity stands for a module that is gone,
    and nothing for one of a row."""
    made = copy.copy(module)
    kept: dict[str, nn.Module | None] = {}
    for name, child in module._modules.items():
        deeper = {path.removeprefix(f"{name}.") for path in gone if path.startswith(f"{name}.")}
        if name not in gone:
            kept[name] = _without(child, deeper) if deeper and child is not None else child
        elif not isinstance(module, _CONTAINERS):
            kept[name] = nn.Identity()
    made.__dict__["_modules"] = kept
    return made


def _joined(network: nn.Module, paths: Sequence[str]) -> nn.Module:
    """The stage of some modules: one alone is the stage itself."""
    if len(paths) == 1:
        return network.get_submodule(paths[0])
    return nn.Sequential(OrderedDict((path.replace(".", "_"), network.get_submodule(path)) for path in paths))


def _groups(network: Any, made: nn.Module) -> list[list[str]]:
    """timm's fine groups of parameters, from input to output, by the names that they have in stages."""
    if not hasattr(network, "group_matcher"):
        return [[f"{name}.{each}" for each, _ in stage.named_parameters()] for name, stage in made.named_children()]
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    groups = _group_parameters(network, network.group_matcher(coarse=False), return_values=True)
    found = [[names[id(each)] for each in groups[number] if id(each) in names] for number in sorted(groups)]
    return [names for names in found if names]


def tried(network: Any, images: Tensor) -> Cut | None:
    """The finest cut of a network whose stages give what it gives, None where none do. Weights are changed, and the
    global random state. images: float (B, C, H, W), to try it with."""
    _show(network, torch.Generator().manual_seed(0))
    found = [WHOLE]
    with suppress(Exception):  # networks that cannot be cut fail in ways of their own
        found = cuts(network, images)
    for where in found:
        with suppress(Exception):
            made = cut(network, where)
            if alike(network, made, images):
                return replace(where, draws=draws(network, images))
    return None


@torch.no_grad()
def _show(network: nn.Module, random: torch.Generator) -> None:
    """Replace weights that are so small that they hide what they are multiplied with."""
    for parameter in network.parameters():
        if parameter.numel() and parameter.abs().max() < _FADED:
            parameter.normal_(0, 0.1, generator=random)


@torch.no_grad()
def alike(network: nn.Module, made: nn.Sequential, images: Tensor) -> bool:
    """Whether stages give the network's logits to the bit, in evaluation and, from the same seed, in training."""
    for training in (False, True):
        torch.manual_seed(1)
        wanted = network.train(training)(images)
        torch.manual_seed(1)
        values: Any = images
        for stage in made.train(training):
            values = stage(values)
            if not isinstance(values, Tensor):
                return False
        if not isinstance(wanted, Tensor) or not torch.equal(values, wanted):
            return False
    return {id(each) for each in made.parameters()} == {id(each) for each in network.parameters()}


@torch.no_grad()
def draws(network: nn.Module, images: Tensor) -> bool:
    """Whether a training pass draws from the global random state."""
    before = torch.get_rng_state()
    network.train()(images)
    return not torch.equal(torch.get_rng_state(), before)
