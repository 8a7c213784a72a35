"""The container tasks: read settings from invoke.yaml, call docker, and print the result.

With dry_run the commands are only printed, and docker need not be installed.
"""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import make_command
from project.command import docker_engine
from project.work.common import ROOT, UserError
from project.work.settings.flags import build, encodable, setting

T = TypeVar("T")
# The syntax that Docker allows, so that no value is read as an option or as two arguments of docker.
CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
IMAGE = re.compile(
    r"(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::\w[\w.-]{0,127})?(?:@\w+:[0-9a-f]+)?",
    re.ASCII,
)
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
SIZE = re.compile(r"\d+(?:\.\d+)? ?(?:[kmgt]i?b?|b)?", re.ASCII | re.IGNORECASE)
GPUS = re.compile(r"\"?[a-zA-Z0-9][\w.,=:/\"-]*", re.ASCII)
ARGUMENT = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*(?:=.*)?", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class LocalSettings:
    """The local image and its container (local in invoke.yaml)."""

    image: str = setting("noisy-labels", "name of the image")
    container: str | None = setting(None, "name of the container; the image's and the user's number when not given")
    gpus: str = setting("auto", "all, none, device=0 ...; auto: all where Docker has NVIDIA's runtime")
    shm_size: str = setting("2g", "shared memory, for processes that work together")


@dataclass(frozen=True)
class RemoteSettings:
    """Where images of jobs go (remote in invoke.yaml)."""

    repository: str | None = setting(None, "image repository, HOST/.../NAME")


def build_local(config: Mapping[str, Any], dry_run: bool) -> None:
    """Build the local image."""
    _check_repository()
    docker_engine.ask(dry_run)
    docker_engine.run([build_command(config)], dry_run)
    if not dry_run:
        print(f"built {_local(config).image}; start it with: ./inv run-local")


def run_local(config: Mapping[str, Any], dry_run: bool) -> None:
    """Start the container, unless it runs already."""
    _check_repository()
    engine, local, container = docker_engine.ask(dry_run), _local(config), container_name(config)
    there = {} if dry_run else docker_engine.inspect("container", container)
    if there and there["State"]["Running"]:
        _check_ours(there, container)
        print(f"{container} is running already, with {ROOT} at {make_command.REPOSITORY}")
    else:
        if there:  # stopped, for example by a restart of the machine
            docker_engine.run([make_command.docker_stop(container)[1]], dry_run, quiet=True)
        if not dry_run and not docker_engine.inspect("image", local.image):
            raise UserError(f"the image {local.image} is not built yet: run ./inv build-local first")
        options = texts(dict(config.get("local") or {}), "run_options")
        gpus = gpus_flag(local.gpus, engine)
        command = make_command.docker_run(local.image, container, user(engine), local.shm_size, gpus, options)
        docker_engine.run([command], dry_run, quiet=True)
        if dry_run:
            return
        print(f"started {container} from {local.image}, {'no GPU' if gpus is None else f'GPUs: {gpus}'}")
        print(f"{ROOT} is {make_command.REPOSITORY} there")
    print("a shell in it  ./inv attach-local        (one command: ./inv attach-local --command './inv train')")
    print("end it         ./inv stop-local")


def attach_local(config: Mapping[str, Any], command: str | None, dry_run: bool) -> None:
    """Run a shell or a command in the container and exit with its code."""
    docker_engine.ask(dry_run)
    container = container_name(config)
    words = make_command.docker_exec(container, command, sys.stdin.isatty() and sys.stdout.isatty())
    if dry_run:
        print(shlex.join(words))
        return
    there = docker_engine.inspect("container", container)
    if not there or not there["State"]["Running"]:
        raise UserError(f"{container} is not running: start it with ./inv run-local")
    _check_ours(there, container)
    sys.stdout.flush()
    os.execvp(words[0], words)


def stop_local(config: Mapping[str, Any], dry_run: bool) -> None:
    """Stop and remove the container, with whatever runs in it."""
    docker_engine.ask(dry_run)
    container = container_name(config)
    if not dry_run and not docker_engine.inspect("container", container):
        print(f"{container} is not running; nothing to stop")
        return
    docker_engine.run(make_command.docker_stop(container), dry_run, quiet=True)
    if not dry_run:
        print(f"stopped {container}")


def push_remote(config: Mapping[str, Any], repository: str | None, dry_run: bool) -> None:
    """Build the image of jobs on top of the local one and send it to the registry."""
    _check_repository()
    from project.work.run_folder import git_revision

    local = _local(config)
    repository = repository or section(RemoteSettings, config, "remote").repository
    if repository is None:
        raise UserError("remote.repository is not known: set it in invoke.yaml (HOST/.../NAME) or give --repository")
    image_name("the repository of images", repository)
    revision, tag = git_revision(), config.get("tag")
    tags = [each for each in dict.fromkeys([revision, "" if tag is None else str(tag)]) if each and "/" not in each]
    for each in tags:
        shaped("the image's tag", each, TAG, "tag: letters, digits, _ . and -")
    if not tags:
        raise UserError("this is not a git checkout, so no revision names the image: set tag in invoke.yaml")
    if revision.endswith("-dirty"):
        print(f"the tree differs from its commit: the image is tagged {revision}", file=sys.stderr)
    docker_engine.ask(dry_run)
    remote = f"{local.image}-remote"
    arguments = [f"LOCAL_IMAGE={local.image}", f"GIT_REVISION={revision}"]
    build_remote = make_command.docker_build("remote", remote, arguments, texts(config, "build_options"))
    docker_engine.run([build_command(config), build_remote], dry_run)
    docker_engine.run(make_command.docker_push(remote, repository, tags), dry_run, advice=push_advice(repository))
    if not dry_run:
        print(f"pushed {' and '.join(f'{repository}:{each}' for each in tags)}; start a job: ./inv train-ai-platform")


def _check_repository() -> None:
    """Raises UserError if the code was installed without the repository, which the images contain."""
    if not (ROOT / "image").is_dir():
        raise UserError(f"{ROOT.absolute()} has no image/Dockerfile: clone the repository and use the ./inv in it")


def _local(config: Mapping[str, Any]) -> LocalSettings:
    """The checked settings of this machine's image and container."""
    local = section(LocalSettings, config, "local", "run_options")
    shaped("local.image", local.image, IMAGE, "name of an image, such as noisy-labels or HOST/noisy-labels:TAG")
    shaped("local.shm_size", local.shm_size, SIZE, "size, such as 2g or 512m")
    shaped("local.gpus", local.gpus, GPUS, "choice of GPUs: all, none, a number, or device=0")
    if local.container is not None:
        shaped("local.container", local.container, CONTAINER, "name of a container: letters, digits, _ . and -")
    return local


def shaped(name: str, value: str, form: re.Pattern, what: str) -> str:
    """The same value. Raises UserError when it does not match the form."""
    if form.fullmatch(value) is None:
        hint = f"; did you mean {value.lower()}?" if form.fullmatch(value.lower()) else ""
        raise UserError(f"{name}: {value!r} is not a {what}{hint}")
    return value


def image_name(name: str, value: str) -> str:
    """The same image name. Raises UserError when it is invalid."""
    return shaped(name, value, IMAGE, "name of an image, HOST/.../NAME in small letters")


def section(cls: type[T], config: Mapping[str, Any], name: str, *others: str) -> T:
    """A section of invoke.yaml. YAML reads off and on as false and true."""
    words = {False: "none", True: "all"}
    try:
        lines = dict(config.get(name) or {})
    except (TypeError, ValueError):
        raise UserError(f"invoke.yaml, {name}: needs lines under it, such as image: noisy-labels") from None
    values = {str(key): value for key, value in lines.items() if key not in others}
    try:
        return build(cls, {key: words[value] if isinstance(value, bool) else value for key, value in values.items()})
    except UserError as error:
        raise UserError(f"invoke.yaml, {name}: {error}") from error


def texts(config: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts in invoke.yaml; empty when not given."""
    values = config.get(name)
    values = [] if values is None else values
    plain = isinstance(values, (list, tuple)) and all(
        isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != "" for value in values
    )
    if not plain:
        raise UserError(f"invoke.yaml: {name} is a list of texts, such as {name}: [FIRST, SECOND]")
    return [encodable(f"invoke.yaml: {name}", str(value)) for value in values]


def build_command(config: Mapping[str, Any]) -> list[str]:
    """The command that builds the local image, from invoke.yaml."""
    base, arguments = config.get("base_image"), texts(config, "build_args")
    for argument in arguments:
        shaped("invoke.yaml: build_args", argument, ARGUMENT, "build argument: NAME=value, or NAME alone")
    if base is not None:
        base = shaped("invoke.yaml: base_image", str(base), IMAGE, "name of an image, such as python:3.12")
        arguments = [f"BASE_IMAGE={base}", *arguments]
    return make_command.docker_build("local", _local(config).image, arguments, texts(config, "build_options"))


def container_name(config: Mapping[str, Any]) -> str:
    """The container's name: one for each user of the machine, unless invoke.yaml names it."""
    local = _local(config)
    plain = local.image.rpartition("/")[2].partition("@")[0].replace(":", "-")
    return local.container or f"{plain}-{os.getuid()}"


def user(engine: Mapping[str, Any]) -> str:
    """The user (uid:gid) who writes into the mounted repository. With a rootless engine the caller is root inside."""
    rootless = any("rootless" in option for option in engine.get("SecurityOptions") or [])
    return "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"


def gpus_flag(wanted: str, engine: Mapping[str, Any]) -> str | None:
    """The value of docker's --gpus; None leaves it out."""
    if wanted == "auto":
        return "all" if "nvidia" in (engine.get("Runtimes") or {}) else None
    return None if wanted in ("none", "0") else wanted


def _check_ours(there: Mapping[str, Any], container: str) -> None:
    """Raises UserError if a container of another checkout has this name."""
    mounted = (there["Config"].get("Labels") or {}).get("repository")
    if mounted != str(ROOT):
        raise UserError(
            f"{container} runs with {mounted or 'something else'}, not with {ROOT}:"
            " end it with ./inv stop-local, or give this one a name (local.container in invoke.yaml)"
        )


def push_advice(repository: str) -> str:
    """Advice on logging in to a registry; a repository without a host is on Docker Hub."""
    host = repository.partition("/")[0]
    if host.endswith("-docker.pkg.dev"):
        return f" (not logged in? gcloud auth configure-docker {host})"
    named = "." in host or ":" in host or host == "localhost"
    return f" (not logged in? docker login{f' {host}' if named else ''})"
