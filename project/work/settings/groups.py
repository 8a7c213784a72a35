"""Every setting of a run, declared once, group by group; a method's settings stand in `methods`.

Standard library only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from project.work.settings.flags import setting
from project.work.settings.methods import MethodSettings


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
        "a named set of defaults for the settings below; robust is for wrong labels: --label-posterior, costs 1x",
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
    "robust": {"label_posterior": True},
}
