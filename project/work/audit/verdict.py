"""What an audit says of the whole, in the same words wherever it says it: how many labels are wrong, and how far to
believe that. The facts are those of audit.json; of an older one less is said."""

from collections.abc import Mapping
from typing import Any

from project.work.audit.find.strength import ENOUGH, NOTHING, WEAK

_ASSUMED = {"channel": "if a wrong label is any other class alike", "confident": "by confident learning"}


def estimate(facts: Mapping[str, Any]) -> str:
    """The estimated share of wrong labels, its two bounds, and what each assumes."""
    rate, agreement = facts.get("noise_rate"), facts.get("agreement")
    said = "" if agreement is None else f"The fold models agree with {agreement:.1%} of the labels. "
    if facts.get("models") == NOTHING:
        return said + "They say nothing of how many labels are wrong."
    if rate is None:
        return said.strip()
    assumed = _ASSUMED.get(str(facts.get("flag_by", "channel")), "")
    said += f"Estimated share of wrong labels: {rate:.1%}, {assumed}".rstrip(", ") + "."
    if facts.get("models") == WEAK:
        return f"{said} At most {facts['noise_rate_most']:.1%}: every label that differs from the prediction."
    if facts.get("models") == ENOUGH:
        said += (
            f" Between {facts['noise_rate_least']:.1%}, if the surest 5% of the predictions are right and their labels"
            f" as often wrong as others, and {facts['noise_rate_most']:.1%}, if all predictions are right."
        )
    return said


def warning(facts: Mapping[str, Any]) -> str:
    """What a person must know before acting on it; empty where there is nothing to warn of."""
    models, agreement = facts.get("models"), facts.get("agreement")
    if models == NOTHING:
        return (
            f"The fold models learnt nothing of these labels: they agree with {agreement:.1%}, and always naming the"
            f" commonest class would with {facts['chance_agreement']:.1%}. There is no estimate, no label is flagged,"
            " and the ranks mean nothing. Try more --epoch."
        )
    if models == WEAK:
        return (
            f"The fold models agree with {agreement:.1%} of the labels only: they learnt too little, or most labels are"
            " wrong. The estimate may be far off either way, and flags and ranks mean little. Try more --epoch."
        )
    if models == ENOUGH and facts["noise_rate"] < facts["noise_rate_least"]:
        return (
            "The estimate is less than the surest predictions show: where wrong labels go to particular classes it"
            " misses most of them. More labels are wrong than are flagged."
        )
    return ""
