"""Metrics of how well a score finds the labels that are known to be wrong."""

import numpy as np


def ranking_metrics(wrong: np.ndarray, score: np.ndarray) -> dict[str, float | None]:
    """AUROC, average precision and precision at the true count of a score (n,), low for suspicious labels.

    wrong: bool (n,), which labels are wrong. Each figure is None where all or none are. Rows whose score is NaN are
    left out.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # slow to import and needed here only

    there = np.isfinite(score)
    wrong, score = wrong[there], score[there]
    count = int(wrong.sum())
    if count in (0, len(wrong)):
        return dict.fromkeys(("auroc", "average_precision", "precision_true_count"))
    first = np.argsort(score, kind="stable")[:count]
    return {
        "auroc": float(roc_auc_score(wrong, -score)),
        "average_precision": float(average_precision_score(wrong, -score)),
        "precision_true_count": float(wrong[first].mean()),
    }


def flag_metrics(wrong: np.ndarray, flagged: np.ndarray) -> dict[str, float | None]:
    """Precision and recall of the flagged rows; None where the denominator is 0. wrong, flagged: bool (n,)."""
    both = int((wrong & flagged).sum())
    return {
        "precision_flagged": both / int(flagged.sum()) if flagged.any() else None,
        "recall_flagged": both / int(wrong.sum()) if wrong.any() else None,
    }
