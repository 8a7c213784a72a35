"""Every setting of a run, declared once, group by group; the settings of methods are in `methods`.

Standard library only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from project.work.settings.flags import setting
from project.work.settings.methods import DistillationSettings, MethodSettings, NtsSettings


@dataclass(frozen=True)
class DataSettings:
    """Data: what a run learns from."""

    dataset: str = setting(
        "quickdraw", "name of a prepared data set, a folder of project/input (or a path)", value="NAME", usual=True
    )
    label_set: str | None = setting(
        None, "further labels of the same pictures to learn from, in place of those of the set: NAME of its"
        " labels_NAME.csv.gz",
        value="NAME",
    )  # fmt: skip
    extra_train: str | None = setting(
        None, "another prepared set whose training pictures are learnt from too, its classes matched by name; never"
        " validated or tested by",
        value="NAME",
    )  # fmt: skip
    flip: bool = setting(
        True, "a mirrored image is of the same class, so that every --augment may mirror; --no-flip for characters"
    )
    image_size: int | None = setting(
        None, "side in pixels to train at; as prepared when not given", within="[8, 1024]", usual=True
    )
    valid_rate: float = setting(
        0.1, "share of the training images held out for validation, unless the set says which", within="(0, 1)"
    )
    split_seed: int = setting(
        0, "seed of the validation split and the folds; runs that differ in --seed share it", within="[0, 4294967295]"
    )
    pixel_mean: float | None = setting(
        None, "mean of the pixels, which are in 0..1, for normalising; measured when not given", within="(-inf, inf)"
    )
    pixel_std: float | None = setting(
        None, "std of the pixels, for normalising; measured when not given", within="(0, inf)"
    )


@dataclass(frozen=True)
class NoiseSettings:
    """Noise: wrong labels put into training and validation on purpose. Test labels stay as they are."""

    noise_type: str = setting(
        "none", "how labels become wrong: any other class (symmetric), the next class (pairflip), by a transition"
        " matrix (confusion), or as listed in the noise.csv of another run (file)",
        choices=("none", "symmetric", "pairflip", "confusion", "file"), usual=True,
    )  # fmt: skip
    noise_rate: float = setting(0.0, "share of the labels that become wrong", within="[0, 1)", usual=True)
    noise_seed: int = setting(0, "seed of the noise", within="[0, inf)")
    noise_file: str | None = setting(
        None, "transition matrix (CSV) for confusion, or noise.csv of another run for file", value="FILE"
    )


@dataclass(frozen=True)
class CleaningSettings:
    """Label correction: after the noise. Files and test labels stay as they are."""

    corrections: str | None = setting(
        None, "corrections.csv exported from an audit's page: labels to change and rows to drop, found by key",
        value="FILE", usual=True,
    )  # fmt: skip
    clean: str = setting(
        "none", "audit the labels first, then drop flagged training rows, relabel them, or weight every row by the"
        " probability that its label is right (reweight); costs 5x, with the audit's fold models",
        choices=("none", "drop", "relabel", "reweight"), usual=True,
    )  # fmt: skip
    audit_file: str | None = setting(
        None, "audit.csv (or its folder) for --clean; when not given, the audit is made first", value="FILE"
    )
    flag_by: str = setting(
        "channel", "number of labels that an audit flags: the maximum-likelihood noise rate of a noise channel, or"
        " confident learning's count",
        choices=("channel", "confident"),
    )  # fmt: skip


@dataclass(frozen=True)
class TrainingSettings:
    """Training: network, optimiser and augmentation."""

    recipe: str = setting(
        "default", "named set of defaults for training, or several: finetune is for pretrained networks, robust for"
        " wrong labels (it adds --label-posterior), finetune,robust for both; predecessor",
        value="NAME[,NAME]", usual=True,
    )  # fmt: skip
    model: str = setting(
        "narrow", "network: narrow, resnet18 or resnet18-small, one of timm by its name there (efficientnet_b0,"
        " deit_tiny_patch16_224 ...), or your own as package.module:function; with pretrained weights and for features"
        " tf_efficientnet_lite0 when not given",
        short="m", value="NAME", usual=True,
    )  # fmt: skip
    epoch: int = setting(50, "passes over the training images", within="[1, inf)", usual=True)
    batch_size: int = setting(128, "images a step; batch normalisation needs two", within="[2, inf)", usual=True)
    accumulation_steps: int = setting(1, "batches whose gradients are added up for one step", within="[1, inf)")
    learning_rate: float = setting(
        0.1, "highest learning rate of SGD or AdamW; 0.001 for AdamW when not given", within="(0, inf)", alias="lr",
        usual=True,
    )  # fmt: skip
    optimizer: str = setting(
        "muon", "Muon for convolutions and SGD for the rest, or SGD or AdamW alone", choices=("muon", "sgd", "adamw")
    )
    muon_learning_rate: float = setting(0.02, "highest learning rate of Muon", within="(0, inf)")
    muon_weight_decay: float = setting(0.5, "weight decay of Muon", within="[0, inf)")
    momentum: float = setting(0.9, "Nesterov momentum; the first beta of AdamW", within="[0, 1)")
    weight_decay: float = setting(
        1e-4, "weight decay of SGD or AdamW; 0.05 for AdamW when not given, which only its kernels get",
        within="[0, inf)",
    )  # fmt: skip
    schedule: str = setting("onecycle", "learning rate schedule", choices=("multistep", "onecycle", "cosine"))
    label_smoothing: float = setting(0.1, "share of each label spread over all classes", within="[0, 1)")
    ema: float = setting(
        0.0, "decay of the exponential moving average (EMA) of the weights, which is then evaluated; 0 is off; costs"
        " 1x",
        within="[0, 1)", usual=True,
    )  # fmt: skip
    augment: str = setting(
        "affine", "random changes of training images; photo: crop, flip, colour, erasing; or your own, as"
        " package.module:function",
        choices=("none", "flip", "affine", "photo", "trivial", "randaugment"), own=True, usual=True,
    )  # fmt: skip
    amp: bool | None = setting(None, "mixed precision; by default where the device multiplies bfloat16 itself")
    seed: int = setting(0, "seed of weights, order, augmentation and mixup", within="[0, inf)", usual=True)


TARGET_METRICS = ("top1", "macro_f1", "top5", "map3", "loss")  # `history.METRICS` has their functions


@dataclass(frozen=True)
class MetricSettings:
    """Metric: what a run is judged by."""

    target_metric: str = setting(
        "top1", "metric on validation that selects the epoch", choices=TARGET_METRICS, short="t", usual=True
    )


@dataclass(frozen=True)
class FineTuningSettings:
    """Fine-tuning: which layers learn how fast, and which do not."""

    head_first: bool | None = setting(
        None, "begin with a head that is fitted to the features of the pretrained network by logistic regression, then"
        " train all"
    )  # fmt: skip
    freeze: str = setting(
        "none", "stages that do not learn: how many from the input on, all but the last few (-2), or the name of the"
        " last that does not, such as layer2",
        value="STAGES",
    )  # fmt: skip
    layer_factors: str | None = setting(
        None, "factors of the learning rates of stem, body and head, such as 0.01,0.1,1", value="X,X,X"
    )
    layer_decay: float | None = setting(
        None, "factor of the learning rate from each layer to the one before it, such as 0.75", within="(0, 1]"
    )
    warm_up: float = setting(
        0.0, "share of the steps in which the learning rate rises from 0; onecycle has a rise of its own",
        within="[0, 1)",
    )  # fmt: skip
    clip_norm: float | None = setting(
        None, "largest norm of the gradients of a network in a step; longer ones are shortened to it",
        within="(0, inf)",
    )  # fmt: skip


@dataclass(frozen=True)
class PretrainedSettings:
    """Pretrained weights: what a network of timm starts from in place of random weights."""

    pretrained: bool | None = setting(
        None, "start from weights that were trained on other pictures, from an installed package or timm's hub;"
        " features always do",
        usual=True,
    )  # fmt: skip
    weights: str | None = setting(
        None, "file with such weights, as safetensors or a state dict that torch.save wrote", value="FILE"
    )


@dataclass(frozen=True)
class FeatureSettings:
    """Features: one row of numbers a picture, by a pretrained network that learns nothing more."""

    head: str = setting(
        "none", "what is trained on features: logistic regression (linear), or the vote of the nearest pictures (knn)",
        choices=("none", "linear", "knn"), usual=True,
    )  # fmt: skip


@dataclass(frozen=True)
class DiagnosisSettings:
    """Diagnosis: looking into training. None of these changes what a run learns."""

    overfit: int | None = setting(
        None, "before anything else: fit so many training images, without methods and augmentation, and say whether"
        " that succeeds; nothing is reported",
        within="[2, inf)", usual=True,
    )  # fmt: skip
    profile: int | None = setting(
        None, "trace so many steps into the run folder, and say what share of the time each part takes",
        within="[1, 1000]",
    )  # fmt: skip
    gradients: bool = setting(
        False, "norm of the gradient and size of the update for each layer and epoch, as gradients.csv and a picture"
    )


@dataclass(frozen=True)
class AuditSettings:
    """Audit: what it adds to fold models and margins, or does without them."""

    features: bool = setting(
        False, "audit by logistic regression on the features of a pretrained network, in place of fold models; costs"
        " no training",
        usual=True,
    )  # fmt: skip
    vote: bool = setting(
        False, "in an audit, models that each learnt from one fold alone vote on the other labels; costs 1x more",
        usual=True,
    )  # fmt: skip


@dataclass(frozen=True)
class PredictSettings:
    """Predict: what classifiers answer to, and where the answers go."""

    input_image: str | None = setting(
        None, "what to predict: a picture, a folder, a list of paths, a file of drawings (Kaggle's CSV, Google's"
        " ndjson), or the name of a prepared set, for its test part",
        short="i", value="PATH", usual=True,
    )  # fmt: skip
    checkpoint: str | None = setting(
        None, "which classifier: model.pt, a run's folder, uuid or checkpoint.pt, or a folder of fold models; several,"
        " a,b, vote; the best finished run by -t on validation when not given",
        short="c", value="RUN[,RUN]", usual=True,
    )  # fmt: skip
    top: int = setting(1, "how many classes to name for each picture", within="[1, 1000]", usual=True)
    format: str | None = setting(
        None, "form of the answers; by the suffix of --to, or a table, when not given",
        choices=("table", "csv", "json"), usual=True,
    )  # fmt: skip
    to: str | None = setting(None, "file for the answers, in place of the screen", value="FILE", usual=True)
    submission: str | None = setting(
        None, "write a contest's file: kaggle (key_id,word, three guesses) or ids (ImageID,ans)",
        choices=("kaggle", "ids"), usual=True,
    )  # fmt: skip
    tta: bool = setting(
        False, "predict mirrored and shifted views too, where that gains on the validation split of the classifier's"
        " run; costs 2x to 5x, and 6 passes over validation first",
        usual=True,
    )  # fmt: skip


@dataclass(frozen=True)
class UnknownSettings:
    """The other class: what a classifier answers to pictures of no class, kept in its file once it is chosen."""

    unknown: str | None = setting(
        None, "answer to pictures of no class, such as isnull; its threshold is chosen and kept in the classifier",
        value="NAME", usual=True,
    )  # fmt: skip
    unknown_by: str = setting(
        "similarity", "what tells such a picture: how alike it is to the training pictures, its highest probability, or"
        " the energy of its logits",
        choices=("similarity", "probability", "energy"), usual=True,
    )  # fmt: skip
    outsiders: str | None = setting(
        None, "pictures of no class to choose the threshold by, in any form of --input-image; one class after the other"
        " is held out when not given",
        value="PATH", usual=True,
    )  # fmt: skip
    unknown_threshold: float | None = setting(
        None, "score below which a picture is of no class; chosen when not given", within="(-inf, inf)"
    )


@dataclass(frozen=True)
class MachineSettings:
    """Machine: what a run computes on."""

    device: str = setting("auto", "where to compute", choices=("auto", "cpu", "cuda", "mps"), usual=True)
    gpu: str | None = setting(
        None, "number of the GPU to use, or several: 0,1 share each batch", value="N[,N]", usual=True
    )
    processes: int | None = setting(None, "processes that share each batch on a machine without GPU", within="[1, 64]")
    nodes: int | None = setting(
        None, "machines that share each batch; Vertex AI says which each is", within="[1, 1024]"
    )
    node_rank: int | None = setting(
        None, "which of --nodes this is, from 0; not needed on Vertex AI", within="[0, 1023]"
    )
    master: str | None = setting(
        None, "host:port of the first of --nodes; not needed on Vertex AI", value="HOST:PORT"
    )
    largest_set: float = setting(
        0.75, "GB of memory that the images of a data set may take; more where the prepared files are larger",
        within="(0, inf)",
    )  # fmt: skip
    deterministic: bool = setting(
        False, "same numbers to the last bit on a GPU too, more slowly; on a CPU they always are"
    )
    compile: bool | None = setting(None, "torch.compile the stages of the network; by default for long runs on CUDA")


@dataclass(frozen=True)
class SheetSettings:
    """Report: which Google Sheet gets the result. Keys and tokens are not settings: settings are printed and kept."""

    sheet_key: str | None = setting(
        None, "spreadsheet to report to: the long word in its address, or the address", value="KEY"
    )
    sheet_title: str = setting("Experiment", "title of the spreadsheet, when there is no --sheet-key", value="TITLE")
    credential_path: str | None = setting(
        None, "service account's key file; a *.json in project/work/reporter when not given", value="FILE"
    )
    report_patience: float = setting(
        65.0, "seconds to try to reach the spreadsheet before the row waits for ./inv report", within="[0, 3600]"
    )


@dataclass(frozen=True)
class ReportSettings(SheetSettings):
    """TensorBoard: a run that can be watched while it trains."""

    tensorboard: bool = setting(
        False, "write epochs and result for TensorBoard into the run folder; needs pip install tensorboard"
    )


@dataclass(frozen=True)
class FolderSettings:
    """Run folder: what a run is called and where it is kept."""

    stage: str = setting(
        "train", "train a run; make out-of-fold logits (oof, costs 4x); find the wrong labels of the training file"
        " (audit, costs 4x); make features; describe the set on a page, without training (look); or predict pictures",
        choices=("train", "oof", "audit", "features", "look", "predict"), short="s", usual=True,
    )  # fmt: skip
    output: str | None = setting(
        None, "folder of run folders and results.csv; project/output when not given", value="FOLDER", usual=True
    )
    uuid: str | None = setting(
        None, "name of the run; the same name again continues it; random when not given", value="NAME", usual=True
    )
    resume: str | None = setting(
        None, "uuid (or folder) of a run to continue, with the settings it was started with", value="UUID", usual=True
    )
    data_uri: str | None = setting(
        None, "gs:// folder of data sets; one that is not here is downloaded from it", value="URI"
    )
    output_uri: str | None = setting(
        None, "gs:// folder that the run is copied to after each epoch, so that another machine can continue it",
        value="URI",
    )  # fmt: skip


@dataclass(frozen=True)
class RunSettings(FolderSettings, ReportSettings, MachineSettings):
    """Run: where it computes and is kept. None of these changes the result by more than rounding."""


@dataclass(frozen=True)
class Settings(
    RunSettings,
    DiagnosisSettings,
    UnknownSettings,
    PredictSettings,
    AuditSettings,
    FeatureSettings,
    PretrainedSettings,
    MetricSettings,
    MethodSettings,
    FineTuningSettings,
    TrainingSettings,
    CleaningSettings,
    NoiseSettings,
    DataSettings,
):
    """All settings of one run; each method has its own class in `methods`."""


OWN_MODELS = ("narrow", "resnet18", "resnet18-small")  # of this repository, trained from scratch
NAMESAKES = ("resnet18",)  # of these in timm, which are meant where weights are pretrained
FEATURE_MODEL = "tf_efficientnet_lite0"  # whose weights come with the install

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
    "finetune": {
        "pretrained": True,
        "head_first": True,
        "optimizer": "adamw",
        "epoch": 3,
        "batch_size": 32,
        "learning_rate": 5e-4,
        "weight_decay": 0.01,
        "augment": "flip",
        "freeze": "-3",
    },
    "robust": {"label_posterior": True},
}
OPTIMIZER_DEFAULTS: Mapping[str, Mapping[str, Any]] = {  # where neither a person nor a recipe says otherwise
    "adamw": {"learning_rate": 0.001, "weight_decay": 0.05}
}


def _names(*groups: type) -> frozenset[str]:
    return frozenset(field.name for group in groups for field in fields(group))


# Of imbalance, what a linear head on features reads too: it draws no rows, and has no steps.
HEAD_SETTINGS = frozenset({"class_weight", "class_weight_beta", "logit_adjustment", "logit_adjustment_tau"})

# Settings that a stage does not read, so that its task has no flags for them. Fold models take their seed from
# --split-seed, and those behind out-of-fold logits train plainly.
_PREDICTED = _names(PredictSettings, UnknownSettings)
NOT_READ: Mapping[str, frozenset[str]] = {
    "train": frozenset({"stage", "vote", "features"}) | _names(FeatureSettings) | _PREDICTED,
    "oof": (_names(MethodSettings, ReportSettings, FeatureSettings, DiagnosisSettings, MetricSettings) - {"folds"})
    | _PREDICTED
    | {"stage", "vote", "features", "seed", "uuid", "resume"},
    "audit": _names(DistillationSettings, NtsSettings, ReportSettings, DiagnosisSettings, MetricSettings)
    | _PREDICTED
    | {"stage", "hard", "clean", "audit_file", "seed", "uuid", "resume", "head"},
    "features": (
        _names(TrainingSettings, FineTuningSettings, MethodSettings, AuditSettings, DiagnosisSettings, MetricSettings)
        - HEAD_SETTINGS
        - {"model"}
    )
    | _PREDICTED
    | {"stage", "extra_train", "flip", "clean", "audit_file", "flag_by", "resume", "pixel_mean", "pixel_std"}
    | {"processes", "nodes", "node_rank", "master", "compile"},
    "look": _names(Settings) - {"dataset", "output", "largest_set"},
    "predict": _names(Settings)
    - (_PREDICTED | {"model", "dataset", "target_metric", "device", "gpu", "output", "largest_set"}),
    "unknown": _names(Settings)
    - _names(UnknownSettings)
    - {"checkpoint", "model", "dataset", "target_metric", "device", "gpu", "output", "largest_set"},
}
