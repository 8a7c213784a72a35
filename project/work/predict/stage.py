"""The stage predict: classifiers answer to pictures. Everything that can be refused is refused before any is read."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.work.common import UserError, progress
from project.work.dataset.base_dataset import batch_sizes
from project.work.dataset.prepared_data import Preparation
from project.work.files import disk
from project.work.machine.device import choose_device
from project.work.predict import answers as forms
from project.work.predict import inputs, vote
from project.work.predict.answers import GUESSES, Answers
from project.work.predict.choosing import Chosen, choose, learnt_from, preparation_of
from project.work.predict.inputs import Chunk, Input
from project.work.predict.outsiders import with_unknown
from project.work.predict.vote import Voter
from project.work.settings.groups import Settings

SHOWN = 10  # pictures that cannot be read, by name


def run(settings: Settings, typed: Mapping[str, Any]) -> None:
    """Predict what the settings name, or choose an answer to pictures of no class. typed: as they were given.

    Raises UserError. Exits with 1 where a picture could not be read.
    """
    given = None if settings.input_image is None else inputs.open_input(settings.input_image, settings.largest_set)
    if settings.to is not None and not (Path(settings.to).expanduser().absolute().parent).is_dir():
        raise UserError(f"--to {settings.to}: there is no such folder")
    device = choose_device(settings)
    found = choose(settings, typed, device)
    if given is not None and settings.submission is not None:
        forms.refuse_without_ids(settings.submission, given.ids, found[0].classifier.names)
    made = [preparation_of(each) for each in found]
    if given is not None:
        _check(given, found, made)
    if settings.unknown is not None:
        found = [with_unknown(settings, each) for each in found]
    if given is None:
        return
    voters = [_voter(settings, each) for each in found]
    count = max(settings.top, GUESSES if settings.submission == "kaggle" else 1)
    said = predict(given, voters, made, count)
    _write(settings, said)
    _say_faults(said)


def _check(given: Input, found: Sequence[Chosen], made: Sequence[Preparation]) -> None:
    """Raises UserError for pictures that classifiers cannot take; warns where it is not known how theirs were made."""
    for each in dict.fromkeys(made):
        given.chunk(0, 0, each)
    guessed = [chosen.called for chosen, each in zip(found, made, strict=True) if not each.told]
    if guessed and isinstance(given, inputs.PictureFiles):
        print(f"warning: {guessed[0]} does not say how its pictures were prepared: these are padded to squares",
              file=sys.stderr)  # fmt: skip


def _voter(settings: Settings, chosen: Chosen) -> Voter:
    if not settings.tta:
        return Voter(chosen.classifier, chosen.called)
    return vote.with_views(chosen, learnt_from(chosen, "--tta").valid)


def predict(given: Input, voters: Sequence[Voter], made: Sequence[Preparation], count: int) -> Answers:
    """The answers of a soft vote of classifiers. made: how the pictures of each were prepared; count: of classes to
    name for each picture."""
    names, total = voters[0].classifier.names, len(given.names)
    sizes, count = batch_sizes(total, min(vote.batch(each.classifier) for each in voters)), min(count, len(names))
    best, likely = np.zeros((total, count), np.int32), np.zeros((total, count), np.float32)
    outside, faults, start = np.zeros(total, bool), dict[int, str](), 0
    different = list(dict.fromkeys(made))
    streams = [inputs.stream(given, each, sizes) for each in different]
    with inputs.reading(), progress(total=total, desc="predicting", unit="picture", unit_scale=True) as bar:
        for chunks in zip(*streams, strict=True):
            seen = dict(zip(different, chunks, strict=True))
            rows = slice(start, start + len(chunks[0].images))
            best[rows], likely[rows], outside[rows] = _answers(seen, voters, made, count)
            faults |= {start + row: fault for chunk in chunks for row, fault in chunk.faults.items()}
            start = rows.stop
            bar.update(len(chunks[0].images))
    said = {each.classifier.unknown.name for each in voters if each.classifier.unknown is not None}
    return Answers(given.names, given.ids, names, best, likely, outside, min(said) if said else None, faults)


def _answers(
    seen: Mapping[Preparation, Chunk], voters: Sequence[Voter], made: Sequence[Preparation], count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The likeliest classes (n, count) of some pictures, their probabilities, and whether each is of no class (n,)."""
    said = [voter.answers(seen[each].images) for voter, each in zip(voters, made, strict=True)]
    found, outside = vote.soft_vote(said)
    likely, best = torch.topk(found, count, dim=1)
    return best.cpu().numpy(), likely.cpu().numpy(), outside.cpu().numpy()


def _write(settings: Settings, said: Answers) -> None:
    """Print the answers, or put them into a file, which appears whole."""
    if settings.submission is not None:
        text = forms.submission(settings.submission, said)
    else:
        text = forms.FORMATS[_form(settings)](said)
    if settings.to is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    path = Path(os.path.expanduser(settings.to))
    disk.replace_file(path, text.encode())
    print(f"{len(said.names):,} pictures predicted, in {path}")


def _form(settings: Settings) -> str:
    suffix = "" if settings.to is None else Path(settings.to).suffix.lower().removeprefix(".")
    return settings.format or (suffix if suffix in forms.FORMATS else "table")


def _say_faults(said: Answers) -> None:
    """Name the pictures that could not be read, and exit with 1 where there are some."""
    if not said.faults:
        return
    for row, fault in sorted(said.faults.items())[:SHOWN]:
        print(f"{disk.shown(said.names[row])} {forms.UNREAD}: {fault}", file=sys.stderr)
    more = f", the first {SHOWN} of them above" if len(said.faults) > SHOWN else ""
    print(f"error: {len(said.faults):,} of {len(said.names):,} pictures {forms.UNREAD}{more}; the others are predicted",
          file=sys.stderr)  # fmt: skip
    sys.exit(1)
