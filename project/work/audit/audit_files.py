"""The tables of an audit: a line a row, a line a class, the transition matrix, and the facts."""

from typing import Any

import numpy as np
import pandas as pd

from project.work.audit.find import confident
from project.work.audit.find.findings import Findings


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
    """A line a class: its rows, how many and what share of them are flagged, and what is suggested for most of those.

    flagged_share is no estimate of the class's noise: as many are flagged in all as look wrong in all, wherever they
    are; confident_rate is one, confident learning's.
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
    """P(given | true), a row for each true class, as `noise.read_matrix` reads it.

    By confident learning, so what a weak model confuses counts as noise too: its shape tells more than its amount.
    """
    return pd.DataFrame(confident.transition(found.shares), index=names, columns=names)


def facts(found: Findings) -> dict[str, Any]:
    """What there is to say of the whole, in plain numbers."""
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
    """How many rows show the picture of an earlier row under another label."""
    rows, labels, first = found.evidence.rows, found.evidence.labels, found.evidence.repeats.first
    copies = np.flatnonzero(np.isin(first, rows))
    return int((labels[copies] != labels[np.searchsorted(rows, first[copies])]).sum())
