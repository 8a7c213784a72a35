"""The table of runners: which class serves which setting, and how those that can combine are combined."""

import math
from collections.abc import Mapping

from project.work.runner import sam
from project.work.runner.base_runner import BaseRunner
from project.work.runner.co_teaching_runner import CoTeachingRunner
from project.work.runner.distillation_runner import DEFAULT_FOLDS, DistillationRunner
from project.work.runner.elr_runner import ElrRunner
from project.work.runner.gce_runner import GceRunner
from project.work.runner.label_posterior_runner import LabelPosteriorRunner
from project.work.runner.mixup_runner import ManifoldMixupRunner, MixupRunner
from project.work.runner.nts_runner import NtsRunner
from project.work.runner.sce_runner import SceRunner
from project.work.settings.groups import Settings

RUNNERS: Mapping[str, type[BaseRunner]] = {
    "label_posterior": LabelPosteriorRunner,  # first: targets are corrected before they are mixed
    "co_teaching": CoTeachingRunner,
    "mixup": MixupRunner,
    "manifold_mixup": ManifoldMixupRunner,
    "distillation": DistillationRunner,
    "nts": NtsRunner,
    "elr": ElrRunner,
    "sce": SceRunner,
    "gce": GceRunner,
}


def runner_class(settings: Settings) -> type[BaseRunner]:
    """The runner of the methods asked for: one that mixes and one that adds a loss become one class with both."""
    methods = [RUNNERS[name] for name in _asked(settings)]
    if len(methods) < 2:
        return methods[0] if methods else BaseRunner
    return type("".join(method.__name__.removesuffix("Runner") for method in methods) + "Runner", tuple(methods), {})


def method_name(settings: Settings) -> str:
    """What a run is called in tables and folder names: base, mixup, mixup-distillation, elr-sam ..."""
    names = _asked(settings) + ["sam"] * settings.sam
    return "-".join(names).replace("_", "-") or "base"


def cost(settings: Settings) -> float:
    """CPU time of a run as a multiple of a plain run's of equal epochs, as its methods declare it.

    Methods multiply; fold models, which learn from (folds - 1) / folds of the rows each, come on top: plain ones for
    distillation, and for the audit that --clean makes those of the run's methods, but for NTS.
    """
    own = math.prod(RUNNERS[name].cost for name in _asked(settings)) * (sam.COST if settings.sam else 1.0)
    of_audit = own / (RUNNERS["nts"].cost if settings.nts else 1.0)
    folds = (settings.folds or DEFAULT_FOLDS) - 1
    makes_logits = settings.distillation and settings.oof_logits is None
    makes_audit = settings.clean != "none" and settings.audit_file is None and settings.oof_logits is None
    return own + (folds if makes_logits else 0) + (folds * of_audit if makes_audit else 0)


def _asked(settings: Settings) -> list[str]:
    return [name for name in RUNNERS if getattr(settings, name)]
