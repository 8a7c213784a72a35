"""What each method can be told, and which methods do not combine; standard library only.

What a method costs is the CPU time of plain training for as many epochs: 2x takes twice as long.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from project.work.settings.flags import setting


@dataclass(frozen=True)
class MixupSettings:
    """Mixup and manifold mixup."""

    mixup: bool = setting(False, "mix pairs of pictures and their labels, against overfitting; costs 1x")
    manifold_mixup: bool = setting(
        False, "mixup after the input or after one of the first stages, drawn for each batch; costs 1x"
    )
    mixup_alpha: float = setting(0.2, "alpha of Beta(alpha, alpha), the law of the mixing weight", within="(0, inf)")


@dataclass(frozen=True)
class DistillationSettings:
    """Distillation from out-of-fold (OOF) logits."""

    distillation: bool = setting(
        False,
        "learn from the beliefs of models that did not learn from a row beside its label, against overfitting; these"
        " fold models are trained first when missing; costs as many x as --folds",
    )
    soft_loss_weight: float = setting(1.0, "weight of the soft loss; that of the hard loss is 1", within="[0, inf)")
    softmax_temperature: float = setting(1.0, "temperature of both softmaxes in the soft loss", within="(0, inf)")
    folds: int | None = setting(
        None,
        "fold models, each of which judges one part of the rows (5 when not given); of --distillation, of an audit and"
        " of --clean; alone: make out-of-fold logits and stop; each costs (folds - 1) / folds x",
        within="[2, inf)",
    )
    oof_logits: str | None = setting(
        None, "file of out-of-fold logits made elsewhere; found or made under project/output when not given"
    )


@dataclass(frozen=True)
class RobustLossSettings:
    """Losses for labels that are wrong here and there."""

    elr: bool = setting(
        False,
        "early-learning regularisation (ELR): hold on to early predictions; for long training; costs 1x, memory of"
        " rows x classes",
    )
    elr_weight: float = setting(3.0, "weight of ELR's regulariser", within="[0, inf)")
    elr_momentum: float = setting(0.7, "momentum of the beliefs that ELR remembers", within="[0, 1)")
    gce: bool = setting(
        False,
        "generalised cross entropy (GCE): listens less to labels that surprise it, for much noise; costs 1x, takes no"
        " label smoothing",
    )
    gce_power: float = setting(0.7, "GCE's q: near 0 it is cross entropy, 1 is absolute error", within="(0, 1]")
    sce: bool = setting(
        False,
        "symmetric cross entropy (SCE): adds a bounded loss, which wrong labels pull less; for some noise; costs 1x",
    )
    sce_alpha: float = setting(1.0, "weight of cross entropy in SCE", within="[0, inf)")
    sce_beta: float = setting(1.0, "weight of reverse cross entropy in SCE", within="[0, inf)")


@dataclass(frozen=True)
class LabelPosteriorSettings:
    """Labels corrected while they are learnt, as far as their loss gives them away."""

    label_posterior: bool = setting(
        False,
        "for any noise: trust each label as far as what the network says of its row, and the noise estimated on"
        " validation, allow, and put the network's own prediction in the place of the rest; costs 1x, memory of"
        " rows x classes",
    )
    label_posterior_start: float = setting(
        0.25, "share of the epochs in which every label is still trusted", within="[0, 1]"
    )
    label_posterior_momentum: float = setting(0.7, "momentum of the beliefs that are remembered", within="[0, 1)")
    label_posterior_temperature: float = setting(
        0.5, "temperature of the beliefs that judge labels and replace them; lower is surer", within="(0, inf)"
    )


@dataclass(frozen=True)
class CoTeachingSettings:
    """Two networks, each taught by what the other thinks is right."""

    co_teaching: bool = setting(
        False, "two networks, each choosing what the other learns from; for much noise; costs 2x"
    )
    co_teaching_rate: float | None = setting(
        None,
        "share of a batch that co-teaching leaves out in the end; when not given, the share of wrong labels that"
        " validation tells",
        within="[0, 1)",
    )
    co_teaching_epochs: int = setting(10, "epochs until that share is reached, from 0 in the first", within="[1, inf)")


@dataclass(frozen=True)
class NtsSettings:
    """Noisy teacher-student: learning anew from the epoch that was selected."""

    nts: bool = setting(
        False,
        "train a teacher as without --nts, then a student on its predictions instead of the labels, for labels too"
        " noisy to learn from twice; costs 2x",
    )
    nts_label_weight: float = setting(0.0, "weight of the labels beside the teacher's beliefs", within="[0, 1]")
    nts_temperature: float = setting(1.0, "temperature of the teacher's softmax; lower is surer", within="(0, inf)")


@dataclass(frozen=True)
class SamSettings:
    """Sharpness-aware minimisation (SAM)."""

    sam: bool = setting(False, "step by the gradient where the loss nearby is highest (SAM): memorises less; costs 2x")
    sam_radius: float = setting(0.05, "how far away that is, in the norm of all weights (rho)", within="(0, inf)")


@dataclass(frozen=True)
class MethodSettings(
    SamSettings,
    NtsSettings,
    CoTeachingSettings,
    LabelPosteriorSettings,
    RobustLossSettings,
    DistillationSettings,
    MixupSettings,
):
    """All of them."""


_SERVES = {  # settings that are not named after the method that reads them
    "mixup_alpha": ("mixup", "manifold_mixup"),
    "soft_loss_weight": ("distillation",),
    "softmax_temperature": ("distillation",),
    "oof_logits": ("distillation",),
}


def serves(name: str, switches: Collection[str]) -> tuple[str, ...]:
    """The methods that read a setting: elr_weight is ELR's. None for a switch, and for what is not of one method."""
    mine = tuple(switch for switch in switches if name.startswith(f"{switch}_"))
    return () if name in switches else _SERVES.get(name, mine)


APART: Mapping[tuple[str, str], str] = {  # methods that do not combine, and why
    ("mixup", "manifold_mixup"): "manifold mixup mixes the input too",
    ("mixup", "co_teaching"): "a mixed picture has no label of its own for co-teaching to judge it by",
    ("manifold_mixup", "co_teaching"): "a mixed picture has no label of its own for co-teaching to judge it by",
    ("elr", "co_teaching"): "ELR remembers the beliefs of one network, and co-teaching has two",
    ("label_posterior", "co_teaching"): "both decide which labels are learnt from",
    ("gce", "sce"): "each is a loss in place of cross entropy",
    ("distillation", "nts"): "both put a teacher's belief beside the label",
    ("co_teaching", "nts"): "co-teaching chooses by the labels, which the teacher of --nts replaces",
}
