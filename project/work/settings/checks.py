"""Settings that contradict each other, refused in words; standard library only."""

import re
from typing import TYPE_CHECKING

from project.work.common import UserError
from project.work.settings.flags import flag
from project.work.settings.methods import APART

if TYPE_CHECKING:
    from project.work.settings.groups import Settings


def refuse(settings: "Settings") -> None:
    """Raises UserError that names the settings which do not go together, and what to do about it."""
    for pair, why in APART.items():
        if all(getattr(settings, name) for name in pair):
            raise UserError(f"{' and '.join(map(flag, pair))}: choose one ({why})")
    if (settings.pixel_mean is None) != (settings.pixel_std is None):
        raise UserError("--pixel-mean and --pixel-std: give both or neither")
    _refuse_half_noise(settings)
    (_refuse_in_audits if settings.stage == "audit" else _refuse_half_audit)(settings)
    _refuse_folds_alone(settings)
    _refuse_cleaning_twice(settings)
    _refuse_processes(settings)


def gpu_numbers(settings: "Settings") -> list[int]:
    """The GPUs asked for: "0,1" -> [0, 1], none when it is left open. Raises UserError."""
    words = [] if settings.gpu is None else [word.strip() for word in settings.gpu.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,4}", word) for word in words) or len(set(words)) < len(words):
        raise UserError(f"--gpu: {settings.gpu!r} is not a number such as 0, or several such as 0,1")
    return [int(word) for word in words]


def _refuse_half_noise(settings: "Settings") -> None:
    kind, needs_file = settings.noise_type, settings.noise_type in ("confusion", "file")
    if needs_file != (settings.noise_file is not None):
        wanted = "give --noise-file" if needs_file else "--noise-file is for confusion and file"
        raise UserError(f"--noise-type {kind}: {wanted}")
    if kind in ("none", "file") and settings.noise_rate > 0:
        raise UserError(f"--noise-rate {settings.noise_rate}: --noise-type {kind} has none; try --noise-type symmetric")
    if kind in ("symmetric", "pairflip") and settings.noise_rate == 0:
        raise UserError(f"--noise-type {kind}: say how much with --noise-rate")


def _refuse_half_audit(settings: "Settings") -> None:
    if settings.audit_file is not None and settings.clean == "none":
        raise UserError("--audit-file: say what to do with what it flags: --clean drop, relabel or reweight")
    if settings.vote:
        raise UserError("--vote is part of an audit; give --stage audit (or ./inv audit)")
    if settings.flag_by != "channel" and (settings.clean == "none" or settings.audit_file is not None):
        raise UserError("--flag-by is for an audit that is made now; give --stage audit (or ./inv audit) or --clean")


def _refuse_folds_alone(settings: "Settings") -> None:
    if settings.stage == "oof" and settings.resume is not None:
        raise UserError("--stage oof --resume: only runs are resumed; the same command goes on by itself")
    reads_folds = settings.distillation or settings.clean != "none" or settings.stage != "train"
    if settings.folds is not None and settings.resume is None and not reads_folds:
        raise UserError(
            f"--folds {settings.folds}: a run without --distillation or --clean has no fold models; for out-of-fold"
            " logits run ./inv oof (or --stage oof)"
        )


def _refuse_in_audits(settings: "Settings") -> None:
    for name in ("distillation", "nts"):
        if getattr(settings, name):
            raise UserError(f"--stage audit {flag(name)}: fold models are taught by no other model; leave one out")
    for name in ("clean", "audit_file"):
        if getattr(settings, name) not in ("none", None):
            raise UserError(f"--stage audit {flag(name)}: an audit finds what cleaning mends; leave one out")
    if settings.resume is not None:
        raise UserError("--stage audit --resume: only runs are resumed; the same audit command goes on by itself")


def _refuse_cleaning_twice(settings: "Settings") -> None:
    if settings.clean == "none":
        return
    if settings.clean == "reweight" and settings.flag_by != "channel":
        raise UserError(f"--clean reweight --flag-by {settings.flag_by}: rows are weighted whether flagged or not;"
                        " leave --flag-by out")  # fmt: skip
    why = f"goes by the noise of validation, which --clean {settings.clean} leaves as it was"
    if settings.label_posterior:
        raise UserError(f"--clean {settings.clean} and --label-posterior: choose one (the second {why})")
    if settings.co_teaching and settings.co_teaching_rate is None:
        raise UserError(f"--clean {settings.clean} --co-teaching: give --co-teaching-rate (by itself it {why})")


def _refuse_processes(settings: "Settings") -> None:
    numbers = gpu_numbers(settings)
    if settings.processes not in (None, 1) and settings.device in ("cuda", "mps"):
        raise UserError("--processes is for the CPU; --gpu 0,1 starts one process for each GPU")
    if numbers and settings.processes not in (None, len(numbers)):
        raise UserError(
            f"--gpu {settings.gpu} --processes {settings.processes}: each GPU has one process; give one of both"
        )
