"""Every setting of a run, declared once, and what all entry points share: recipes, seeds, device, run folder.

Standard library only at import, so that a command line answers at once.
"""

import dataclasses
import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project.work import contradictions
from project.work.contradictions import gpu_numbers
from project.work.declaration import UserError, build, given, setting
from project.work.method_settings import MethodSettings, serves

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm

CODE = Path(__file__).resolve().parents[2]  # what this code was loaded from


def repository(code: Path) -> Path:
    """Where data and results are: the repository that the code stands in or, for an installed package, here."""
    installed = any(code.glob("noisy_label_experiments-*.dist-info"))
    return Path(os.path.abspath(os.curdir)) if installed else code


ROOT = repository(CODE)
INPUT = ROOT / "project" / "input"
OUTPUT = ROOT / "project" / "output"
DEFAULTS_FILE = ROOT / "project" / "work" / "settings.yaml"
RUN_LOCK = ".lock"  # in a run folder, held by the process that is at it


@dataclass(frozen=True)
class DataSettings:
    """What is learnt from."""

    dataset: str = setting("quickdraw", "name of a prepared data set, a folder of project/input (or a path)")
    image_size: int | None = setting(None, "side in pixels to train at; as prepared when not given", within="[8, 1024]")
    valid_rate: float = setting(0.1, "share of the training pictures held out for validation", within="(0, 1)")
    split_seed: int = setting(
        0, "seed of the validation split and the folds, shared by runs that differ in --seed", within="[0, 4294967295]"
    )
    pixel_mean: float | None = setting(
        None, "mean that pixels in 0..1 are normalised by; measured when not given", within="(-inf, inf)"
    )
    pixel_std: float | None = setting(None, "deviation they are divided by; measured when not given", within="(0, inf)")


@dataclass(frozen=True)
class NoiseSettings:
    """Wrong labels put in on purpose, into training and validation alone."""

    noise_type: str = setting(
        "none", "wrong labels to put in: by chance, the next class's, by a matrix, or as a manifest says",
        choices=("none", "symmetric", "pairflip", "confusion", "file"),
    )  # fmt: skip
    noise_rate: float = setting(0.0, "share of the labels that become wrong", within="[0, 1)")
    noise_seed: int = setting(0, "seed of the noise", within="[0, inf)")
    noise_file: str | None = setting(
        None, "transition matrix (CSV, for confusion) or noise.csv of another run (for file)"
    )


@dataclass(frozen=True)
class CleaningSettings:
    """Labels of training and validation put right, after the noise; the files and the test split stay as they are."""

    corrections: str | None = setting(
        None, "corrections.csv exported from an audit's page: labels to change and rows to drop, found by key"
    )
    clean: str = setting(
        "none", "unattended, training rows alone: drop those that an audit flags, relabel them as it suggests, or"
        " reweight every row by how far its label is trusted; costs 5x, with the audit's fold models",
        choices=("none", "drop", "relabel", "reweight"),
    )  # fmt: skip
    audit_file: str | None = setting(
        None, "audit.csv (or its folder) that --clean goes by; that of the same settings, made first, when not given"
    )
    flag_by: str = setting(
        "channel", "an audit flags as many as a noise channel makes likeliest, or as confident learning counts",
        choices=("channel", "confident"),
    )  # fmt: skip


@dataclass(frozen=True)
class TrainingSettings:
    """How it is learnt."""

    recipe: str = setting(
        "default",
        "a named set of defaults for the settings below; robust is for wrong labels: --loss-mixture, costs 1x",
        choices=("default", "predecessor", "robust"),
    )
    model: str = setting("narrow", "network", choices=("narrow", "resnet18", "resnet18-small"))
    epoch: int = setting(50, "passes over the training pictures", within="[1, inf)")
    batch_size: int = setting(128, "pictures a step; batch normalisation needs two", within="[2, inf)")
    accumulation_steps: int = setting(1, "batches whose gradients make one step", within="[1, inf)")
    learning_rate: float = setting(0.1, "highest learning rate of SGD", within="(0, inf)", alias="lr")
    optimizer: str = setting("muon", "muon for kernels and SGD for the rest, or SGD alone", choices=("muon", "sgd"))
    muon_learning_rate: float = setting(0.02, "highest learning rate of Muon", within="(0, inf)")
    muon_weight_decay: float = setting(0.5, "weight decay of Muon", within="[0, inf)")
    momentum: float = setting(0.9, "Nesterov momentum", within="[0, 1)")
    weight_decay: float = setting(1e-4, "weight decay of SGD", within="[0, inf)")
    schedule: str = setting("onecycle", "course of the learning rate", choices=("multistep", "onecycle", "cosine"))
    label_smoothing: float = setting(0.1, "share of each label spread over all classes", within="[0, 1)")
    ema: float = setting(
        0.0,
        "decay of the moving average of the weights (EMA) that is evaluated, which smooths out noise; 0 is off; costs"
        " 1x",
        within="[0, 1)",
    )
    augment: str = setting("affine", "random changes of training pictures", choices=("none", "flip", "affine"))
    amp: bool | None = setting(None, "mixed precision; by default where the device multiplies bfloat16 itself")
    seed: int = setting(0, "seed of weights, order, augmentation and mixing", within="[0, inf)")


@dataclass(frozen=True)
class ReportSettings:
    """Which spreadsheet a result goes to. Keys and tokens are no settings: settings are printed and kept."""

    sheet_key: str | None = setting(None, "spreadsheet to report to, by the long word in its address (or the address)")
    sheet_title: str = setting("Experiment", "spreadsheet to report to, by title, when there is no --sheet-key")
    credential_path: str | None = setting(
        None, "service account's key file; a *.json in project/work/reporter when not given"
    )
    report_patience: float = setting(
        65.0, "seconds a run tries to reach the spreadsheet before its row waits for ./inv report", within="[0, 3600]"
    )


@dataclass(frozen=True)
class AuditSettings:
    """What an audit looks at beside out-of-fold logits and margins."""

    vote: bool = setting(
        False, "audit: models that each learnt from one fold alone vote on the rest too; costs 1x more"
    )


@dataclass(frozen=True)
class RunSettings(AuditSettings, ReportSettings):
    """Where it runs and where it is kept; none of these changes the result by more than rounding."""

    stage: str = setting(
        "train", "train a run, or audit: find the wrong labels of the training file, by fold models; an audit costs 4x",
        choices=("train", "audit"),
    )  # fmt: skip
    uuid: str | None = setting(None, "name of the run; starting it again continues it; random when not given")
    resume: str | None = setting(None, "uuid (or folder) of a run to continue, with the settings it was started with")
    output: str | None = setting(None, "folder of run folders and results.csv; project/output when not given")
    device: str = setting("auto", "where to compute", choices=("auto", "cpu", "cuda", "mps"))
    deterministic: bool = setting(
        False, "the same numbers to the last bit on a GPU too, more slowly; a CPU's are anyway"
    )
    compile: bool | None = setting(None, "torch.compile the stages of the network; by default for long runs on CUDA")
    gpu: str | None = setting(None, "number of the GPU to use, or several: 0,1 share each batch")
    processes: int | None = setting(None, "processes that share each batch on a machine without GPU", within="[1, 64]")
    nodes: int | None = setting(
        None, "machines that share each batch; Vertex AI says which each is", within="[1, 1024]"
    )
    node_rank: int | None = setting(
        None, "which of --nodes this is, from 0; elsewhere than on Vertex AI", within="[0, 1023]"
    )
    master: str | None = setting(None, "host:port of the first of --nodes; elsewhere than on Vertex AI")
    largest_set: float = setting(
        0.75,
        "GB that the pictures of a data set may take in memory; one whose files are large themselves may take more",
        within="(0, inf)",
    )
    data_uri: str | None = setting(None, "gs:// folder of data sets; one that is not here is downloaded from it")
    output_uri: str | None = setting(
        None, "gs:// folder that the run is copied to after each epoch, and goes on from on another machine"
    )


@dataclass(frozen=True)
class Settings(RunSettings, MethodSettings, TrainingSettings, CleaningSettings, NoiseSettings, DataSettings):
    """All settings of one run; a method's settings stand in its own class above."""


RECIPES: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "predecessor": {
        "model": "resnet18",
        "optimizer": "sgd",
        "amp": False,
        "learning_rate": 0.1,
        "schedule": "multistep",
        "label_smoothing": 0.0,
        "augment": "flip",
        "pixel_mean": 0.1093,
        "pixel_std": 0.2921,
    },
    "robust": {"loss_mixture": True},
}


def parse(argv: Sequence[str] | None = None) -> Settings:
    """Read settings: the command line over settings.yaml over the recipe over the declared defaults."""
    return combine(read_yaml(DEFAULTS_FILE), typed(argv))


def typed(argv: Sequence[str] | None = None) -> dict[str, str | bool]:
    """The settings that a command line itself gives, still as text."""
    return given(Settings, argv, "Train one run and report its top-1 accuracy.")


def combine(*layers: Mapping[str, Any]) -> Settings:
    """Settings from layers, later over earlier; a layer's recipe counts as the beginning of that layer."""
    values: dict[str, Any] = {}
    for layer in layers:
        values |= _recipe(layer) | dict(layer)
    settings = build(Settings, values)
    if settings.stage == "audit" and not any({"recipe", *RECIPES["robust"]} & set(layer) for layer in layers):
        settings = robust(settings)
    contradictions.refuse(settings)
    return settings


def robust(settings: Settings) -> Settings:
    """The same by the robust recipe where no method is asked for: what an audit's fold models learn by."""
    if any(getattr(settings, name) for name in method_switches()):
        return settings
    return dataclasses.replace(settings, recipe="robust", **RECIPES["robust"])


def is_run(settings: Settings) -> bool:
    """Whether a run is asked for: neither an audit nor out-of-fold logits alone."""
    needs_folds = settings.distillation or settings.clean != "none"
    logits_alone = settings.resume is None and settings.folds is not None and not needs_folds
    return settings.stage == "train" and not logits_alone


def _recipe(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Every value that the recipe named in a layer stands for: one that is named holds whole, whatever lay below."""
    if "recipe" not in layer:
        return {}
    name = build(TrainingSettings, {"recipe": layer["recipe"]}).recipe
    names = {field.name for field in dataclasses.fields(TrainingSettings)}.union(*RECIPES.values()) - {"seed"}
    declared = {field.name: field.default for field in dataclasses.fields(Settings) if field.name in names}
    return declared | RECIPES[name]


def input_folder(dataset: str) -> Path:
    """The folder of a data set given by name or path."""
    return Path(dataset) if "/" in dataset else INPUT / dataset


def output_folder(output: str | None) -> Path:
    """The folder of run folders and results.csv; project/output when none is given."""
    return OUTPUT if output is None else Path(output)


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping of settings from a YAML file; empty when the file is absent or all comments."""
    from project.work import files

    if not os.path.lexists(path):
        return {}
    values = files.read_yaml(path) or {}
    if not isinstance(values, dict):
        raise UserError(f"{path}: needs lines such as batch_size: 256")
    values = {str(name).replace("-", "_"): value for name, value in values.items()}
    try:
        build(Settings, values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return values


def experiment_settings() -> list[str]:
    """Names of the settings that change a result: all but RunSettings."""
    elsewhere = place_settings()
    return [field.name for field in dataclasses.fields(Settings) if field.name not in elsewhere]


def chosen(settings: Settings) -> dict[str, Any]:
    """The settings that change a result and are not as declared: one added to the code later is not among them."""
    declared = {field.name: field.default for field in dataclasses.fields(Settings)}
    values = {name: getattr(settings, name) for name in experiment_settings()}
    return {name: value for name, value in values.items() if value != declared[name]}


def place_settings() -> list[str]:
    """Names of the settings that say where a run is and leave its result alone: RunSettings."""
    return [field.name for field in dataclasses.fields(RunSettings)]


def method_defaults() -> dict[str, Any]:
    """The settings of all methods as they are when none is asked for: plain training."""
    return {field.name: field.default for field in dataclasses.fields(MethodSettings)}


def idle(settings: Settings) -> list[str]:
    """Names of settings that were given to methods which are not switched on, so that nothing reads them."""
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
    """What flags would change in a run, as `differences`; to name its own recipe again changes nothing."""
    if flags.get("recipe") == old.recipe:
        flags = {name: value for name, value in flags.items() if name != "recipe"}
    return differences(old, build(Settings, dataclasses.asdict(old) | _recipe(flags) | dict(flags)))


def progress(*items: Any, **options: Any) -> "tqdm":
    """A progress bar; where nobody watches it being redrawn (a log file), a line every ten seconds."""
    from tqdm import tqdm

    return tqdm(*items, mininterval=0.1 if sys.stderr.isatty() else 10, delay=1, **options)


def derive_seed(seed: int, *purpose: object) -> int:
    """A seed of its own for each purpose, so that no two parts of a run share a random stream."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def generator(seed: int, *purpose: object) -> "torch.Generator":
    """A CPU generator for one purpose; drawing on the CPU gives the same numbers on every device."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def choose_device(settings: Settings, place: int | None = None) -> "torch.device":
    """The device asked for, or the best there is. Raises UserError when it is not there.

    place: which of the processes on this machine asks, when several share each batch.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    numbers, count = gpu_numbers(settings), torch.cuda.device_count()
    name = settings.device
    if name == "auto" and settings.processes is not None and not numbers:
        name = "cpu"
    elif name == "auto":
        name = "cuda" if numbers else next(kind for kind, present in there.items() if present)
    if numbers and (name != "cuda" or max(numbers) >= count):
        raise UserError(f"--gpu {settings.gpu}: torch sees {count} GPUs here; leave --gpu out for CPU")
    if not there[name]:
        raise UserError(f"--device {name}: this machine has none that torch can use; try --device cpu")
    if place is not None and name == "cuda":
        numbers = (numbers or list(range(count)))[place : place + 1]
        if not numbers:
            raise UserError(f"process {place} of this machine has no GPU of its own; start one process for each GPU")
    return torch.device(name, numbers[0]) if numbers else torch.device(name)
