"""What an audit reports: its tables, its facts, and the sentences about them, shared by page and terminal.

The tables are one of rows, one of classes, and the transition matrix. The facts are those of audit.json. An audit.json
of an older version has fewer, so less is said."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from project.work.audit.find import confident
from project.work.audit.find.findings import Findings
from project.work.audit.find.strength import ENOUGH, NOTHING, WEAK


def rows(found: Findings, keys: np.ndarray, names: list[str]) -> pd.DataFrame:
    """A line a row of the training file, the most suspicious first.

    keys: text, of every row of the file; names: of the K classes.
    """
    evidence, order, by_name = found.evidence, found.order, np.array(names, dtype=object)
    given, suggested = evidence.labels[order], found.scores.suggested[order]
    first = evidence.repeats.first[order]
    columns = {
        "row": evidence.rows[order],
        "key_id": keys[evidence.rows[order]],
        "given_label": given,
        "given_name": by_name[given],
        "suggested_label": suggested,
        "suggested_name": by_name[suggested],
        "self_confidence": found.scores.self_confidence[order].astype(float).round(7),
        "trust": found.trust[order].round(7),
        "held_out_margin": found.scores.held_out_margin[order].astype(float).round(4),
        "margin": np.nan if evidence.margins is None else evidence.margins[order].astype(float).round(4),
        "votes": pd.NA if evidence.votes is None else evidence.votes[order],
        "rank": np.arange(1, len(order) + 1),
        "flagged": found.flagged[order].astype(int),
        "split": np.where(evidence.valid[order], "valid", "train"),
        "duplicate_of": pd.array(first, dtype="Int64"),
        "blank": evidence.repeats.blank[order].astype(int),
    }
    table = pd.DataFrame(columns)
    table.loc[first < 0, "duplicate_of"] = pd.NA
    return table


def classes(found: Findings, names: list[str]) -> pd.DataFrame:
    """A line a class: its rows, the number and share flagged, and the suggestion for most of the flagged.

    flagged_share is no estimate of the class's noise, because the number flagged is estimated for all classes together.
    confident_rate is such an estimate, by confident learning.
    """
    labels, count = found.evidence.labels, len(names)
    rows = np.bincount(labels, minlength=count)
    pairs = np.zeros((count, count), dtype=np.int64)
    np.add.at(pairs, (labels[found.flagged], found.scores.suggested[found.flagged]), 1)
    columns = {
        "name": names,
        "count": rows,
        "flagged": pairs.sum(axis=1),
        "flagged_share": (pairs.sum(axis=1) / np.maximum(rows, 1)).round(4),
        "most_suggested": [names[pair.argmax()] if pair.any() else "" for pair in pairs],
        "confident_rate": confident.wrong_by_class(found.shares).round(4),
    }
    return pd.DataFrame(columns).rename_axis("label").reset_index()


def transition(found: Findings, names: list[str]) -> pd.DataFrame:
    """P(given | true), a row for each true class, in the format of `noise.read_matrix`.

    By confident learning, which counts a weak model's confusions as noise: its shape is more reliable than its amount.
    """
    return pd.DataFrame(confident.transition(found.shares), index=names, columns=names)


def facts(found: Findings) -> dict[str, Any]:
    """The figures of audit.json."""
    repeats, strong = found.evidence.repeats, found.strength
    return {
        "rows": len(found.order),
        "classes": len(found.shares),
        "flagged": int(found.flagged.sum()),
        "noise_rate": found.rate,
        "noise_rate_least": strong.least,
        "noise_rate_most": strong.most,
        "confident_rate": found.confident,
        "agreement": strong.agreement,
        "chance_agreement": strong.chance,
        "sure_rows": strong.sure_rows,
        "sure_disagreement": strong.sure_disagreement,
        "models": strong.verdict,
        "duplicates": int((repeats.first >= 0).sum()),
        "duplicates_across_labels": across_labels(found),
        "blank": int(repeats.blank.sum()),
        **found.against,
    }


def across_labels(found: Findings) -> int:
    """The number of rows that have the picture of an earlier row under another label."""
    rows, labels, first = found.evidence.rows, found.evidence.labels, found.evidence.repeats.first
    copies = np.flatnonzero(np.isin(first, rows))
    return int((labels[copies] != labels[np.searchsorted(rows, first[copies])]).sum())


_RATE = {
    "channel": "the maximum-likelihood noise rate: {:.1%}, if a wrong label is equally likely to be any other class",
    "confident": "the noise rate by confident learning: {:.1%}",
}


def estimate(facts: Mapping[str, Any]) -> str:
    """The estimated share of wrong labels, its two bounds, and what each assumes."""
    rate, agreement = facts.get("noise_rate"), facts.get("agreement")
    said = "" if agreement is None else f"The fold models agree with {agreement:.1%} of the labels. "
    if facts.get("models") == NOTHING:
        return said + "They cannot tell how many labels are wrong."
    if rate is None:
        return said.strip()
    known = _RATE.get(str(facts.get("flag_by", "channel")), "the estimated noise rate: {:.1%}")
    said += f"The number flagged is {known.format(rate)}."
    if facts.get("models") == WEAK:
        most = facts["noise_rate_most"]
        return f"{said} At most {most:.1%} are wrong, if every label that differs from its prediction is wrong."
    if facts.get("models") == ENOUGH:
        said += (
            f" At least {facts['noise_rate_least']:.1%} are wrong, if the surest 5% of the predictions are right and"
            f" their labels are wrong as often as others. At most {facts['noise_rate_most']:.1%}, if all predictions"
            " are right."
        )
    return said


def warning(facts: Mapping[str, Any]) -> str:
    """What a person must know before acting on the estimate; empty if there is nothing to warn of."""
    models, agreement = facts.get("models"), facts.get("agreement")
    if models == NOTHING:
        return (
            f"The fold models learnt nothing about these labels: they agree with {agreement:.1%} of them; always"
            f" predicting the commonest class would agree with {facts['chance_agreement']:.1%}. There is no estimate,"
            f" no label is flagged, and the ranks mean nothing.{_advice(facts)}"
        )
    if models == WEAK:
        return (
            f"The fold models agree with only {agreement:.1%} of the labels: they learnt too little, or most labels are"
            f" wrong. The estimate may be far off, and flags and ranks mean little.{_advice(facts)}"
        )
    if models == ENOUGH and facts["noise_rate"] < facts["noise_rate_least"]:
        return (
            "The estimate is below the lower bound, so more labels are wrong than are flagged. It misses most errors"
            " towards a class that the models confuse with the true one."
        )
    return ""


def _advice(facts: Mapping[str, Any]) -> str:
    """What may make models better that learn for epochs; those on features do not."""
    return "" if str(facts.get("method", "")).startswith("logistic regression on features") else " Try more --epoch."


SHOWN = 8  # rows and classes that are named
MUCH = 0.5  # above this noise rate the models themselves are in doubt


def summary(facts: Mapping[str, Any], table: pd.DataFrame, classes: pd.DataFrame) -> str:
    """The summary for a terminal: the estimate, the first rows and classes, and metrics against known noise."""
    lines = [
        f"{facts['rows']:,} rows, {facts['classes']} classes, {facts['folds']} fold models ({facts['method']})",
        *estimate(facts).split(". ", 1),
        f"Confident learning, which counts a weak model's confusions too: {facts['confident_rate']:.1%}",
        _flagged(facts),
        f"exact copies of other pictures: {facts['duplicates']:,}, {facts['duplicates_across_labels']:,} of them under"
        f" another label; blank pictures: {facts['blank']:,}",
        *_first(table),
        *_noisiest(classes),
        *_against(facts),
    ]
    return "\n".join(lines)


def _flagged(facts: Mapping[str, Any]) -> str:
    if facts["noise_rate"] is None:
        return f"warning: {warning(facts)}"
    doubt = warning(facts)
    if facts["flagged"] == 0:
        none = "none is flagged; audit.csv ranks all rows all the same"
        return f"{none}\nwarning: {doubt}" if doubt else f"no label is suspicious: {none}"
    if facts["noise_rate"] > MUCH:
        return (
            f"{facts['flagged']:,} rows are flagged, more than half: either few labels are right, or the fold models"
            f" learnt too little (they agree with {facts['agreement']:.1%} of the labels): try more --epoch"
        )
    return f"{facts['flagged']:,} rows are flagged" + (f"\nwarning: {doubt}" if doubt else "")


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
        if figures["auroc"] is None:  # of the rows with this score all are wrong, or none
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
