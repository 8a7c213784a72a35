"""Features go to a bucket with their data set, and a job takes them from there instead of making them."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from stand_ins.storage import StorageStandIn

from project.command import cloud
from project.work.common import UserError
from project.work.dataset import base_dataset
from project.work.features import extract
from project.work.machine.bucket import BucketFolder, connect
from project.work.machine.distributed import RunContext
from project.work.networks import library
from project.work.settings.groups import Settings

pytestmark = pytest.mark.slow  # timm takes seconds to import

CPU = torch.device("cpu")
JOB = {"data_uri": "gs://my-bucket/input"}


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[StorageStandIn]:
    with StorageStandIn("my-bucket") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def asked(settings: Callable, tmp_path: Path) -> Settings:
    """Settings of features by a tiny network."""
    save_file(library.headless("test_efficientnet")[0].state_dict(), tmp_path / "tiny.safetensors")
    given = {"stage": "features", "model": "test_efficientnet", "weights": str(tmp_path / "tiny.safetensors")}
    return settings(**given, output=str(tmp_path / "here"), image_size=32)


def made(settings: Settings) -> extract.Features:
    return extract.features(RunContext(settings, CPU), base_dataset.load(settings, CPU))


def push(prepared: Path, output: Path) -> None:
    cloud.push({"bucket": "my-bucket"}, {"dataset": str(prepared), "output": str(output)})


def test_a_job_takes_the_features_that_were_pushed(
    storage: StorageStandIn, asked: Settings, prepared: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    first = made(asked)
    other = tmp_path / "here" / "features-0123456789ab"  # of other pictures
    other.mkdir()
    (other / extract.FACTS).write_text(json.dumps({extract.SET: "another"}))
    push(prepared, tmp_path / "here")
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [f"5 files sent to gs://my-bucket/input/{first.folder.name}"]
    push(prepared, tmp_path / "here")
    assert capsys.readouterr().out.splitlines()[1] == f"gs://my-bucket/input/{first.folder.name} has all of it already"
    monkeypatch.setattr(extract, "_make", lambda *given: pytest.fail("they are in the bucket"))
    job = dataclasses.replace(asked, output=str(tmp_path / "there"), **JOB)
    found = made(job)
    assert found.folder.parent == tmp_path / "there"
    assert np.array_equal(found.train, first.train)
    assert found.test_keys.tolist() == first.test_keys.tolist()


def test_features_of_other_pictures_are_refused_and_half_an_upload_is_left_aside(
    storage: StorageStandIn, asked: Settings, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    first = made(asked)
    facts = json.loads((first.folder / extract.FACTS).read_text())
    bucket = BucketFolder(f"gs://my-bucket/input/{first.folder.name}", connect())
    (first.folder / extract.FACTS).unlink()
    bucket.upload(first.folder)  # killed before its last file
    capsys.readouterr()
    job = dataclasses.replace(asked, output=str(tmp_path / "one"), **JOB)
    assert np.array_equal(made(job).train, first.train)
    assert "making features" in capsys.readouterr().err
    (first.folder / extract.FACTS).write_text(json.dumps(facts | {extract.SET: "another"}))
    bucket.upload(first.folder)
    for _ in range(2):
        with pytest.raises(UserError, match="features of other pictures; delete that folder there"):
            made(dataclasses.replace(job, output=str(tmp_path / "two")))
