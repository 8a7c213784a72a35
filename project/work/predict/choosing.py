"""Which classifiers answer: those that -c names, or that of the best run by a metric on validation."""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from project.work import common, model, run_folder
from project.work.classifier import BATCH, MODEL_FILE, Classifier, fitted_temperature
from project.work.common import UserError
from project.work.dataset import base_dataset, prepared_data, storage
from project.work.dataset.base_dataset import Dataset
from project.work.dataset.prepared_data import Preparation
from project.work.dataset.transforms import Normaliser
from project.work.files import disk, tables
from project.work.files.disk import shown
from project.work.reporter.result import read_result
from project.work.run_folder import CHECKPOINT_FILE, HISTORY_FILE, SETTINGS_FILE
from project.work.runner.checkpoint import CheckpointFile
from project.work.settings import resolve
from project.work.settings.flags import build, renamed
from project.work.settings.groups import Settings

FOLDS = "fold-*"


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A classifier and the file that it is kept in; None where it is of a run that is not finished."""

    classifier: Classifier
    file: Path | None
    called: str


def choose(settings: Settings, typed: Mapping[str, Any], device: torch.device) -> list[Chosen]:
    """The classifiers that the settings name; with -c the words between its commas, else the best run's.

    typed: the settings given on the command line. Raises UserError for what is no classifier, or where their classes
    differ.
    """
    if settings.checkpoint is None:
        folder = _best(settings, typed)
        found = [Chosen(Classifier.load(folder / MODEL_FILE, device), folder / MODEL_FILE, folder.name)]
    else:
        words = [word.strip() for word in settings.checkpoint.split(",")]
        found = [each for word in words for each in _named(word, settings, device)]
    for other in found[1:]:
        _refuse_others(found[0], other)
    return found


def _refuse_others(one: Chosen, other: Chosen) -> None:
    mine, theirs = one.classifier.names, other.classifier.names
    if mine == theirs:
        return
    strange = sorted(set(mine) ^ set(theirs))
    why = f"{shown(strange[0])} is a class of one alone" if strange else "their order differs"
    raise UserError(f"--checkpoint: {one.called} has {len(mine)} classes and {other.called} {len(theirs)}, and {why}:"
                    " only classifiers of the same classes vote together")  # fmt: skip


def _named(word: str, settings: Settings, device: torch.device) -> list[Chosen]:
    """The classifiers that a file, a folder, or the uuid or name of a run is or holds."""
    if not word:
        raise UserError("--checkpoint holds an empty word; separate runs by single commas: a,b")
    path = Path(word).expanduser()
    if not path.exists():
        path = _of_output(word, common.output_folder(settings.output))
    if path.is_file():
        if path.name == CHECKPOINT_FILE:
            return [_unfinished(path.parent, device)]
        return [Chosen(Classifier.load(path, device), path, path.parent.name if path.name == MODEL_FILE else path.name)]
    if (path / MODEL_FILE).exists():
        return [Chosen(Classifier.load(path / MODEL_FILE, device), path / MODEL_FILE, path.name)]
    if folds := sorted(path.glob(FOLDS)):
        return _of_folds(path, folds, device)
    if (path / CHECKPOINT_FILE).exists():
        return [_unfinished(path, device)]
    raise UserError(f"{shown(path)}: holds no classifier ({MODEL_FILE}), and no {CHECKPOINT_FILE} of a run that is not"
                    " finished")  # fmt: skip


def _of_output(word: str, output: Path) -> Path:
    """The folder of a run by its uuid or name. Raises UserError."""
    names = [path.name for path in output.iterdir() if path.is_dir()] if output.is_dir() else []
    found = [name for name in names if name == word or name.endswith(f"-{word}")]
    if word in found:
        found = [word]
    if len(found) == 1 and "/" not in word:
        return output / found[0]
    if len(found) > 1:
        raise UserError(f"--checkpoint {word}: several are called so, {', '.join(sorted(found)[:3])}: give one in full")
    raise UserError(f"--checkpoint {shown(word)}: neither a file or folder, nor a run in {output}; ./inv results lists"
                    " those that are finished")  # fmt: skip


def _of_folds(folder: Path, folds: Sequence[Path], device: torch.device) -> list[Chosen]:
    """The fold models of an audit or of out-of-fold logits."""
    lacking = [place for place in folds if not (place / MODEL_FILE).exists()]
    if lacking:
        raise UserError(f"{shown(lacking[0])}: this fold model is not finished, or of a version that kept none:"
                        f" delete {shown(folder)} and run the same command again")  # fmt: skip
    named = [(place / MODEL_FILE, f"{folder.name}/{place.name}") for place in folds]
    return [Chosen(Classifier.load(file, device), file, called) for file, called in named]


def _unfinished(folder: Path, device: torch.device) -> Chosen:
    """The network of the selected epoch so far of a run that is not finished."""
    saved = CheckpointFile(folder / CHECKPOINT_FILE).load(device)
    if saved is None:
        raise UserError(f"{shown(folder / CHECKPOINT_FILE)} is missing: no epoch of this run is finished")
    settings = run_folder.load_settings(folder)
    name = resolve.network(settings)
    known = None if name in model.MODELS else model.build.prepare(settings)
    dataset = of_run(settings, device, known)
    chosen = {name: getattr(settings, name) for name in resolve.experiment_settings()}
    channels = dataset.train.shape[0]
    network = model.make(name, len(dataset.names), channels, 0, dataset.train.shape[1:])
    try:
        network.load_state_dict(saved["selected"])
        epochs = len(saved["history"])
    except (LookupError, TypeError, RuntimeError, AttributeError) as error:
        raise UserError(f"{shown(folder / CHECKPOINT_FILE)}: not of the network that {SETTINGS_FILE} names"
                        f" ({disk.said(error)})") from error  # fmt: skip
    print(f"{folder.name} is not finished: {epochs} of {settings.epoch} epochs; the selected one of these predicts",
          file=sys.stderr)  # fmt: skip
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    made = Classifier(network, name, dataset.names, dataset.train.shape, dataset.train.normalise, chosen,
                      preparation=dataset.preparation)  # fmt: skip
    logits = made.logits(each.images for each in dataset.valid.batches(BATCH))  # a finished run is calibrated so
    made = dataclasses.replace(made, temperature=fitted_temperature(logits, dataset.valid.labels))
    return Chosen(made, None, folder.name)


def of_run(settings: Settings, device: torch.device, known: Callable[[int], Normaliser] | None = None) -> Dataset:
    """The data set of a run, with its splits and labels, but for what an audit cleaned. Raises UserError.

    known: the normaliser of the network's weights, see `base_dataset.load`.
    """
    return base_dataset.load(dataclasses.replace(settings, clean="none", audit_file=None), device, known)


def learnt_from(chosen: Chosen, asking: str) -> Dataset:
    """The data set that a classifier learnt from. asking: the flag that needs it. Raises UserError."""
    try:
        dataset = of_run(settings_of(chosen.classifier), chosen.classifier.device)
    except UserError as error:
        raise UserError(f"{asking}: needs the data set that {chosen.called} learnt from ({error})") from error
    if dataset.names != chosen.classifier.names:
        raise UserError(f"{asking}: the data set that {chosen.called} learnt from has other classes now")
    return dataset


def settings_of(classifier: Classifier) -> Settings:
    """The settings of the run that made a classifier; those that this version does not know are left out."""
    known = {field.name for field in dataclasses.fields(Settings)}
    values = {name: value for name, value in renamed(Settings, classifier.settings).items() if name in known}
    return build(Settings, values)


def preparation_of(chosen: Chosen) -> Preparation:
    """How a classifier's pictures were prepared: as it says, or its data set where it is of an earlier version."""
    classifier, (channels, side, _) = chosen.classifier, chosen.classifier.shape
    if classifier.preparation is not None:
        made = classifier.preparation
    else:
        made = Preparation(side, channels, told=False)
        with suppress(UserError, LookupError, TypeError, ValueError):
            folder = prepared_data.find(str(classifier.settings["dataset"]))
            facts = disk.read_json(folder / storage.PROVENANCE, storage.LARGEST_FACTS)
            view = None
            if (folder / "test_images.packed").exists():
                view = storage.packed.read(storage.packed_file(folder, "test")).at(side).view
            own = view.side if view else int(facts["options"]["size"])
            made = prepared_data.preparation_of_set(facts, own, channels, view)
    return made


def _best(settings: Settings, typed: Mapping[str, Any]) -> Path:
    """The folder of the finished run with the best target metric on validation. Raises UserError where there is none.

    Of --model and --dataset alone where they were given; runs on several data sets are not compared.
    """
    output, metric = common.output_folder(settings.output), settings.target_metric
    rows: list[tuple[Path, dict[str, Any]]] = []
    for folder in sorted(output.iterdir()) if output.is_dir() else ():
        with suppress(UserError):  # a damaged result is of no use here
            if (folder / MODEL_FILE).exists() and (row := read_result(folder)) is not None:
                rows.append((folder, row))
    asked = {name: getattr(settings, name) for name in ("model", "dataset") if name in typed}
    rows = [each for each in rows if all(str(each[1].get(name)) == value for name, value in asked.items())]
    if not rows:
        of = " ".join(f"with {name} {value}" for name, value in asked.items())
        raise UserError(f"{output} has no finished run{' ' if of else ''}{of}: give --checkpoint, or train one")
    sets = sorted({str(row.get("dataset")) for _, row in rows})
    if len(sets) > 1:
        raise UserError(f"{output} has runs on {len(sets)} data sets ({', '.join(sets[:3])}): say with --dataset which,"
                        " or with --checkpoint which run")  # fmt: skip
    scored = [
        (value, str(row.get("finished")), folder)
        for folder, row in rows
        if (value := _validation(folder, row, metric)) is not None
    ]
    if not scored:
        raise UserError(f"none of {len(rows)} finished runs in {output} notes its {metric} on validation: give one with"
                        " --checkpoint, or another --target-metric")  # fmt: skip
    sign = -1 if metric == "loss" else 1
    value, _, folder = max(scored, key=lambda each: (sign * each[0], each[1]))  # of equal ones the latest
    said = f"the best {metric} on validation ({value:.4f}) of {len(scored)} runs"
    print(f"{folder.name} predicts: {said}", file=sys.stderr)
    return folder


def _validation(folder: Path, row: Mapping[str, Any], metric: str) -> float | None:
    """A metric of a finished run on validation, at its selected epoch; None where it is not noted."""
    with suppress(UserError, LookupError, TypeError, ValueError):
        if metric == "top1":
            return float(row["best_valid_accuracy"])
        history = tables.read_table(folder / HISTORY_FILE, ("epoch", f"valid_{metric}"))
        return float(history.set_index("epoch").loc[str(row["selected_epoch"]), f"valid_{metric}"])
    return None
