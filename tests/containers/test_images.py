"""The container commands with a real engine and registry: what they build, who owns what is written, what is pushed.

Skipped, with the reason, where no engine can be started (real_engine.py); NO_CONTAINER_TESTS=1 skips them anywhere.
"""

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from checkout import AS_SOMEBODY, PLANTED, SECRET, SOMEBODY, Checkout
from real_engine import BASE, Engine

from project.work.common import ROOT

pytestmark = pytest.mark.slow

REGISTRY_PORT = 5917
PASSWORD = "planted-password-77c0"
TEMPLATES = {
    path.relative_to(ROOT).as_posix()
    for kind in ("css", "html", "js")
    for path in (ROOT / "project" / "work").rglob(f"*.{kind}")
}
TRAINING = "--dataset=sample --epoch=1 --batch-size=64 --device=cpu --no-amp"


class Mirror(BaseHTTPRequestHandler):
    """A package mirror behind a password, with nothing in it; remembers who asked."""

    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Authorization"))
        self.send_response(200 if self.asked[-1] else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="mirror"')
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><html><body></body></html>")

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(REGISTRY_PORT) as running:
        yield running


@pytest.fixture(scope="module")
def mirror() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://somebody:{PASSWORD}@127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@pytest.fixture(scope="module")
def here(engine: Engine, mirror: str) -> Iterator[Checkout]:
    """The checkout, committed, its images built from the engine's base with the mirror as a build argument."""
    place = Path(tempfile.mkdtemp(prefix="somebody-"))  # not pytest's folder, which is closed to other accounts
    checkout = Checkout(place / "repository", engine.environment())
    checkout.environment["PIP_FIND_LINKS"] = mirror
    checkout.configure(
        f"base_image: {BASE}\nbuild_options: ['--network=host']\nbuild_args: [PIP_FIND_LINKS]\n"
        f"local: {{shm_size: 96m}}\nremote: {{repository: '{engine.registry}/team/noisy-labels'}}\n"
    )
    checkout.commit()
    yield checkout
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def built(here: Checkout) -> str:
    """What ./inv build-local prints."""
    done = here.inv("build-local")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def running(here: Checkout, built: str) -> Iterator[str]:
    """What ./inv run-local prints; the container is stopped at the end."""
    done = here.inv("run-local")
    assert done.returncode == 0, done.stderr
    yield done.stdout
    here.inv("stop-local")


def test_before_the_build_run_local_says_what_to_do(here: Checkout, engine: Engine) -> None:
    if engine.docker("images", "--quiet", "noisy-labels"):
        pytest.skip("the image is there already")
    refused = here.inv("run-local")
    assert refused.returncode == 2
    assert refused.stderr.strip() == "error: the image noisy-labels is not built yet: run ./inv build-local first"


def test_the_bases_torch_is_kept_and_the_mirror_used(built: str, engine: Engine) -> None:
    assert "Requirement already satisfied: torch<3" in built
    assert Mirror.asked[-1] is not None
    places = engine.docker("run", "--rm", "noisy-labels", "python", "-c", "import torch, numpy; print(torch.__file__)")
    assert places.startswith("/usr/")  # the base's own
    assert built.strip().endswith("built noisy-labels; start it with: ./inv run-local")


def test_run_local_says_what_it_started_and_a_second_one_that_it_runs(running: str, here: Checkout) -> None:
    assert f"started noisy-labels-{SOMEBODY} from noisy-labels, no GPU" in running
    assert "./inv attach-local" in running
    assert "./inv stop-local" in running
    again = here.inv("run-local")
    assert again.returncode == 0
    assert f"noisy-labels-{SOMEBODY} is running already" in again.stdout


def test_the_container_has_an_init_shared_memory_its_user_and_no_gpu(running: str, engine: Engine) -> None:
    host = json.loads(engine.docker("inspect", f"noisy-labels-{SOMEBODY}"))[0]["HostConfig"]
    assert host["Init"] is True
    assert host["ShmSize"] == 96 * 2**20
    assert not host["DeviceRequests"]


def test_a_training_there_writes_files_that_belong_to_the_caller(running: str, here: Checkout) -> None:
    words = f"./inv prepare --source sample --per-class 16 && ./inv train {TRAINING} --uuid=inside && exit 7"
    done = here.inv("attach-local", "--command", words)
    assert done.returncode == 7, done.stdout + done.stderr
    assert "top-1 accuracy on the test split" in done.stdout
    run = here.folder / "project/output/base-inside"
    assert {"history.csv", "curve.png", "checkpoint.pt"} <= {path.name for path in run.iterdir()}
    project = here.folder / "project"
    assert [path for path in project.rglob("*") if path.lstat().st_uid != SOMEBODY] == []


def test_attach_local_is_a_shell_at_a_terminal(running: str, here: Checkout) -> None:
    ours, theirs = pty.openpty()
    command = [*AS_SOMEBODY, sys.executable, "-m", "invoke", "attach-local"]
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, cwd=here.folder, env=here.environment, start_new_session=True, **terminal) as shell:
        os.write(ours, b"echo $((6 * 7))-$(id -u)-$PWD; exit 5\n")
        assert shell.wait(60) == 5
    assert f"42-{SOMEBODY}-/repository" in os.read(ours, 65536).decode()


def test_stop_local_takes_less_than_three_seconds_whatever_runs_there(running: str, here: Checkout) -> None:
    deaf = here.inv("attach-local", "--command", "trap '' TERM; nohup sleep 300 >/dev/null 2>&1 & exit")
    assert deaf.returncode == 0
    started = time.perf_counter()
    stopped = here.inv("stop-local")
    seconds = time.perf_counter() - started
    assert stopped.stdout.strip() == f"stopped noisy-labels-{SOMEBODY}"
    assert seconds < 3 * max(1, os.getloadavg()[0] / (os.cpu_count() or 1))  # the machine may be busy
    again = here.inv("stop-local")
    assert (again.returncode, again.stdout.strip()) == (0, f"noisy-labels-{SOMEBODY} is not running; nothing to stop")


def test_a_gpu_that_is_not_there_is_refused_and_leaves_nothing_in_the_way(here: Checkout, built: str) -> None:
    text = (here.folder / "invoke.yaml").read_text()
    here.configure(text.replace("shm_size: 96m", "gpus: all"))
    refused = here.inv("run-local")
    here.configure(text)
    assert refused.returncode == 2
    assert refused.stderr.strip().splitlines()[-1] == "error: docker run failed; what docker said is above"
    assert here.inv("run-local").returncode == 0
    here.inv("stop-local")


@pytest.fixture(scope="module")
def pushed(here: Checkout, built: str, engine: Engine) -> str:
    """What ./inv push-remote of a clean tree prints; its image is fetched back from the registry by its digest."""
    done = here.inv("push-remote")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "differs" not in done.stderr
    revision = here.run("git", "rev-parse", "--short=12", "HEAD").stdout.strip()
    name = f"{engine.registry}/team/noisy-labels"
    assert f"pushed {name}:{revision}; start a job" in done.stdout
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", done.stdout)[1]
    engine.docker("rmi", "--force", f"{name}:{revision}", "noisy-labels-remote")
    engine.docker("pull", "--quiet", f"{name}@{digest}")
    return f"{name}@{digest}"


def test_the_remote_image_stands_on_the_local_ones_layers(pushed: str, engine: Engine) -> None:
    layers = [
        json.loads(engine.docker("image", "inspect", name))[0]["RootFS"]["Layers"] for name in ("noisy-labels", pushed)
    ]
    assert layers[1][: len(layers[0])] == layers[0]


def test_the_remote_image_is_main_py_and_knows_its_revision(
    pushed: str, here: Checkout, engine: Engine, prepared: Path, tmp_path: Path
) -> None:
    data = "/repository/project/input/lines"
    words = [*TRAINING.replace("sample", "lines").split(), "--uuid=job"]
    container = engine.docker("create", "--user=54321:54321", f"--volume={prepared}:{data}:ro", pushed, *words)
    said = engine.docker("start", "--attach", container)
    assert "top-1 accuracy" in said
    engine.docker("cp", f"{container}:/repository/project/output/results.csv", tmp_path)
    engine.docker("rm", container)
    revision = here.run("git", "rev-parse", "--short=12", "HEAD").stdout.strip()
    assert revision in (tmp_path / "results.csv").read_text()
    labels = json.loads(engine.docker("image", "inspect", pushed))[0]["Config"]["Labels"]
    assert labels == {"org.opencontainers.image.revision": revision}


def test_an_audit_in_the_remote_image_ends_with_its_page(pushed: str, engine: Engine, prepared: Path) -> None:
    data = f"--volume={prepared}:/repository/project/input/lines:ro"
    words = [*TRAINING.replace("sample", "lines").split(), "--stage=audit", "--folds=2"]
    container = engine.docker("create", "--user=54321:54321", data, pushed, *words)
    said = engine.docker("start", "--attach", container)
    page = re.search(r"review page: /repository/(\S+/audit.html)", said)[1]
    with tarfile.open(fileobj=io.BytesIO(_copied(engine, container, f"/repository/{page}"))) as archive:
        text = archive.extractfile(Path(page).name).read().decode()
    engine.docker("rm", container)
    assert (ROOT / "project/work/audit/page/template/page.css").read_text().strip() in text


def _copied(engine: Engine, container: str, path: str) -> bytes:
    command = ["docker", "cp", f"{container}:{path}", "-"]
    return subprocess.run(command, env=engine.environment(), capture_output=True, check=True).stdout


def test_no_layer_has_a_key_data_output_or_git_in_it(pushed: str, engine: Engine) -> None:
    names, tainted = search(pushed, engine, [SECRET.encode(), PASSWORD.encode()])
    assert tainted == []
    code = {name for name in names if name.startswith("repository/") and not name.endswith("/")}
    assert "repository/project/work/main.py" in code
    others = {name for name in code if not name.endswith(".py")}
    assert others == {"repository/requirements.txt", *(f"repository/{name}" for name in TEMPLATES)}
    planted = {Path(name).name for name in PLANTED} - {"pyvenv.cfg", "history.csv"} | {
        "planted_link.py",
        ".git",
        ".venv",
    }
    assert [name for name in names if planted & set(Path(name).parts)] == []
    assert [name for name in names if Path(name).name.startswith(".wh.")] == []  # nothing was added and hidden again


def search(image: str, engine: Engine, secrets: list[bytes]) -> tuple[set[str], list[str]]:
    """Every name in every layer of an image, and where a secret stands: a layer, the image's record or its history."""
    names, tainted = set(), []
    history = engine.docker("history", "--no-trunc", image) + engine.docker("image", "inspect", image)
    if any(secret in history.encode() for secret in secrets):
        tainted.append("docker history")
    saving = subprocess.Popen(["docker", "save", image], env=engine.environment(), stdout=subprocess.PIPE)
    with saving, tarfile.open(fileobj=saving.stdout, mode="r|") as saved:
        for part in saved:
            content = saved.extractfile(part).read() if part.isfile() else b""
            if any(secret in content for secret in secrets):
                tainted.append(part.name)
            if part.name.endswith("layer.tar"):
                with tarfile.open(fileobj=io.BytesIO(content)) as layer:
                    names |= {f"{entry.name}/" if entry.isdir() else entry.name for entry in layer}
    assert names, "no layer was found"
    return names, tainted


def test_a_tree_that_differs_is_said_and_named_so(pushed: str, here: Checkout, engine: Engine) -> None:
    revision = here.run("git", "rev-parse", "--short=12", "HEAD").stdout.strip()
    new = here.folder / "project/work/new_method.py"
    new.write_text("")
    done = here.inv("push-remote")
    new.unlink()
    assert done.returncode == 0, done.stderr
    assert f"the tree differs from its commit: the image is tagged {revision}-dirty" in done.stderr
    assert f"pushed {engine.registry}/team/noisy-labels:{revision}-dirty" in done.stdout


def test_a_registry_that_cannot_be_reached_is_one_line(pushed: str, here: Checkout) -> None:
    refused = here.inv("push-remote", "--repository", "127.0.0.1:9/nowhere")
    assert refused.returncode == 2
    assert refused.stderr.strip().splitlines()[-1] == (
        "error: docker push failed; what docker said is above (not logged in? docker login 127.0.0.1:9)"
    )
