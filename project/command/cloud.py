"""The cloud tasks: read settings from invoke.yaml and flags, call Vertex AI or the bucket, and print the result.

Google's libraries are imported inside the functions, so that ./inv --list needs none of them.
"""

import dataclasses
import json
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import ai_platform
import make_command
from ai_platform import CloudSettings, Jobs
from project.command import training_job
from project.command.containers import RemoteSettings, image_name, section
from project.command.training_job import BucketSettings, JobSettings, PullSettings, PushSettings
from project.work import common
from project.work.common import DEFAULTS_FILE, ROOT, UserError
from project.work.dataset import prepared_data
from project.work.machine import process
from project.work.settings import groups, resolve
from project.work.settings.flags import build, given
from project.work.settings.groups import Settings

T = TypeVar("T", bound=CloudSettings)


def train(config: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Submit a job and follow it. config: invoke.yaml; values: flags of the task, of JobSettings and of Settings."""
    job = read(JobSettings, config, values)
    own = {field.name for field in dataclasses.fields(JobSettings)}
    training = {name: value for name, value in values.items() if name.removeprefix("no_") not in own}
    request = _request(job, training)
    if job.dry_run:
        print(json.dumps(request, indent=2))
        return
    jobs = _client(job)
    try:
        with process.stoppable():
            name = jobs.submit(request)["name"]
    except KeyboardInterrupt as stop:
        process.say(f"{request['displayName']} may have been submitted: see ./inv jobs")
        sys.exit(process.code(stop))
    print(f"submitted {request['displayName']}: {name}")
    print(f"in a browser    {ai_platform.console_link(name, str(job.gcp_project))}")
    print(f"follow it with  ./inv follow {name}")
    print(f"cancel it with  ./inv cancel {name}")
    if not job.detach:
        _follow(jobs, name)


def follow(config: Mapping[str, Any], name: str, values: Mapping[str, Any]) -> None:
    """Follow a job to its end."""
    jobs = _jobs_of(config, name, values)
    _follow(jobs, jobs.full_name(name))


def cancel(config: Mapping[str, Any], name: str, values: Mapping[str, Any]) -> None:
    """Stop a job; the results of its finished epochs stay in the bucket."""
    _jobs_of(config, name, values).cancel(name)
    print(f"asked to cancel {name}; ./inv follow {name} shows when it has stopped")


def jobs(config: Mapping[str, Any], count: int, values: Mapping[str, Any]) -> None:
    """List recent jobs, newest first."""
    if count < 1:
        raise UserError(f"--count: {count} is outside [1, inf)")
    found = _client(read(CloudSettings, config, values)).recent(count)
    for job in found:
        print(f"{ai_platform.state(job):<10} {job.get('createTime', '')[:19]}  {job['displayName']}  {job['name']}")
    if not found:
        print("no jobs yet; submit one with ./inv train-ai-platform")


def push(config: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Upload a data set."""
    from project.work.dataset import remote_data
    from project.work.machine.bucket import BucketFolder, connect

    settings = read(PushSettings, config, values)
    folder = prepared_data.find(settings.dataset)
    place = BucketFolder(f"{_bucket(settings)}/input/{folder.name}", connect(settings.credential_path))
    sent = remote_data.push(folder, place)
    print(f"{len(sent)} files sent to {place.uri}" if sent else f"{place.uri} has all of it already")


def pull(config: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Download the jobs' run folders and merge their rows into the table."""
    from project.command import pull_results
    from project.work.machine.bucket import BucketFolder, connect

    settings = read(PullSettings, config, values)
    output = common.output_folder(settings.output)
    place = BucketFolder(f"{_bucket(settings)}/outputs", connect(settings.credential_path))
    changed, rows = pull_results.pull(place, output)
    print(f"{len(changed)} run folders downloaded or updated, {rows} rows new or changed in {output}")


def read(cls: type[T], config: Mapping[str, Any], values: Mapping[str, Any]) -> T:
    """Settings from invoke.yaml and from a task's flags, which win."""
    names = {field.name for field in dataclasses.fields(cls)}
    configured = {name: config[name] for name in names if config.get(name) is not None}
    repository = section(RemoteSettings, config, "remote").repository
    if "repository" in names and repository is not None:
        configured["repository"] = repository
    try:
        build(cls, configured)
    except UserError as error:
        raise UserError(f"invoke.yaml: {error}") from error
    if "credential_path" in configured:
        configured["credential_path"] = str(ROOT / Path(str(configured["credential_path"])).expanduser())
    mine = {name: value for name, value in values.items() if name.removeprefix("no_") in names}
    return build(cls, configured | given(cls, make_command.flags(mine), ""))


def _client(cloud: CloudSettings) -> Jobs:
    """A client with credentials. Raises UserError when there are none."""
    from project.work.machine import google_account

    if cloud.gcp_project is None:
        raise UserError("gcp_project is not known: set it in invoke.yaml or give --gcp-project")
    return Jobs(google_account.session(cloud.credential_path), cloud)


def _jobs_of(config: Mapping[str, Any], name: str, values: Mapping[str, Any]) -> Jobs:
    """The client for a job, with the project and region of its name, if that has them."""
    cloud = read(CloudSettings, config, values)
    if name.count("/") == 5:
        _, project, _, region, _, _ = name.split("/")
        cloud = dataclasses.replace(cloud, gcp_project=project, region=region)
    return _client(cloud)


def _request(job: JobSettings, training: Mapping[str, Any]) -> dict[str, Any]:
    """The job's request; the run's uuid is in its name and its output URI, so that a restarted job finds its files."""
    arguments = _arguments(training)
    run = arguments.get("resume") or arguments["uuid"]
    output_uri = f"{_bucket(job)}/outputs/{run}"
    arguments |= {"data_uri": f"{_bucket(job)}/input", "output_uri": output_uri} | arguments
    if job.gcp_project is None:
        raise UserError("gcp_project is not known: set it in invoke.yaml or give --gcp-project")
    if job.accelerator_count > 1:  # else all but one GPU would be idle
        arguments = {"gpu": ",".join(map(str, range(job.accelerator_count)))} | arguments
    nodes = build(Settings, {"nodes": arguments.get("nodes")}).nodes or 1
    return training_job.body(job, f"train-{run}", _image(job), make_command.flags(arguments), output_uri, nodes)


def _arguments(training: Mapping[str, Any]) -> dict[str, Any]:
    """The flags for main.py: those typed, and the changes by settings.yaml here, without files of this machine.

    Raises UserError for settings that cannot work, before anything is sent.
    """
    typed = given(Settings, make_command.flags(training), "")
    settings = resolve.combine(resolve.read_yaml(DEFAULTS_FILE), typed)
    plain = build(Settings, resolve.recipe_values(settings.recipe))
    for name in ("dataset", "oof_logits"):
        value = getattr(settings, name)
        if value is not None and "/" in value and not value.startswith("gs://"):
            raise UserError(f"{make_command.flag(name)} {value}: a job cannot see this machine's files")
    for name in ("noise_file", "corrections", "audit_file", "weights"):
        if getattr(settings, name) is not None:
            raise UserError(f"{make_command.flag(name)}: a job cannot see this machine's files; train here")
    told, names = {"recipe": settings.recipe}, resolve.experiment_settings()
    if settings.resume is not None:
        told, names = {}, []  # the run has its own, and refuses others
    sheet = {field.name for field in dataclasses.fields(groups.ReportSettings)} - {"credential_path"}
    chosen = {name: getattr(settings, name) for name in [*names, *sorted(sheet)]}
    told |= {name: value for name, value in chosen.items() if value != getattr(plain, name)} | typed
    if settings.resume is None:
        told["uuid"] = settings.uuid or uuid.uuid4().hex[:12]
    return {f"no_{name}" if value is False else name: True if value is False else value for name, value in told.items()}


def _image(job: JobSettings) -> str:
    """The full name of the image."""
    if job.tag is not None and "/" in job.tag:
        return image_name("tag", job.tag)
    if job.repository is None:
        raise UserError("no image is known: set remote.repository in invoke.yaml and run ./inv push-remote")
    from project.work.run_folder import git_revision

    tag = job.tag or git_revision()
    if not tag:
        raise UserError("this is not a git checkout, so no image is named after it: set tag in invoke.yaml")
    return image_name("the image of the job", f"{job.repository}:{tag}")


def _bucket(settings: BucketSettings) -> str:
    if settings.bucket is None:
        raise UserError("bucket is not known: set it in invoke.yaml or give --bucket")
    return f"gs://{settings.bucket.removeprefix('gs://').strip('/')}"


def _follow(jobs: Jobs, name: str) -> None:
    """Print each state of a job until it ends; exit with an error if the job failed."""
    try:
        with process.stoppable():
            job = jobs.follow(name, lambda state: print(f"{time.strftime('%H:%M:%S')} {state}", flush=True))
    except KeyboardInterrupt as stop:
        _stop_following(jobs, name, process.code(stop))
    except UserError as error:
        raise UserError(f"{error}; the job itself keeps running: ./inv follow {name}") from error
    state = ai_platform.state(job)
    if state != "SUCCEEDED":
        message = ai_platform.one_line(job.get("error", {}).get("message", "no reason given"))
        sys.exit(f"error: {name} {state}: {message}")
    print("done; ./inv pull-results downloads its run folder and row")


def _stop_following(jobs: Jobs, name: str, code: int) -> None:
    asked = code == 130 and sys.stdin.isatty()  # somebody is there to answer
    try:
        answer = input("\nCancel the job too? [y/N] ") if asked else ""
    except (EOFError, KeyboardInterrupt):
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        jobs.cancel(name)
        print(f"\nasked to cancel {name}")
    else:
        print(f"\nno longer following; the job keeps running; see it with: ./inv follow {name}", file=sys.stderr)
    sys.exit(code)
