"""Vertex AI on this machine: keeps custom jobs, and runs each as main.py in a process of its own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stand_ins.account import GoogleStandIn, error
from stand_ins.server import Answer, Request

from project.work.common import ROOT

COLLECTION = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+/customJobs)(?:/([0-9]+)(:cancel)?)?")
ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}
FIELDS = {
    "": {"displayName", "jobSpec"},
    "jobSpec": {"workerPoolSpecs", "scheduling", "serviceAccount", "baseOutputDirectory"},
    "scheduling": {"timeout", "strategy", "restartJobOnWorkerRestart"},
    "workerPoolSpecs": {"machineSpec", "replicaCount", "containerSpec"},
    "machineSpec": {"machineType", "acceleratorType", "acceleratorCount"},
    "containerSpec": {"imageUri", "command", "args", "env"},
    "baseOutputDirectory": {"outputUriPrefix"},
    "env": {"name", "value"},
}


class Vertex(GoogleStandIn):
    """A project's custom jobs.

    machines: a folder for the jobs' machines; when not given, jobs stay where `set_state` puts them. environment: what
    such a machine finds beside what the job asks for. page: jobs in one page of a list, at most.
    """

    def __init__(
        self, machines: Path | None = None, environment: Mapping[str, str] | None = None, page: int = 100
    ) -> None:
        super().__init__()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.processes: dict[str, list[subprocess.Popen]] = {}
        self.page = page
        self._machines, self._environment = machines, dict(environment or {})

    def __exit__(self, *details: object) -> None:
        for process in (each for processes in self.processes.values() for each in processes):
            if process.poll() is None:
                process.kill()
                process.wait()
        super().__exit__(*details)

    def set_state(self, name: str, state: str, message: str = "") -> None:
        """Move a job on; message: why it failed."""
        with self.lock:
            self.jobs[name]["state"] = f"JOB_STATE_{state}"
            if message:
                self.jobs[name]["error"] = {"code": 3, "message": message}

    def vanish(self, name: str) -> None:
        """Take the machine of a job away, as happens to spot machines: no signal that could be caught, no disk left."""
        self.processes[name][-1].send_signal(signal.SIGKILL)

    def log(self, name: str, machine: int = 0) -> str:
        """What a job's machine printed."""
        return (self._folder(name, machine) / "log").read_text()

    def serve(self, request: Request, account: str) -> Answer:
        match = COLLECTION.fullmatch(request.path)
        if match is None:
            return error(404, "Method not found.", "NOT_FOUND")
        parent, number, cancelled = match.groups()
        if number is None:
            return self._create(parent, request) if request.method == "POST" else self._list(parent, request)
        name = f"{parent}/{number}"
        if name not in self.jobs:
            return error(404, f"CustomJob {name} is not found.", "NOT_FOUND")
        return self._cancel(name) if cancelled else Answer(200, self.jobs[name])

    def _create(self, parent: str, request: Request) -> Answer:
        wrong = _unknown(request.json, "") or _impossible(request.json)
        if wrong:
            return error(400, wrong, "INVALID_ARGUMENT")
        count = len(self.jobs)
        name = f"{parent}/{4611686018427387904 + count}"
        created = {"name": name, "state": "JOB_STATE_PENDING", "createTime": f"2026-01-01T00:{count:02d}:00.000000Z"}
        self.jobs[name] = created | request.json
        self.processes[name] = []
        if self._machines is not None:
            threading.Thread(target=self._run, args=(name,), daemon=True).start()
        return Answer(200, dict(self.jobs[name]))

    def _list(self, parent: str, request: Request) -> Answer:
        wanted = re.fullmatch('displayName="(.*)"', request.query.get("filter", ""))
        found = [job for name, job in self.jobs.items() if name.startswith(f"{parent}/")]
        found = [job for job in found if wanted is None or job["displayName"] == wanted[1]]
        first = int(request.query.get("pageToken", 0))
        end = first + min(int(request.query.get("pageSize", 100)), self.page)
        more = {"nextPageToken": str(end)} if end < len(found) else {}
        return Answer(200, {"customJobs": found[first:end]} | more)

    def _cancel(self, name: str) -> Answer:
        if self.jobs[name]["state"] in ENDED:
            return error(400, f"{name} has ended and cannot be cancelled.", "FAILED_PRECONDITION")
        self.set_state(name, "CANCELLED" if self._machines is None else "CANCELLING")
        for process in self.processes[name][-1:]:
            process.terminate()
        return Answer(200, {})

    def _run(self, name: str) -> None:
        """Run a job to its end, on as many machines as it takes when they vanish."""
        scheduling = self.jobs[name]["jobSpec"]["scheduling"]
        while True:
            process = self._start(name)
            self.set_state(name, "RUNNING")
            code = process.wait()
            if self.jobs[name]["state"] == "JOB_STATE_CANCELLING":
                return self.set_state(name, "CANCELLED")
            if code == 0:
                return self.set_state(name, "SUCCEEDED")
            if code != -signal.SIGKILL or not scheduling["restartJobOnWorkerRestart"]:
                message = f"The replica workerpool0-0 exited with a non-zero status of {code}."
                return self.set_state(name, "FAILED", message)
            self.set_state(name, "PENDING")

    def _start(self, name: str) -> subprocess.Popen:
        """A new machine with the image's code and an empty disk."""
        folder = self._folder(name, len(self.processes[name]))
        ignored = shutil.ignore_patterns("__pycache__", "*.pkl.gz", "*.pt", "settings.yaml")
        shutil.copytree(ROOT / "project" / "work", folder / "project" / "work", ignore=ignored)
        shutil.copy(ROOT / "project" / "__init__.py", folder / "project")
        container = self.jobs[name]["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
        environment = {each["name"]: each["value"] for each in container["env"]}
        environment |= {
            "PYTHONPATH": str(folder),
            "PATH": os.environ["PATH"],
            "OMP_NUM_THREADS": "1",
            "HOME": str(folder),
        }
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, folder / "project" / "work" / "main.py", *container["args"]],
                env=environment | self._environment,
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        self.processes[name].append(process)
        return process

    def _folder(self, name: str, machine: int) -> Path:
        return self._machines / f"{urllib.parse.quote(name, safe='')}-{machine}"


def _unknown(value: Any, where: str) -> str:
    """What the API says of a field that it does not know; empty when it knows all."""
    if isinstance(value, list):
        return next((found for each in value if (found := _unknown(each, where))), "")
    if not isinstance(value, dict):
        return ""
    for name, below in value.items():
        if name not in FIELDS[where]:
            return f"Invalid JSON payload received. Unknown name \"{name}\" at 'custom_job.{where}': Cannot find field."
        found = _unknown(below, name)
        if found:
            return found
    return ""


def _impossible(job: dict[str, Any]) -> str:
    """What the API says of a job that cannot be started; empty for one that can."""
    if not job.get("displayName"):
        return "display_name is required."
    for pool in job["jobSpec"]["workerPoolSpecs"]:
        machine = pool["machineSpec"]
        if ("acceleratorType" in machine) != bool(machine.get("acceleratorCount")):
            return "accelerator_type and accelerator_count must be given together."
        if not isinstance(pool["replicaCount"], str):
            return "replica_count: an int64 is a text in JSON."
    if not re.fullmatch("[0-9]+s", job["jobSpec"]["scheduling"]["timeout"]):
        return "Illegal duration format; duration must end with 's'."
    return ""
