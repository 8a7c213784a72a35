"""An audit as a person runs it, on a tiny data set with known noise: its files, its figures, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import folders
import numpy as np
import pandas as pd
import processes
import pytest
import torch

from project.work.audit import stage
from project.work.common import UserError
from project.work.dataset import base_dataset, distillation_dataset, storage
from project.work.dataset.base_dataset import Dataset
from project.work.labels import noise
from project.work.settings import resolve

COLUMNS = (
    "row,key_id,given_label,given_name,suggested_label,suggested_name,self_confidence,trust,held_out_margin,margin,"
    "votes,rank,flagged,split,duplicate_of,blank"
)


@pytest.fixture(scope="module")
def repeated(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of lines with a copy (row 5 of row 2) and a blank picture (row 9)."""
    whole, folder = storage.read(prepared), tmp_path_factory.mktemp("repeated") / "lines"
    whole.train.images[5], whole.train.images[9] = whole.train.images[2], 0
    storage.write(folder, whole)
    return folder


@pytest.fixture(scope="module")
def audited(repeated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of an audit with a vote, at 10% symmetric noise; log is what it printed."""
    output = tmp_path_factory.mktemp("audited")
    words = ["--noise-type", "symmetric", "--noise-rate", 0.1, "--vote", "--epoch", 8]
    assert processes.finish(audit(repeated, output, *words)) == 0, (output / "log").read_text()
    return output


def audit(prepared: Path, output: Path, *words: object):
    common_words = ["--dataset", prepared, "--output", output, "--epoch", 2, "--batch-size", 16, "--folds", 3]
    return processes.fork_main(output / "log", "--stage", "audit", *common_words, *words)


def folder_of(output: Path) -> Path:
    (folder,) = output.glob("audit-*")
    return folder


def table_of(output: Path) -> pd.DataFrame:
    return pd.read_csv(folder_of(output) / "audit.csv")


@pytest.mark.slow
def test_every_row_of_the_training_file_has_a_line(audited: Path, repeated: Path) -> None:
    assert (folder_of(audited) / "audit.csv").read_text().splitlines()[0] == COLUMNS
    table = table_of(audited)
    keys = storage.read(repeated).train.keys["key_id"]
    assert sorted(table["row"]) == list(range(120))
    assert table["key_id"].tolist() == keys[table["row"]].tolist()
    assert table["rank"].tolist() == list(range(1, 121))
    assert table["split"].value_counts().to_dict() == {"train": 108, "valid": 12}
    assert table["self_confidence"].between(0, 1).all()
    assert table["margin"].isna().tolist() == (table["split"] == "valid").tolist()
    assert table["votes"].between(0, np.where(table["split"] == "valid", 3, 2)).all()


@pytest.mark.slow
def test_copies_and_blanks_are_in_it(audited: Path) -> None:
    table = table_of(audited).set_index("row")
    assert table["duplicate_of"].dropna().to_dict() == {5: 2}
    assert table.index[table["blank"] == 1].tolist() == [9]


@pytest.mark.slow
def test_the_wrong_labels_come_first_and_the_figures_say_so(audited: Path, repeated: Path) -> None:
    asked = resolve.combine({"noise_type": "symmetric", "noise_rate": 0.1})
    whole = storage.read(repeated)
    wrong = noise.make(asked, whole.train.labels, np.array(whole.train.keys["key_id"], dtype="S"), whole.names).rows
    table, facts = table_of(audited), json.loads((folder_of(audited) / "audit.json").read_text())
    true = table["row"].isin(wrong)
    assert facts["wrong"] == true.sum() == 12
    assert facts["auroc"] > 0.9
    assert facts["precision_true_count"] == true[:12].mean() >= 0.75
    assert facts["recall_flagged"] == pytest.approx(true[table["flagged"] == 1].sum() / 12)
    assert facts["flagged"] == table["flagged"].sum() == round(facts["noise_rate"] * 120)
    assert facts["agreement"] == (table["given_label"] == table["suggested_label"]).mean() > 0.5
    assert facts["noise_rate_most"] == pytest.approx(1 - facts["agreement"])
    assert (facts["models"], facts["sure_rows"]) == ("enough", 6)
    assert 0 <= facts["noise_rate_least"] <= facts["sure_disagreement"]
    assert (table["given_label"] != table["suggested_label"])[table["flagged"] == 1].all()
    assert set(facts["scores"]) == {"self_confidence", "held_out_margin", "margin", "votes"}


@pytest.mark.slow
def test_the_transition_is_one_that_noise_is_made_of(audited: Path) -> None:
    names = ["bar", "beam", "block", "cross"]
    matrix = noise.read_matrix(folder_of(audited) / "transition.csv", names)
    assert (matrix.diagonal() > 0.5).all()
    classes = pd.read_csv(folder_of(audited) / "classes.csv")
    assert classes["name"].tolist() == names
    assert (classes["count"].sum(), classes["flagged"].sum()) == (120, table_of(audited)["flagged"].sum())
    assert set(classes["most_suggested"].dropna()) <= set(names)
    assert classes["flagged_share"].tolist() == (classes["flagged"] / classes["count"]).round(4).tolist()


@pytest.mark.slow
def test_the_noise_it_was_judged_against_can_be_given_on(audited: Path, repeated: Path) -> None:
    facts = json.loads((folder_of(audited) / "noise.json").read_text())
    assert (facts["type"], facts["requested_rate"], facts["changed"]) == ("symmetric", 0.1, 12)
    asked = {"dataset": str(repeated), "device": "cpu", "noise_type": "symmetric", "noise_rate": 0.1}
    given_on = asked | {"noise_type": "file", "noise_rate": 0.0, "noise_file": str(folder_of(audited) / "noise.csv")}
    one, other = (base_dataset.load(resolve.combine(values), torch.device("cpu")) for values in (asked, given_on))
    assert len(one.noise.rows) == 12
    assert one.fingerprint == other.fingerprint


@pytest.mark.slow
def test_the_summary_fits_a_screen(audited: Path) -> None:
    said = (audited / "log").read_text()
    assert "The fold models agree with " in said
    assert "The number flagged is the " in said
    assert "interval" not in said
    assert "against the 12 labels known to be wrong (10.0%):" in said
    assert f"audit folder {folder_of(audited)}" in said
    assert said[said.index("120 rows, 4 classes, 3 fold models") :].count("\n") < 30


@pytest.mark.slow
def test_the_same_audit_again_trains_nothing_and_writes_the_same(audited: Path, repeated: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(audited, again)
    before = {path.name: path.read_bytes() for path in folder_of(again).iterdir()}
    shutil.rmtree(folder_of(again))
    (again / "log").unlink()
    words = ["--noise-type", "symmetric", "--noise-rate", 0.1, "--vote", "--epoch", 8]
    assert processes.finish(audit(repeated, again, *words)) == 0
    assert "training 3 fold models" not in (again / "log").read_text()
    after = {path.name: path.read_bytes() for path in folder_of(again).iterdir()}
    for name in ("audit.json", "audit.html"):  # they name the file of logits
        assert len(before.pop(name)) > 0 < len(after.pop(name))
    assert after == before


@pytest.mark.slow
def test_logits_of_an_earlier_version_get_their_margins_from_the_fold_models(
    audited: Path, repeated: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(audited, again)
    (path,) = again.glob("oof-*/oof_logits.npz")
    whole = distillation_dataset.read(path)
    np.savez(path, logits=whole.logits, keys=whole.keys, folds=whole.folds, names=np.array(whole.names))
    assert distillation_dataset.read(path).margins is None
    words = ["--noise-type", "symmetric", "--noise-rate", 0.1, "--epoch", 8]
    assert processes.finish(audit(repeated, again, *words)) == 0
    np.testing.assert_array_equal(distillation_dataset.read(path).margins, whole.margins)


@pytest.mark.slow
def test_logits_made_elsewhere_are_audited_without_margins(audited: Path, repeated: Path, tmp_path: Path) -> None:
    (path,) = audited.glob("oof-*/oof_logits.npz")
    whole = distillation_dataset.read(path)
    logits = tmp_path / "logits.npz"
    np.savez(logits, logits=whole.logits, keys=whole.keys, folds=whole.folds, names=np.array(whole.names))
    assert processes.finish(audit(repeated, tmp_path, "--oof-logits", logits)) == 0
    assert table_of(tmp_path)["margin"].isna().all()
    assert not list(tmp_path.glob("oof-*"))


@pytest.mark.slow
def test_logits_made_elsewhere_audit_the_rows_that_corrections_keep(
    audited: Path, repeated: Path, tmp_path: Path
) -> None:
    (logits,) = audited.glob("oof-*/oof_logits.npz")
    part = storage.read(repeated).train
    columns = {"row": [7], "key_id": part.keys["key_id"][[7]], "given_label": part.labels[[7]], "new_label": ["drop"]}
    pd.DataFrame(columns).to_csv(tmp_path / "c.csv", index=False)
    words = ["--oof-logits", logits, "--corrections", tmp_path / "c.csv"]
    assert processes.finish(audit(repeated, tmp_path, *words)) == 0
    assert sorted(table_of(tmp_path)["row"]) == [row for row in range(120) if row != 7]
    whole = distillation_dataset.read(logits)
    folds = np.where(np.arange(120) == 8, distillation_dataset.DROPPED, whole.folds)
    fewer = tmp_path / "fewer.npz"
    np.savez(fewer, logits=whole.logits, keys=whole.keys, folds=folds, names=np.array(whole.names))
    (tmp_path / "log").unlink()
    assert processes.finish(audit(repeated, tmp_path, "--oof-logits", fewer)) == 2
    assert "1 rows of this data set were left out when it was made" in (tmp_path / "log").read_text()


def separate(classes: int, rows: int, wrong: bool) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and logits of models that are sure: that all are right, or that each is another class."""
    labels = np.arange(rows) % classes
    believed = (labels + 1) % classes if wrong else labels
    return labels, 20 * np.eye(classes, dtype=np.float32)[believed]


@pytest.mark.parametrize(
    ("wrong", "classes", "said"),
    [
        (False, 2, "no label is suspicious: none is flagged"),
        (False, 3, "no label is suspicious: none is flagged"),
        (True, 2, "40 rows are flagged, more than half: either few labels are right"),
        (True, 3, "40 rows are flagged, more than half: either few labels are right"),
    ],
)
def test_nothing_suspicious_and_everything_suspicious_are_said_and_written(
    tmp_path: Path, wrong: bool, classes: int, said: str
) -> None:
    labels, logits = separate(classes, 40, wrong)
    nothing = stage.copies.Copies(np.full(40, -1), np.zeros(40, bool))
    evidence = stage.Evidence(np.arange(40), labels, logits, np.arange(40) < 4, nothing, truth=labels.astype(float))
    found = stage.findings.find(evidence, "channel", 0)
    names = [f"class {label}" for label in range(classes)]
    facts = stage.report.facts(found) | {"folds": 5, "method": "base"}
    assert said in stage.write(tmp_path / "audit-x", found, labels.astype(str), names, facts)
    assert len(pd.read_csv(tmp_path / "audit-x" / "audit.csv")) == 40
    assert json.loads((tmp_path / "audit-x" / "audit.json").read_text())["auroc"] is None
    noise.read_matrix(tmp_path / "audit-x" / "transition.csv", names)


def test_models_that_learnt_nothing_give_no_estimate_and_it_is_said_and_written(tmp_path: Path) -> None:
    labels = np.arange(30) % 3
    nothing = stage.copies.Copies(np.full(30, -1), np.zeros(30, bool))
    evidence = stage.Evidence(np.arange(30), labels, np.zeros((30, 3), np.float32), np.arange(30) < 3, nothing)
    found, names = stage.findings.find(evidence, "channel", 0), ["a", "b", "c"]
    facts = stage.report.facts(found) | {"folds": 5, "method": "base"}
    said = stage.write(tmp_path / "audit-x", found, labels.astype(str), names, facts)
    assert "warning: The fold models learnt nothing about these labels: they agree with 33.3%" in said
    assert "They cannot tell how many labels are wrong." in said
    assert "The number flagged" not in said
    written = json.loads((tmp_path / "audit-x" / "audit.json").read_text())
    assert (written["noise_rate"], written["flagged"], written["models"]) == (None, 0, "nothing learnt")
    shown = stage.page.write_page(tmp_path / "audit-x", folders.some_pictures(), names).read_text()
    assert "There is no estimate, no label is flagged" in shown


def test_weak_models_that_flag_nothing_are_warned_of_all_the_same(tmp_path: Path) -> None:
    labels = np.arange(600) % 6
    nothing = stage.copies.Copies(np.full(600, -1), np.zeros(600, bool))
    hints = np.random.default_rng(0).normal(size=(600, 6)) + 0.5 * np.eye(6)[labels]
    evidence = stage.Evidence(np.arange(600), labels, 0.15 * hints.astype(np.float32), np.arange(600) < 60, nothing)
    found, names = stage.findings.find(evidence, "channel", 0), list("abcdef")
    facts = stage.report.facts(found) | {"folds": 5, "method": "base"}
    assert (facts["models"], facts["flagged"]) == ("weak", 0)
    said = stage.write(tmp_path / "audit-x", found, labels.astype(str), names, facts)
    assert "no label is suspicious" not in said
    assert f"warning: The fold models agree with only {facts['agreement']:.1%} of the labels" in said


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"stage": "audit", "distillation": True}, "--distillation: fold models have no teacher"),
        ({"stage": "audit", "resume": "x"}, "the same audit command goes on by itself"),
        ({"vote": True}, "--vote is part of an audit"),
        ({"stage": "check"}, "--stage: check is not one of train, oof, audit, features"),
    ],
)
def test_settings_that_make_no_audit_are_refused(values: dict, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        resolve.combine(values)


@pytest.mark.slow
def test_a_class_with_fewer_rows_than_folds_is_refused_before_training(prepared: Path, tmp_path: Path) -> None:
    assert processes.finish(audit(prepared, tmp_path, "--folds", 28)) == 2
    assert "class bar has 27 training rows, at least 28 are needed" in (tmp_path / "log").read_text()


def test_fold_models_keep_the_methods_asked_for_and_leave_distillation_out() -> None:
    from project.work.teacher import oof

    asked = resolve.combine({"stage": "audit", "elr": True, "elr_weight": 2.0, "soft_loss_weight": 3.0, "seed": 9})
    teacher = oof.audit_settings(asked)
    assert (teacher.elr, teacher.elr_weight, teacher.soft_loss_weight) == (True, 2.0, 1.0)
    assert (teacher.folds, teacher.seed) == (5, 0)


def test_fold_models_of_an_audit_are_robust_unless_something_else_is_asked_for() -> None:
    from project.work.teacher import oof

    asked = ({}, {"recipe": "robust"}, {"recipe": "default"}, {"label_posterior": False}, {"recipe": "predecessor"})
    usual, robust, *others = (resolve.combine({"stage": "audit"}, values) for values in asked)
    assert oof.audit_settings(usual) == oof.audit_settings(robust)
    assert oof.audit_settings(usual).label_posterior
    for each in others:
        assert oof.audit_settings(each) == oof.teacher_settings(each)
    for values in (
        {},
        {"recipe": "predecessor"},
        {"elr": True},
        {"mixup": False},
    ):  # what --clean goes by is what ./inv audit finds
        run, audit = resolve.combine({"clean": "drop"} | values), resolve.combine({"stage": "audit"} | values)
        assert oof.audit_settings(stage.audited(run)) == oof.audit_settings(audit)


def test_an_audit_that_flags_otherwise_is_another_one(settings: Callable, dataset: Dataset, tmp_path: Path) -> None:
    folders = {
        stage.Audit(settings(stage="audit", flag_by=how, output=str(tmp_path)), dataset).folder
        for how in ("channel", "confident")
    }
    assert len(folders) == 2
    for values in ({}, {"clean": "drop", "audit_file": "x"}):
        with pytest.raises(UserError, match="--flag-by is for an audit that is made now"):
            resolve.combine({"flag_by": "confident"} | values)


@pytest.mark.slow
def test_a_score_that_cannot_be_judged_is_left_out_of_the_summary(prepared: Path, tmp_path: Path) -> None:
    # The only wrong label is one of validation, where no margin is known.
    part = storage.read(prepared).train
    keys, labels = part.keys["key_id"], part.labels
    row = int(base_dataset.split(labels, 0.1, 0, "")[1][0])
    table = pd.DataFrame({"row": [row], "key_id": [keys[row]], "true_label": [labels[row]]})
    table.assign(noisy_label=(labels[row] + 1) % 4).to_csv(tmp_path / "noise.csv", index=False)
    words = ("--noise-type", "file", "--noise-file", tmp_path / "noise.csv", "--epoch", 1)
    assert processes.finish(audit(prepared, tmp_path, *words)) == 0, (tmp_path / "log").read_text()
    said = (tmp_path / "log").read_text()
    assert "rank" in said
    assert "  margin " not in said
