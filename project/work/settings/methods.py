"""The settings of each method, and which methods do not combine; standard library only.

A method's cost is its CPU time as a multiple of plain training for as many epochs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from project.work.settings.flags import setting


@dataclass(frozen=True)
class MixupSettings:
    """Mixup: mixup and manifold mixup."""

    mixup: bool = setting(False, "mix pairs of images and their labels, against overfitting; costs 1x", usual=True)
    manifold_mixup: bool = setting(
        False, "mix the input or the output of one of the first stages, drawn for each batch; costs 1x", usual=True
    )
    mixup_alpha: float = setting(
        0.2, "the mixing weight is drawn from Beta(alpha, alpha), in both kinds of mixup", within="(0, inf)"
    )


@dataclass(frozen=True)
class FoldSettings:
    """Fold models: each predicts the part of the rows that it did not learn from."""

    folds: int | None = setting(
        None, "fold models of --distillation, --clean, ./inv oof and ./inv audit (5 when not given); each costs"
        " (folds - 1) / folds x",
        within="[2, inf)",
    )  # fmt: skip
    oof_logits: str | None = setting(
        None, "file of out-of-fold (OOF) logits made elsewhere; found or made under project/output when not given",
        value="FILE",
    )  # fmt: skip


@dataclass(frozen=True)
class DistillationSettings:
    """Distillation: soft targets from out-of-fold (OOF) logits."""

    distillation: bool = setting(
        False, "learn from the labels and from the out-of-fold predictions of fold models, against overfitting; trains"
        " the fold models first when they are missing; costs as many x as --folds",
        usual=True,
    )  # fmt: skip
    soft_loss_weight: float = setting(1.0, "weight of the soft loss; that of the hard loss is 1", within="[0, inf)")
    softmax_temperature: float = setting(1.0, "temperature of both softmaxes in the soft loss", within="(0, inf)")


@dataclass(frozen=True)
class RobustLossSettings:
    """Robust losses: they fit wrong labels less."""

    elr: bool = setting(
        False, "early-learning regularisation (ELR): keep predictions near their moving average from early epochs; for"
        " long training; costs 1x, memory of rows x classes",
        usual=True,
    )  # fmt: skip
    elr_weight: float = setting(3.0, "weight of ELR's regulariser", within="[0, inf)")
    elr_momentum: float = setting(0.7, "momentum of ELR's moving average of predictions", within="[0, 1)")
    gce: bool = setting(
        False, "generalised cross entropy (GCE): smaller gradients where the label has a low probability; for much"
        " noise; costs 1x, takes no label smoothing",
    )  # fmt: skip
    gce_power: float = setting(0.7, "GCE's q: near 0 it is cross entropy, 1 is absolute error", within="(0, 1]")
    sce: bool = setting(
        False, "symmetric cross entropy (SCE): adds reverse cross entropy, which is bounded, so that wrong labels count"
        " less; for some noise; costs 1x",
    )  # fmt: skip
    sce_alpha: float = setting(1.0, "weight of cross entropy in SCE", within="[0, inf)")
    sce_beta: float = setting(1.0, "weight of reverse cross entropy in SCE", within="[0, inf)")


@dataclass(frozen=True)
class ImbalanceSettings:
    """Imbalance: classes of few images, and images that are hard. Classes are counted by the labels learnt from."""

    class_weight: str = setting(
        "none", "weigh each image by its class: by one over the count (inverse), or over the effective number of"
        " samples; costs 1x",
        choices=("none", "inverse", "effective"),
    )  # fmt: skip
    class_weight_beta: float = setting(
        0.999, "beta of the effective number (1 - beta^n) / (1 - beta): near 1 it is n, 0 counts all classes alike",
        within="[0, 1)",
    )  # fmt: skip
    sampler: str = setting(
        "none", "draw each class equally often (balanced), or by the root of its count (sqrt); an epoch stays as long;"
        " costs 1x",
        choices=("none", "balanced", "sqrt"),
    )  # fmt: skip
    logit_adjustment: bool = setting(
        False, "train on logits plus the logarithm of the class frequencies, and evaluate without; costs 1x"
    )
    logit_adjustment_tau: float = setting(1.0, "weight of those logarithms", within="(0, inf)")
    focal: bool = setting(
        False, "focal loss: what is predicted well already counts less; for right labels; costs 1x, takes no label"
        " smoothing",
    )  # fmt: skip
    focal_gamma: float = setting(2.0, "focal loss's exponent; 0 is cross entropy", within="[0, inf)")
    hard: int = setting(
        0, "show images that were confidently predicted wrong so many times more, never those that the last audit"
        " flags; needs an audit; costs 1x",
        within="[0, 100]",
    )  # fmt: skip


@dataclass(frozen=True)
class LabelPosteriorSettings:
    """Label posterior: labels weighted by the network's prediction and the estimated noise rate."""

    label_posterior: bool = setting(
        False, "train on the posterior probability of the true class, given the label, the moving average of"
        " predictions and the noise rate estimated on validation; for any noise; costs 1x, memory of rows x classes",
        usual=True, former="loss_mixture",
    )  # fmt: skip
    label_posterior_start: float = setting(
        0.25, "share of the epochs, from the first, that train on the labels as they are", within="[0, 1]",
        former="loss_mixture_start",
    )  # fmt: skip
    label_posterior_momentum: float = setting(
        0.7, "momentum of the moving average of predictions", within="[0, 1)", former="loss_mixture_momentum"
    )
    label_posterior_temperature: float = setting(
        0.5, "temperature of the averaged predictions; below 1 they become surer", within="(0, inf)",
        former="loss_mixture_temperature",
    )  # fmt: skip


@dataclass(frozen=True)
class CoTeachingSettings:
    """Co-teaching: two networks; each learns from the images of small loss in the other."""

    co_teaching: bool = setting(
        False, "train two networks; each chooses the images of small loss for the other; for much noise; costs 2x",
        usual=True,
    )  # fmt: skip
    co_teaching_rate: float | None = setting(
        None, "share of each batch that co-teaching leaves out in the end; the noise rate estimated on validation when"
        " not given",
        within="[0, 1)",
    )  # fmt: skip
    co_teaching_epochs: int = setting(10, "epochs until that share is reached, from 0 in the first", within="[1, inf)")


@dataclass(frozen=True)
class NtsSettings:
    """Noisy teacher-student (NTS): a student learns anew from the predictions of the selected epoch."""

    nts: bool = setting(
        False, "train a teacher as without --nts, then a student on the teacher's predictions instead of the labels;"
        " costs 2x",
    )  # fmt: skip
    nts_label_weight: float = setting(0.0, "weight of the labels beside the teacher's predictions", within="[0, 1]")
    nts_temperature: float = setting(
        1.0, "temperature of the teacher's softmax; below 1 its predictions become surer", within="(0, inf)"
    )


@dataclass(frozen=True)
class SamSettings:
    """Sharpness-aware minimisation (SAM): it seeks weights around which the loss stays low."""

    sam: bool = setting(
        False, "step by the gradient at the point nearby where the loss is highest; memorises less; costs 2x",
        usual=True,
    )  # fmt: skip
    sam_radius: float = setting(0.05, "distance of that point, in the norm of all weights (rho)", within="(0, inf)")


@dataclass(frozen=True)
class MethodSettings(
    SamSettings,
    NtsSettings,
    ImbalanceSettings,
    CoTeachingSettings,
    LabelPosteriorSettings,
    RobustLossSettings,
    DistillationSettings,
    FoldSettings,
    MixupSettings,
):
    """Methods, with their cost as a multiple of the CPU time of plain training."""


_SERVES = {  # settings that are not named after the method that reads them
    "mixup_alpha": ("mixup", "manifold_mixup"),
    "soft_loss_weight": ("distillation",),
    "softmax_temperature": ("distillation",),
    "oof_logits": ("distillation",),
}


def serves(name: str, switches: Collection[str]) -> tuple[str, ...]:
    """The methods that read a setting: elr_weight is ELR's. None for a switch and for a setting of no method."""
    mine = tuple(switch for switch in switches if name.startswith(f"{switch}_"))
    return () if name in switches else _SERVES.get(name, mine)


APART: Mapping[tuple[str, str], str] = {  # methods that do not combine, and why
    ("mixup", "manifold_mixup"): "manifold mixup mixes the input too",
    ("mixup", "co_teaching"): "a mixed image has no single label, which co-teaching needs",
    ("manifold_mixup", "co_teaching"): "a mixed image has no single label, which co-teaching needs",
    ("elr", "co_teaching"): "ELR averages the predictions of one network, and co-teaching has two",
    ("label_posterior", "co_teaching"): "both decide which labels are learnt from",
    ("gce", "sce"): "each is a loss in place of cross entropy",
    ("focal", "gce"): "each is a loss in place of cross entropy",
    ("focal", "sce"): "each is a loss in place of cross entropy",
    ("logit_adjustment", "focal"): "the adjustment is derived for cross entropy",
    ("logit_adjustment", "gce"): "the adjustment is derived for cross entropy",
    ("logit_adjustment", "sce"): "the adjustment is derived for cross entropy",
    ("distillation", "nts"): "both add a teacher's predictions to the labels",
    ("co_teaching", "nts"): "co-teaching chooses by the labels, which the teacher of --nts replaces",
}
