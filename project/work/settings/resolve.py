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
from project.work.common import UserError, flag
from project.work.settings.flags import build, given, nearest, renamed
from project.work.settings.groups import (
    FEATURE_MODEL,
    NAMESAKES,
    OPTIMIZER_DEFAULTS,
    OWN_MODELS,
    RECIPES,
    AuditSettings,
    DiagnosisSettings,
    FineTuningSettings,
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
    said: set[str] = set()  # by a person or a recipe
    for layer in layers:
        brought = _recipe(layer)
        said = {*(said - brought.keys()), *_brought(layer), *layer}
        values |= brought | dict(layer)
    settings = build(Settings, values)
    usual = OPTIMIZER_DEFAULTS.get(settings.optimizer, {})
    settings = dataclasses.replace(settings, **{name: usual[name] for name in usual.keys() - said})
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
    """Whether the settings ask for a run, not for an audit, out-of-fold logits or a check (--overfit)."""
    return settings.stage == "train" and settings.overfit is None


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
    groups = (TrainingSettings, FineTuningSettings)
    names = {field.name for group in groups for field in dataclasses.fields(group)}.union(*RECIPES.values()) - {"seed"}
    declared = {field.name: field.default for field in dataclasses.fields(Settings) if field.name in names}
    return declared | _brought(layer)


def _brought(layer: Mapping[str, Any]) -> dict[str, Any]:
    """What the recipe of a layer sets itself."""
    return recipe_values(build(TrainingSettings, {"recipe": layer["recipe"]}).recipe) if "recipe" in layer else {}


def recipe_values(recipe: str) -> dict[str, Any]:
    """What a recipe sets, or several, as in finetune,robust. Raises UserError for a word that is none, and where two of
    them set one setting to different values."""
    values: dict[str, Any] = {}
    setter: dict[str, str] = {}
    for word in (each.strip() for each in recipe.split(",")):
        if word not in RECIPES:
            hint = nearest(word, RECIPES)
            raise UserError(f"--recipe: {word or repr(recipe)} is not one of {', '.join(RECIPES)}{hint}")
        for name, value in RECIPES[word].items():
            if values.setdefault(name, value) != value:
                raise UserError(f"--recipe {recipe}: {setter[name]} sets {flag(name)} {values[name]} and {word}"
                                f" {value}; leave one out")  # fmt: skip
            setter.setdefault(name, word)
    return values


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
    groups = (AuditSettings, DiagnosisSettings, PredictSettings, UnknownSettings, RunSettings)
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
    _refuse_fine_tuning(settings)
    (_refuse_in_audits if settings.stage == "audit" else _refuse_half_audit)(settings)
    (_refuse_with_features if by_features(settings) else _refuse_without_features)(settings)
    _refuse_folds_alone(settings)
    _refuse_cleaning_twice(settings)
    _refuse_processes(settings)
    _refuse_augmentation(settings)
    _refuse_imbalance(settings)
    _refuse_extra(settings)
    _refuse_overfit(settings)


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


def layer_factors(settings: Settings) -> tuple[float, float, float]:
    """The factors of the learning rates of stem, body and head: "0.01,0.1,1" -> (.01, .1, 1); ones when not given.

    Raises UserError.
    """
    if settings.layer_factors is None:
        return 1.0, 1.0, 1.0
    words = settings.layer_factors.split(",")
    try:
        stem, body, head = map(float, words)
    except ValueError:
        raise UserError(f"--layer-factors: {settings.layer_factors} is not three numbers such as 0.01,0.1,1") from None
    if not all(0 < each < float("inf") for each in (stem, body, head)):
        raise UserError(f"--layer-factors {settings.layer_factors}: each is a number above 0; for stages that do not"
                        " learn give --freeze")  # fmt: skip
    return stem, body, head


def _refuse_fine_tuning(settings: Settings) -> None:
    layer_factors(settings)
    if settings.layer_factors is not None and settings.layer_decay is not None:
        raise UserError("--layer-factors and --layer-decay: choose one (both say how fast each layer learns)")
    if settings.warm_up > 0 and settings.schedule == "onecycle":
        raise UserError(f"--warm-up {settings.warm_up:g}: onecycle rises by itself; give --schedule cosine")
    if not re.fullmatch(r"-?[1-9][0-9]{0,3}|[A-Za-z_]\w*", settings.freeze, re.ASCII):
        raise UserError(f"--freeze: {settings.freeze!r} is neither a count of stages nor the name of one (layer2)")
    if settings.freeze == "head":
        raise UserError("--freeze head: then nothing learns; name a stage before it")
    if settings.head_first and not by_features(settings) and not starts_pretrained(settings):
        raise UserError("--head-first: the head is fitted to features of a pretrained network; give --pretrained or"
                        " --weights FILE, or --no-head-first")  # fmt: skip


def _refuse_half_audit(settings: Settings) -> None:
    if settings.audit_file is not None and settings.clean == "none" and not settings.hard:
        raise UserError("--audit-file: say what to do with what it flags: --clean drop, relabel or reweight, or --hard")
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
    if settings.hard:
        raise UserError("--stage audit --hard: --hard goes by an audit, which comes first; leave one out")
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


def _refuse_augmentation(settings: Settings) -> None:
    if not settings.flip and (settings.augment == "flip" or ":" in settings.augment):
        what = "mirrors as it is written" if ":" in settings.augment else "does nothing but mirror; --augment none"
        raise UserError(f"--augment {settings.augment} --no-flip: it {what}; leave one out")


def _refuse_imbalance(settings: Settings) -> None:
    asked = [name for name in ("sampler", "class_weight") if getattr(settings, name) != "none"]
    asked += ["logit_adjustment"] * settings.logit_adjustment
    if len(asked) > 1:
        raise UserError(f"{' and '.join(map(flag, asked))}: choose one (each makes up for the counts of the classes)")
    if settings.class_weight_beta != Settings.class_weight_beta and settings.class_weight != "effective":
        raise UserError("--class-weight-beta is for --class-weight effective")
    if settings.sampler != "none" and settings.hard:
        raise UserError("--sampler and --hard: choose one (each says how often a row is shown)")
    again = [flag("sampler")] * (settings.sampler != "none") + [flag("hard")] * (settings.hard > 0)
    if again and settings.elr:
        raise UserError(f"{again[0]} and --elr: choose one (ELR averages one prediction of each row an epoch)")
    if settings.stage == "features" and again:
        raise UserError(f"{again[0]}: a head draws no rows; --class-weight is for it")
    if settings.stage == "features" and settings.head != "linear" and (asked or settings.focal):
        raise UserError(f"{flag(asked[0] if asked else 'focal')} is for a network, or for --head linear")
    if settings.stage == "features" and settings.focal:
        raise UserError("--focal: a head on features is logistic regression; leave it out")


def _refuse_extra(settings: Settings) -> None:
    if settings.extra_train is None:
        return
    if settings.distillation or settings.nts:
        name = "distillation" if settings.distillation else "nts"
        raise UserError(f"--extra-train and {flag(name)}: choose one (the teacher's logits are those of --dataset)")
    if by_features(settings):
        raise UserError("--extra-train: features are those of --dataset alone; leave it out")


def _refuse_overfit(settings: Settings) -> None:
    if settings.overfit is None:
        return
    if settings.stage != "train" or settings.resume is not None:
        raise UserError("--overfit is a check of its own, for new training; leave --stage and --resume out")
    if settings.profile is not None or settings.gradients:
        raise UserError("--overfit: --profile and --gradients look into a run, which it is not; leave them out")
