"""What an audit's page says of the whole: the finding, facts, classes, blank and identical pictures."""

from pathlib import Path
from typing import Any

import pandas as pd

from project.work.audit import report
from project.work.declaration import UserError
from project.work.pages.tables import cell, fact, listed, sortable, text

LISTED = 200  # groups of duplicates, and blank pictures
_LABELS = {
    "rows": "training and validation pictures",
    "noise_rate": "estimated share of wrong labels",
    "noise_rate_least": "at least, if the surest predictions are right and their labels as often wrong as others",
    "noise_rate_most": "at most, if every label that differs from the prediction is wrong",
    "confident_rate": "share of wrong labels by confident learning, which counts a weak model's confusions too",
    "agreement": "share of labels that the fold models agree with",
    "chance_agreement": "share that always naming the commonest class would agree with",
    "sure_rows": "the surest 5% of the predictions",
    "sure_disagreement": "share of their labels that differ",
    "models": "what the fold models learnt",
    "flag_by": "flags as many as this estimate says",
    "noise_type": "noise put in on purpose",
    "noise_rate_asked": "share of labels that it was to change",
    "known": "labels of which it is known whether they are right",
    "wrong": "wrong ones of them",
    "true_noise_rate": "share of wrong ones of them",
    "auroc": "AUROC against the known errors",
    "average_precision": "average precision against the known errors",
    "precision_flagged": "precision of the flagged set",
    "recall_flagged": "recall of the flagged set",
    "precision_true_count": "precision at the true count of errors",
}
_HEADINGS = {"flagged_share": "share flagged", "confident_rate": "share wrong by confident learning"}


def summary(facts: dict[str, Any], table: pd.DataFrame) -> str:
    """The finding in one sentence or two."""
    flagged, count = int(table["flagged"].sum()), len(table)
    said = f"<strong>{flagged:,} of {count:,}</strong> labels are flagged ({flagged / max(1, count):.1%})."
    return f"{said} {text(report.estimate(facts))}"


def warning(facts: dict[str, Any]) -> str:
    """What must be known before anything is decided; nothing where there is nothing to warn of."""
    said = report.warning(facts)
    return f'<p id="warning" role="note">{text(said)}</p>' if said else ""


def note(table: pd.DataFrame, shown: int) -> str:
    """What the page shows of what there is."""
    flagged = int(table["flagged"].sum())
    if flagged == 0:
        return f"No label is flagged. These {shown:,} are the least trusted all the same."
    if shown < flagged:
        return f"The {shown:,} most suspicious of {flagged:,} flagged pictures are here; audit.csv lists all."
    return "Every flagged picture is here, then blank pictures and copies that are not flagged, where there are any."


def facts_table(facts: dict[str, Any]) -> str:
    """All that audit.json knows; every share is in percent."""
    rows = (
        f"<tr><th scope=row>{text(_LABELS.get(name, name.replace('_', ' ')))}</th><td>{text(fact(value))}</td></tr>"
        for name, value in facts.items()
        if not isinstance(value, (dict, list))
    )
    return f"<table class=facts><tbody>{''.join(rows)}</tbody></table>"


def read_classes(path: Path) -> pd.DataFrame:
    """classes.csv as it is. Raises UserError."""
    try:
        table = pd.read_csv(
            path, keep_default_na=False, na_values={"flagged_share": [""]}, dtype={"name": str, "most_suggested": str}
        )
        return table.astype({"label": int})
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: run ./inv audit first") from error
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: not the classes of an audit ({error}); run ./inv audit again") from error


def class_table(classes: pd.DataFrame, names: list[str]) -> str:
    """A line a class; a name is a button that shows that class alone."""
    columns = [name for name in classes.columns if name != "label"]
    body = []
    for line in classes.to_dict("records"):
        label = line["label"]
        cells = [
            f'<th scope=row><button class=link data-class="{label}">{text(names[label])}</button></th>'
            if name == "name"
            else cell(name, line[name])
            for name in columns
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return sortable("class-table", [_HEADINGS.get(name, name) for name in columns], body)


def blank_list(table: pd.DataFrame, names: list[str], shown: set[int]) -> str:
    """The blank pictures by key and label; those of the rows shown can be clicked."""
    blank = table[table["blank"] == 1]
    lines = [_named(line, names, shown) for line in blank.head(LISTED).itertuples()]
    return listed(lines, len(blank), "blank picture")


def duplicate_list(table: pd.DataFrame, names: list[str], shown: set[int]) -> str:
    """Groups of identical pictures, those with different labels first."""
    copies = table[table["copy"]]
    copies = copies.assign(group=copies["duplicate_of"].fillna(copies["row"]))
    different = copies.groupby("group")["given_label"].nunique() > 1
    first = different.sort_values(ascending=False, kind="stable").index[:LISTED]
    members = copies[copies["group"].isin(first)].sort_values("row").groupby("group")
    lines = []
    for group in first:
        mark = "<strong>different labels</strong>: " if different[group] else ""
        lines.append(mark + ", ".join(_named(line, names, shown) for line in members.get_group(group).itertuples()))
    return listed(lines, len(different), "group of identical pictures", "groups of identical pictures")


def _named(line: Any, names: list[str], shown: set[int]) -> str:
    key = text(line.key_id)
    key = f'<button class=link data-row="{line.row}">{key}</button>' if line.row in shown else key
    return f"{key} {text(names[line.given_label])}"
