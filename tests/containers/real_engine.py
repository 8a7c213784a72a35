"""A real Docker engine and registry for the tests, in a folder of their own, from Debian's packages.

The images are built from a small Debian with Python, into which the base's part of the bargain is put: PyTorch, as the
CPU wheel in a folder that pip is configured with (find-links), else from PyTorch's own index; PyPI's brings CUDA, which
is gigabytes. torchvision's wheel on PyPI is made for that one and finds no operators beside a CPU torch: the file that
insists on them is emptied, for the ResNet blocks need none.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

BASE = "local/python-torch"
PACKAGES = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-registry": "docker-registry",
    "mmdebstrap": "mmdebstrap",
}
PRIVATE = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"]
PYTORCH_INDEX = "https://download.pytorch.org/whl/cpu"
SITE = "/usr/local/lib/python3*/dist-packages"
REGISTRY = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Engine:
    """dockerd and a registry, running while it is entered; skips the tests, with the reason, where they cannot run."""

    def __init__(self, port: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="engine-"))
        self.host = f"unix://{self.folder}/docker.sock"
        self.registry = f"127.0.0.1:{port}"
        self.port = port
        self.processes: list[subprocess.Popen] = []

    def __enter__(self) -> "Engine":
        try:
            install()
            self._start("dockerd", *self._options())
            self._wait_for_engine()
            config = self.folder / "registry.yml"
            config.write_text(REGISTRY.format(folder=self.folder, port=self.port))
            self._start("docker-registry", "serve", str(config))
            self._make_base()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing behind: no process, no mount, no file."""
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((each for each in mounts if each.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", mount], check=True)
        shutil.rmtree(self.folder)

    def docker(self, *words: object, **options: object) -> str:
        """What a docker command prints; fails the test when the command fails."""
        done = subprocess.run(
            ["docker", *map(str, words)], env=self.environment(), capture_output=True, text=True, **options
        )
        assert done.returncode == 0, f"docker {words}: {done.stderr}"
        return done.stdout.strip()

    def environment(self) -> dict[str, str]:
        """Ours, with this engine in it; builds by the engine itself, which every Docker has."""
        return os.environ | {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0"}

    def _options(self) -> list[str]:
        folder = self.folder
        places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/dockerd.pid"]
        return [f"--host={self.host}", *places, "--storage-driver=overlay2", *PRIVATE]

    def _start(self, program: str, *words: str) -> None:
        with (self.folder / f"{program}.log").open("wb") as log:
            command = [program, *words]
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))

    def _wait_for_engine(self) -> None:
        for _ in range(300):
            if subprocess.run(["docker", "version"], env=self.environment(), capture_output=True).returncode == 0:
                return
            if self.processes[0].poll() is not None:
                break
            time.sleep(0.1)
        said = (self.folder / "dockerd.log").read_text().strip().splitlines()
        pytest.skip(f"the Docker engine does not start here: {said[-1] if said else 'it says nothing'}")

    def _make_base(self) -> None:
        """A Debian as the machine's own, with Python and PyTorch.

        Not compiled (PIP_COMPILE=0), which halves the time of builds.
        """
        suite, mirror = debian()
        wheel = cpu_wheel()
        torch = [f"--index-url={PYTORCH_INDEX}", "torch"] if wheel is None else [f"/tmp/{wheel.name}"]
        pip = "PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_BREAK_SYSTEM_PACKAGES=1 PIP_COMPILE=0 python3 -m pip"
        hooks = [
            'cp /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/" 2>/dev/null || true',
            'chroot "$1" update-ca-certificates',
            *([] if wheel is None else [f'cp {wheel} "$1/tmp"']),
            f'chroot "$1" sh -c "{pip} install --no-cache-dir {" ".join(torch)} torchvision"',
            f'truncate --size=0 "$1"{SITE}/torchvision/_meta_registrations.py',
            f'rm -rf "$1"/tmp/* "$1"{SITE}/torch/test "$1"{SITE}/torch/include',
        ]
        command = ["mmdebstrap", "--quiet", "--variant=apt", "--include=python3,python3-pip,ca-certificates"]
        tar = self.folder / "base.tar"
        made = subprocess.run(
            [*command, *(f"--customize-hook={hook}" for hook in hooks), suite, str(tar), mirror],
            capture_output=True,
            text=True,
        )
        if made.returncode != 0:
            pytest.skip(f"no base image can be made here: {' / '.join(made.stderr.strip().splitlines()[-3:])}")
        environment = "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_COMPILE=0"
        self.docker("import", "--change", environment, tar, BASE)
        tar.unlink()


def install() -> None:
    """Debian's packages of the engine, the registry and the small system, where they are missing."""
    if os.environ.get("NO_CONTAINER_TESTS"):
        pytest.skip("NO_CONTAINER_TESTS is set")
    if os.geteuid() != 0:
        pytest.skip("a Docker engine of its own needs root")
    missing = sorted({package for program, package in PACKAGES.items() if shutil.which(program) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        pytest.skip(f"{', '.join(missing)} are not installed, and there is no apt-get to install them")
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(["apt-get", *words], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"apt-get {words[0]} fails: {done.stderr.strip().splitlines()[-1:]}")


def debian() -> tuple[str, str]:
    """The machine's own release and the mirror that its apt takes it from."""
    fields = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    suite = fields.get("VERSION_CODENAME", "").strip('"')
    mirrors = _mirrors(suite)
    if not mirrors:  # apt knows them only from lists it has fetched
        _lines(["apt-get", "update", "-qq"])
        mirrors = _mirrors(suite)
    if not mirrors:
        pytest.skip("this is no Debian whose packages could make a base image")
    return suite, mirrors[0]


def _mirrors(suite: str) -> list[str]:
    words = ["--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    return [
        line.split()[2] for line in _lines(["apt-get", "indextargets", *words]) if line.startswith(f"{suite} main ")
    ]


def cpu_wheel() -> Path | None:
    """A CPU wheel of torch in a folder that pip is told to look in."""
    settings = _lines([sys.executable, "-m", "pip", "config", "list"])
    folders = [word for line in settings if "find-links=" in line for word in line.split("=", 1)[1].strip("'").split()]
    return next((wheel for folder in folders for wheel in sorted(Path(folder).glob("torch-*+cpu-*.whl"))), None)


def _lines(command: Sequence[str]) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
