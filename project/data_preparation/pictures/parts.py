"""Recognises the parts of a data set by the names of folders and CSV cells: Training, seg_test, val, fold3."""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from project.work.common import UserError
from project.work.labels.naming import canonical

PARTS = ("train", "test")
UNLABELLED = "unlabelled"  # the part of pictures to make predictions of
ORDER = ("", "train", "valid", "eval", "holdout", "test")
# Which part becomes the test part, the best first; the other parts are for training.
HELD_OUT = ("test", "holdout", "eval", "valid")
_WORDS = {
    "train": "train training trn trainval trainvalid 训练 训练集",
    "valid": "val valid validation validate dev development 验证 验证集",
    "eval": "eval evaluation",
    "test": "test testing tst tests 测试 测试集",
    "holdout": "holdout",
    UNLABELLED: "pred predict prediction unlabelled unlabeled inference submission",
}
_PART = {word: part for part, words in _WORDS.items() for word in words.split()}
_NEUTRAL = "set sets ds data dataset images image imgs img pics pictures photos files folder dir split part partition"
_GLUED = re.compile(rf"({'|'.join(sorted(_PART, key=len, reverse=True))})({'|'.join(_NEUTRAL.split())})?")
_FOLD = re.compile(r"(k[ _-]?)?(fold|split|part|partition|cv|batch|set|subset|chunk|shard)s?[ _-]*\d+")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # TestImages is test images


class Spelling(NamedTuple):
    """What a name says: its part, and the words in it that say nothing of parts."""

    part: str
    rest: str


def spelled(name: str) -> Spelling | None:
    """The part that a name means; None where it means none, or more than one."""
    words = re.sub(r"hold[ _-]?out", "holdout", _CAPITAL.sub(" ", canonical(name)).casefold())
    found, rest = [], []
    for word in re.findall(r"[^\W\d_]+", words):
        glued = _GLUED.fullmatch(word)
        if glued:
            found.append(_PART[glued[1]])
        elif word not in _NEUTRAL.split():
            rest.append(word)
    if found[:1] == ["train"] and set(found) == {"train", "valid"}:  # train_val: both of them
        found = ["train"]
    return Spelling(found[0], " ".join(rest)) if len(found) == 1 else None


def spellings(names: Iterable[str]) -> dict[str, str]:
    """The names that mean parts, with the part. Words beside it must be those of a name of another part: seg_train
    and seg_test are parts, bullet_train and crash_test are not."""
    said = {name: spelling for name in names if (spelling := spelled(name)) is not None}
    of_rest: dict[str, set[str]] = {}
    for part, rest in said.values():
        of_rest.setdefault(rest, set()).add(part)
    return {name: part for name, (part, rest) in said.items() if not rest or len(of_rest[rest]) > 1}


def is_fold(name: str) -> bool:
    """Whether a name is that of a numbered fold: fold1, split_02, cv 3."""
    return _FOLD.fullmatch(canonical(name).casefold()) is not None


def says_nothing(name: str) -> bool:
    """Whether a name could be that of any list of pictures: labels, train_data (1)."""
    usual = "label labels annotation annotations index list csv meta metadata info all input table classes class"
    usual += " sheet book final full new export file path paths main my the of and filelist default"
    words = re.findall(r"[^\W\d_]+", _CAPITAL.sub(" ", canonical(name)).casefold())
    return all(word in {*usual.split(), *_NEUTRAL.split()} or _GLUED.fullmatch(word) for word in words)


def validates(part: str, role: str) -> bool:
    """Whether a part is the validation split of training, beside the training part that it is kept with."""
    return part == "valid" and role == "train"


def roles(said: Collection[str], where: str) -> dict[str, str]:
    """What each part that was found is used as: train, test or, where it is the only one, "" (still to be drawn).

    Raises UserError when there is nothing to train on.
    """
    found = sorted(set(said), key=ORDER.index)
    if len(found) == 1:
        return {found[0]: ""}
    if "train" not in found:
        raise UserError(f"{where} has the parts {' and '.join(found)}, but none to train on: call one of them train")
    test = next(part for part in HELD_OUT if part in found)
    return {part: "test" if part == test else "train" for part in found}
