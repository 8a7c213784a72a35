"""The settings of a training job on Google Cloud, and its request; pure, standard library only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ai_platform import CloudSettings
from project.work.settings.flags import setting


@dataclass(frozen=True)
class BucketSettings(CloudSettings):
    """The bucket of a project."""

    bucket: str | None = setting(None, "Cloud Storage bucket of data (input/) and run folders (outputs/)")


@dataclass(frozen=True)
class PushSettings(BucketSettings):
    """What to upload."""

    dataset: str = setting(
        "quickdraw", "name of a prepared data set, a folder of project/input (or a path)", value="NAME"
    )
    output: str | None = setting(
        None, "folder with features made of it, which are sent too; project/output when not given", value="FOLDER"
    )


@dataclass(frozen=True)
class PullSettings(BucketSettings):
    """Where to put what is downloaded."""

    output: str | None = setting(
        None, "folder of run folders and results.csv; project/output when not given", value="FOLDER"
    )


@dataclass(frozen=True)
class JobSettings(BucketSettings):
    """What a job runs on."""

    repository: str | None = setting(None, "image repository that ./inv push-remote pushes to (remote.repository)")
    tag: str | None = setting(None, "tag of the image, or a whole image name; the git revision when not given")
    instance_type: str = setting("g2-standard-8", "machine type")
    accelerator: str = setting("NVIDIA_L4", "type of GPU", usual=True)
    accelerator_count: int = setting(1, "GPUs a machine; 0 is none", within="[0, 16]")
    service_account: str | None = setting(None, "account the job runs as; the project's default when not given")
    spot: bool = setting(False, "cheaper machines that may vanish; the job goes on from its last epoch", usual=True)
    timeout: int = setting(86400, "seconds after which a job is stopped", within="[60, 604800]")
    detach: bool = setting(False, "return once the job is submitted", usual=True)
    dry_run: bool = setting(False, "print the request and send nothing", usual=True)


def body(
    job: JobSettings, name: str, image: str, arguments: Sequence[str], output_uri: str, nodes: int = 1
) -> dict[str, Any]:
    """The custom job in the API's JSON, where int64 values are strings. The first machine is a pool of its own.

    A restarted machine runs main.py with the same arguments, so the run continues from its bucket.
    """
    machine: dict[str, Any] = {"machineType": job.instance_type}
    if job.accelerator_count:
        machine |= {"acceleratorType": job.accelerator, "acceleratorCount": job.accelerator_count}
    container = {
        "imageUri": image,
        "args": list(arguments),
        "env": [{"name": "PYTHONUNBUFFERED", "value": "1"}],
    }
    spec = {
        "workerPoolSpecs": [
            {"machineSpec": machine, "replicaCount": str(count), "containerSpec": container}
            for count in (1, nodes - 1)
            if count
        ],
        "scheduling": {
            "timeout": f"{job.timeout}s",
            "strategy": "SPOT" if job.spot else "STANDARD",
            "restartJobOnWorkerRestart": True,
        },
        "baseOutputDirectory": {"outputUriPrefix": output_uri},
    }
    if job.service_account is not None:
        spec["serviceAccount"] = job.service_account
    return {"displayName": name, "jobSpec": spec}
