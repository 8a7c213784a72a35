"""What an audit says on one screen."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from project.work.audit import verdict

SHOWN = 8  # rows and classes that are named
MUCH = 0.5  # a share of suspicious labels above which the models are to be doubted first


def summary(facts: Mapping[str, Any], table: pd.DataFrame, classes: pd.DataFrame) -> str:
    """The text: how noisy, which rows first, which classes, how good the finding is where that is known."""
    lines = [
        f"{facts['rows']:,} rows, {facts['classes']} classes, {facts['folds']} fold models ({facts['method']})",
        *verdict.estimate(facts).split(". ", 1),
        f"Confident learning, which counts a weak model's confusions too: {facts['confident_rate']:.1%}",
        _flagged(facts),
        f"{facts['duplicates']:,} exact copies of other pictures, {facts['duplicates_across_labels']:,} of them under"
        f" another label; {facts['blank']:,} blank pictures",
        *_first(table),
        *_noisiest(classes),
        *_against(facts),
    ]
    return "\n".join(lines)


def _flagged(facts: Mapping[str, Any]) -> str:
    if facts["noise_rate"] is None:
        return f"warning: {verdict.warning(facts)}"
    warning = verdict.warning(facts)
    if facts["flagged"] == 0:
        none = "none is flagged; audit.csv ranks all rows all the same"
        return f"{none}\nwarning: {warning}" if warning else f"no label is suspicious: {none}"
    if facts["noise_rate"] > MUCH:
        return (
            f"{facts['flagged']:,} rows are flagged, which is most: either hardly a label is right, or the fold models"
            f" learnt too little (they agree with {facts['agreement']:.1%} of the labels): try more --epoch"
        )
    return f"{facts['flagged']:,} rows are flagged" + (f"\nwarning: {warning}" if warning else "")


def _first(table: pd.DataFrame) -> list[str]:
    head = table[table["flagged"] == 1].head(SHOWN)
    words = [
        f"  {row.key_id}: {row.given_name}, looks like {row.suggested_name} (probability of its label"
        f" {row.self_confidence:.1%})"
        for row in head.itertuples()
    ]
    return ["the most suspicious:", *words] if words else []


def _noisiest(classes: pd.DataFrame) -> list[str]:
    head = classes[classes["flagged"] > 0].sort_values(["flagged_share", "flagged"], ascending=False).head(SHOWN)
    words = [
        f"  {row.name_}: {row.flagged} of {row.count_} flagged, most of them look like {row.most_suggested}"
        for row in head.rename(columns={"name": "name_", "count": "count_"}).itertuples()
    ]
    return ["the noisiest classes:", *words] if words else []


def _against(facts: Mapping[str, Any]) -> list[str]:
    if facts.get("auroc") is None:
        return []
    lines = [f"against the {facts['wrong']:,} labels known to be wrong ({facts['true_noise_rate']:.1%}):"]
    for name, figures in [("rank", facts), *facts["scores"].items()]:
        if figures["auroc"] is None:  # of the rows that have this score all are wrong, or none
            continue
        lines.append(
            f"  {name.replace('_', '-'):<16} AUROC {figures['auroc']:.1%}  average precision"
            f" {figures['average_precision']:.1%}  precision at the true count {figures['precision_true_count']:.1%}"
        )
    if facts["precision_flagged"] is not None:
        lines.append(
            f"  of the flagged rows {facts['precision_flagged']:.1%} are wrong, of the wrong ones"
            f" {facts['recall_flagged']:.1%} are flagged"
        )
    return lines
