"""Combines settings from layers (defaults, recipe, settings.yaml, command line) and refuses contradictions.

Imports only the standard library, so that a command line answers at once.
"""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from project.work import common
from project.work.common import UserError
from project.work.settings.flags import build, flag, given, renamed
from project.work.settings.groups import (
    FEATURE_MODEL,
    NAMESAKES,
    OWN_MODELS,
    RECIPES,
    AuditSettings,
    PredictSettings,
    RunSettings,
    Settings,
    TrainingSettings,
    UnknownSettings,
)
from project.work.settings.methods import APART, MethodSettings, serves


def parse(argv: Sequence[str] | None = None) -> Settings:
    """Read settings: the command line over settings.yaml over the recipe over the declared defaults."""
    return combine(read_yaml(common.DEFAULTS_FILE), typed(argv))


def typed(argv: Sequence[str] | None = None) -> dict[str, str | bool]:
    """The settings given on the command line, still as text."""
    purpose = "Train one run and report its top-1 accuracy; --stage: audit the labels, or make out-of-fold logits."
    return given(Settings, argv, purpose)


def combine(*layers: Mapping[str, Any]) -> Settings:
    """Settings from layers; later ones override earlier ones. A layer's recipe comes before the rest of that layer."""
    values: dict[str, Any] = {}
    for layer in layers:
        values |= _recipe(layer) | dict(layer)
    settings = build(Settings, values)
    unnamed = OWN_MODELS if by_features(settings) else without_weights() if starts_pretrained(settings) else ()
    if settings.model in unnamed and "model" not in layers[-1]:
        settings = dataclasses.replace(settings, model=FEATURE_MODEL)
    if settings.stage == "audit" and not any({"recipe", *RECIPES["robust"]} & set(layer) for layer in layers):
        settings = robust(settings)
    refuse(settings)
    return settings


def robust(settings: Settings) -> Settings:
    """The same with the robust recipe if no method is chosen: the settings of an audit's fold models."""
    if any(getattr(settings, name) for name in method_switches()):
        return settings
    return dataclasses.replace(settings, recipe="robust", **RECIPES["robust"])


def is_run(settings: Settings) -> bool:
    """Whether the settings ask for a run, not for an audit or out-of-fold logits."""
    return settings.stage == "train"


def by_features(settings: Settings) -> bool:
    """Whether a pretrained network turns the pictures into features: for themselves, or for an audit."""
    return settings.stage == "features" or settings.features


def starts_pretrained(settings: Settings) -> bool:
    """Whether a network is trained from pretrained weights."""
    return bool(settings.pretrained) or settings.weights is not None


def network(settings: Settings) -> str:
    """The name of the network that is trained, as `model.make` and the file of a classifier know it.

    resnet18 is that of this repository, and with pretrained weights timm's, timm/resnet18.
    """
    timms = settings.model in NAMESAKES and starts_pretrained(settings)
    return f"timm/{settings.model}" if timms else settings.model


def is_own_code(name: str) -> bool:
    """Whether the name of a network is a person's function, package.module:function."""
    return ":" in name


def without_weights() -> tuple[str, ...]:
    """The networks that nobody has pretrained weights of."""
    return tuple(name for name in OWN_MODELS if name not in NAMESAKES)


def _recipe(layer: Mapping[str, Any]) -> dict[str, Any]:
    """All values of the recipe named in a layer; they override all lower layers."""
    if "recipe" not in layer:
        return {}
    name = build(TrainingSettings, {"recipe": layer["recipe"]}).recipe
    names = {field.name for field in dataclasses.fields(TrainingSettings)}.union(*RECIPES.values()) - {"seed"}
    declared = {field.name: field.default for field in dataclasses.fields(Settings) if field.name in names}
    return declared | dict(RECIPES[name])


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping of settings from a YAML file; empty when the file is absent or all comments."""
    from project.work.files import disk

    if not os.path.lexists(path):
        return {}
    values = disk.read_yaml(path) or {}
    if not isinstance(values, dict):
        raise UserError(f"{path}: needs lines such as batch_size: 256")
    try:
        values = renamed(Settings, {str(name).replace("-", "_"): value for name, value in values.items()})
        build(Settings, values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return values


def experiment_settings() -> list[str]:
    """Names of the settings that change a result: all but `place_settings`."""
    elsewhere = place_settings()
    return [field.name for field in dataclasses.fields(Settings) if field.name not in elsewhere]


def chosen(settings: Settings) -> dict[str, Any]:
    """The settings that change a result and differ from their defaults; so a setting added later is not among them."""
    declared = {field.name: field.default for field in dataclasses.fields(Settings)}
    values = {name: getattr(settings, name) for name in experiment_settings()}
    return {name: value for name, value in values.items() if value != declared[name]}


def place_settings() -> list[str]:
    """Names of the settings that do not change a run's result: folder, report, machine, audits and predictions."""
    groups = (AuditSettings, PredictSettings, UnknownSettings, RunSettings)
    return [field.name for group in groups for field in dataclasses.fields(group)]


def method_defaults() -> dict[str, Any]:
    """The defaults of all methods' settings: plain training."""
    return {field.name: field.default for field in dataclasses.fields(MethodSettings)}


def idle(settings: Settings) -> list[str]:
    """Names of settings that differ from their defaults but belong to methods that are off, so they have no effect."""
    switches, defaults = method_switches(), method_defaults()
    read = ["oof_logits"] if settings.stage == "audit" or settings.clean != "none" else []
    given = [name for name in defaults if getattr(settings, name) != defaults[name] and name not in read]
    methods = {name: serves(name, switches) for name in given}
    return [name for name, mine in methods.items() if mine and not any(getattr(settings, each) for each in mine)]


def method_switches() -> list[str]:
    """Names of the settings that switch a method on: those that change a result and are off by default."""
    names = set(experiment_settings())
    return [field.name for field in dataclasses.fields(Settings) if field.name in names and field.default is False]


def differences(old: Settings, new: Settings) -> list[str]:
    """The settings that change a result and differ between two runs, as "name old -> new"."""
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in experiment_settings())
    return [f"{name} {before} -> {after}" for name, before, after in pairs if before != after]


def changed_by(flags: Mapping[str, Any], old: Settings) -> list[str]:
    """What flags would change in a run, as `differences`; naming its own recipe again changes nothing."""
    if flags.get("recipe") == old.recipe:
        flags = {name: value for name, value in flags.items() if name != "recipe"}
    return differences(old, build(Settings, dataclasses.asdict(old) | _recipe(flags) | dict(flags)))


def refuse(settings: Settings) -> None:
    """Raises UserError for settings that contradict each other, with what to do."""
    if settings.stage == "predict":
        _refuse_half_prediction(settings)
        return
    for pair, why in APART.items():
        if all(getattr(settings, name) for name in pair):
            raise UserError(f"{' and '.join(map(flag, pair))}: choose one ({why})")
    if (settings.pixel_mean is None) != (settings.pixel_std is None):
        raise UserError("--pixel-mean and --pixel-std: give both or neither")
    _refuse_half_noise(settings)
    (_refuse_in_audits if settings.stage == "audit" else _refuse_half_audit)(settings)
    (_refuse_with_features if by_features(settings) else _refuse_without_features)(settings)
    _refuse_folds_alone(settings)
    _refuse_cleaning_twice(settings)
    _refuse_processes(settings)


def gpu_numbers(settings: Settings) -> list[int]:
    """The GPUs asked for: "0,1" -> [0, 1], none when not given. Raises UserError."""
    words = [] if settings.gpu is None else [word.strip() for word in settings.gpu.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,4}", word) for word in words) or len(set(words)) < len(words):
        raise UserError(f"--gpu: {settings.gpu!r} is not a number such as 0, or several such as 0,1")
    return [int(word) for word in words]


def _refuse_half_prediction(settings: Settings) -> None:
    if settings.input_image is None and settings.unknown is None:
        raise UserError("--stage predict: say with --input-image what: a picture, a folder, a list, a file of drawings")
    if settings.unknown is None:
        for name in ("outsiders", "unknown_threshold"):
            if getattr(settings, name) is not None:
                raise UserError(f"{flag(name)}: say with --unknown what is answered to pictures of no class: isnull")
    elif not settings.unknown.strip():
        raise UserError("--unknown is empty: say what is answered to pictures of no class, such as isnull")
    if settings.unknown_threshold is not None and settings.outsiders is not None:
        raise UserError("--unknown-threshold and --outsiders: choose one (outsiders are what a threshold is chosen by)")
    if settings.submission is not None and settings.format is not None:
        raise UserError("--submission and --format: choose one (a submission is a CSV of its own form)")


def _refuse_half_noise(settings: Settings) -> None:
    kind, needs_file = settings.noise_type, settings.noise_type in ("confusion", "file")
    if needs_file != (settings.noise_file is not None):
        wanted = "give --noise-file" if needs_file else "--noise-file is for confusion and file"
        raise UserError(f"--noise-type {kind}: {wanted}")
    if kind in ("none", "file") and settings.noise_rate > 0:
        raise UserError(f"--noise-rate {settings.noise_rate}: --noise-type {kind} has none; try --noise-type symmetric")
    if kind in ("symmetric", "pairflip") and settings.noise_rate == 0:
        raise UserError(f"--noise-type {kind}: say how much with --noise-rate")


def _refuse_half_audit(settings: Settings) -> None:
    if settings.audit_file is not None and settings.clean == "none":
        raise UserError("--audit-file: say what to do with what it flags: --clean drop, relabel or reweight")
    if settings.vote:
        raise UserError("--vote is part of an audit; give --stage audit (or ./inv audit)")
    if settings.flag_by != "channel" and (settings.clean == "none" or settings.audit_file is not None):
        raise UserError("--flag-by is for an audit that is made now; give --stage audit (or ./inv audit) or --clean")


def _refuse_with_features(settings: Settings) -> None:
    where = "./inv features" if settings.stage == "features" else "./inv audit --features"
    if settings.stage not in ("features", "audit"):
        raise UserError("--features is part of an audit; give --stage audit (or ./inv audit)")
    if settings.model in without_weights() or is_own_code(settings.model):
        raise UserError(f"--model {settings.model}: {where} takes a pretrained network of timm: {FEATURE_MODEL}")
    if settings.pretrained is False and settings.weights is None:
        raise UserError(f"--no-pretrained: {where} needs trained weights; leave it out, or give --weights FILE")
    if settings.head != "none" and settings.stage != "features":
        raise UserError(f"--head {settings.head} is for ./inv features; an audit takes logistic regression by itself")
    if settings.resume is not None or settings.clean != "none":
        raise UserError(f"{where}: takes neither --resume nor --clean; leave them out")
    if settings.vote or settings.oof_logits is not None:
        raise UserError(f"{where}: takes neither --vote nor --oof-logits, which are of fold models; leave them out")
    if settings.nodes is not None or settings.processes not in (None, 1) or len(gpu_numbers(settings)) > 1:
        raise UserError(f"{where}: one process makes features; leave --processes, --nodes and a second --gpu out")


def _refuse_without_features(settings: Settings) -> None:
    if starts_pretrained(settings) and settings.model in without_weights():
        raise UserError(f"--model {settings.model}: there are no pretrained weights of it; give one of timm, such as"
                        f" {FEATURE_MODEL}, or leave --pretrained and --weights out")  # fmt: skip
    if settings.pretrained and settings.weights is None and is_own_code(settings.model):
        raise UserError(f"--model {settings.model} --pretrained: say where the weights of your own network are with"
                        " --weights FILE")  # fmt: skip
    if settings.head != "none":
        raise UserError(f"--head {settings.head} is for ./inv features")


def _refuse_folds_alone(settings: Settings) -> None:
    if settings.stage == "oof" and settings.resume is not None:
        raise UserError("--stage oof --resume: only runs are resumed; the same command goes on by itself")
    reads_folds = settings.distillation or settings.clean != "none" or settings.stage != "train"
    if settings.folds is not None and settings.resume is None and not reads_folds:
        raise UserError(
            f"--folds {settings.folds}: a run without --distillation or --clean has no fold models; for out-of-fold"
            " logits run ./inv oof (or --stage oof)"
        )


def _refuse_in_audits(settings: Settings) -> None:
    for name in ("distillation", "nts"):
        if getattr(settings, name):
            raise UserError(f"--stage audit {flag(name)}: fold models have no teacher; leave one out")
    for name in ("clean", "audit_file"):
        if getattr(settings, name) not in ("none", None):
            raise UserError(f"--stage audit {flag(name)}: an audit comes before any cleaning; leave one out")
    if settings.resume is not None:
        raise UserError("--stage audit --resume: only runs are resumed; the same audit command goes on by itself")


def _refuse_cleaning_twice(settings: Settings) -> None:
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


def _refuse_processes(settings: Settings) -> None:
    numbers = gpu_numbers(settings)
    if settings.processes not in (None, 1) and settings.device in ("cuda", "mps"):
        raise UserError("--processes is for the CPU; --gpu 0,1 starts one process for each GPU")
    if numbers and settings.processes not in (None, len(numbers)):
        raise UserError(
            f"--gpu {settings.gpu} --processes {settings.processes}: each GPU has one process; give one of both"
        )
