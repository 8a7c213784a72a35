"""The table of runners: which class serves which setting, and how those that can combine are combined."""

from collections.abc import Mapping

from project.work.common import Settings
from project.work.runner.base_runner import BaseRunner
from project.work.runner.distillation_runner import DistillationRunner
from project.work.runner.elr_runner import ElrRunner
from project.work.runner.gce_runner import GceRunner
from project.work.runner.loss_mixture_runner import LossMixtureRunner
from project.work.runner.mixup_runner import ManifoldMixupRunner, MixupRunner
from project.work.runner.sce_runner import SceRunner

RUNNERS: Mapping[str, type[BaseRunner]] = {
    "loss_mixture": LossMixtureRunner,  # first: targets are corrected before they are mixed
    "mixup": MixupRunner,
    "manifold_mixup": ManifoldMixupRunner,
    "distillation": DistillationRunner,
    "elr": ElrRunner,
    "sce": SceRunner,
    "gce": GceRunner,
}


def runner_class(settings: Settings) -> type[BaseRunner]:
    """The runner of the methods asked for: one that mixes and one that adds a loss become one class with both."""
    methods = [runner for name, runner in RUNNERS.items() if getattr(settings, name)]
    if len(methods) < 2:
        return methods[0] if methods else BaseRunner
    return type("".join(method.__name__.removesuffix("Runner") for method in methods) + "Runner", tuple(methods), {})


def method_name(settings: Settings) -> str:
    """What a run is called in tables and folder names: base, mixup, mixup-distillation ..."""
    return "-".join(name for name in RUNNERS if getattr(settings, name)).replace("_", "-") or "base"
