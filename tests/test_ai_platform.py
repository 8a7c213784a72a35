"""Training jobs, by Google's own client library against a local server that plays Vertex AI."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_ins.vertex import Vertex

from ai_platform import WAITS, CloudSettings, Jobs
from project.command import cloud, training_job
from project.command.training_job import JobSettings
from project.work.common import ROOT, UserError
from project.work.machine import google_account

pytestmark = pytest.mark.slow

FAILED = "The replica workerpool0-0 exited with a non-zero status of 2.\nSee the logs."


@pytest.fixture
def vertex() -> Iterator[Vertex]:
    with Vertex(page=3) as server:
        yield server


@pytest.fixture
def config(vertex: Vertex, tmp_path: Path) -> dict[str, Any]:
    """What invoke.yaml says, with a key file for the stand-in."""
    return {
        "gcp_project": "my-project",
        "region": "europe-west4",
        "bucket": "my-bucket",
        "endpoint": vertex.url,
        "credential_path": str(vertex.key_file(tmp_path / "key.json")),
        "remote": {"repository": "europe-west4-docker.pkg.dev/my-project/images/noisy"},
        "tag": "abc123",
    }


@pytest.fixture
def jobs(config: dict[str, Any]) -> Jobs:
    """A client that notes its waits and does not wait."""
    session = google_account.session(config["credential_path"])
    client = Jobs(
        session, cloud.read(CloudSettings, config, {}), timeout=0.5, sleep=lambda wait: client.waits.append(wait)
    )
    client.waits = []
    return client


def request(name: str = "train-run1") -> dict[str, Any]:
    return training_job.body(JobSettings(), name, "host/image:tag", ["--epoch=1"], "gs://b/outputs/run1")


def inv(config: dict[str, Any], *words: str, **options: Any) -> subprocess.Popen:
    """An inv command with settings as flags, in a process of its own."""
    known = {"gcp_project", "region", "endpoint", "credential_path"} | (
        {"bucket", "tag"} if "train" in words[0] else set()
    )
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in config.items() if name in known]
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words, *flags]
    pipe = subprocess.PIPE
    usual = {"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, "text": True, "start_new_session": True}
    usual["env"] = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, **usual | options)


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_job_is_what_its_settings_say() -> None:
    settings = JobSettings(spot=True, timeout=7200, service_account="trainer@p.iam.gserviceaccount.com")
    assert training_job.body(settings, "train-1", "host/image:tag", ["--epoch=1"], "gs://b/outputs/1") == {
        "displayName": "train-1",
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {
                        "machineType": "g2-standard-8",
                        "acceleratorType": "NVIDIA_L4",
                        "acceleratorCount": 1,
                    },
                    "replicaCount": "1",
                    "containerSpec": {
                        "imageUri": "host/image:tag",
                        "args": ["--epoch=1"],
                        "env": [{"name": "PYTHONUNBUFFERED", "value": "1"}],
                    },
                }
            ],
            "scheduling": {"timeout": "7200s", "strategy": "SPOT", "restartJobOnWorkerRestart": True},
            "serviceAccount": "trainer@p.iam.gserviceaccount.com",
            "baseOutputDirectory": {"outputUriPrefix": "gs://b/outputs/1"},
        },
    }


def test_a_job_without_gpu_names_no_accelerator() -> None:
    body = training_job.body(JobSettings(accelerator_count=0), "n", "i", [], "gs://b/o")
    assert body["jobSpec"]["workerPoolSpecs"][0]["machineSpec"] == {"machineType": "g2-standard-8"}


@pytest.mark.parametrize("how", [429, 500, 503, "reset", "silence"])
@pytest.mark.parametrize("carried_out", [False, True])
def test_a_submit_that_fails_for_a_moment_starts_one_job(
    vertex: Vertex, jobs: Jobs, how: Any, carried_out: bool
) -> None:
    vertex.fail(how, where="POST /v1", carried_out=carried_out and how != 429)
    job = jobs.submit(request())
    assert list(vertex.jobs) == [job["name"]]


def test_a_submit_whose_every_answer_is_lost_finds_its_job(vertex: Vertex, jobs: Jobs) -> None:
    vertex.fail("reset", where="POST /v1", times=1, carried_out=True)
    vertex.fail(503, where="GET /v1", skip=1, times=3)
    assert jobs.submit(request())["name"] in vertex.jobs
    assert len(vertex.jobs) == 1


def test_when_it_cannot_be_known_whether_a_job_was_started_that_is_said(vertex: Vertex, jobs: Jobs) -> None:
    vertex.fail("reset", where="POST /v1", carried_out=True)
    vertex.fail(503, where="GET /v1", skip=1, times=99)
    with pytest.raises(UserError, match=r"train-run1 may have been submitted all the same: see \./inv jobs"):
        jobs.submit(request())
    assert len(vertex.jobs) == 1


def test_a_server_that_stays_busy_is_given_up_after_five_attempts(vertex: Vertex, jobs: Jobs) -> None:
    message = {"error": {"status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded for\n custom_model_training."}}
    vertex.fail(429, where="POST /v1", times=99, body=message)
    with pytest.raises(UserError) as refusal:
        jobs.submit(request())
    said = "Vertex AI: 429 RESOURCE_EXHAUSTED: Quota exceeded for custom_model_training.; tried 5 times"
    assert str(refusal.value) == said
    assert len(vertex.said("POST /v1")) == len(WAITS)
    assert jobs.waits == list(WAITS[1:])


def test_a_server_that_names_a_wait_is_given_it_within_reason(vertex: Vertex, jobs: Jobs) -> None:
    vertex.fail(429, where="POST /v1", headers={"Retry-After": "7"})
    vertex.fail(503, where="POST /v1", headers={"Retry-After": "86400"})
    jobs.submit(request())
    assert jobs.waits == [7.0, 30.0]


@pytest.mark.parametrize("code", [400, 401, 403, 404])
def test_a_refusal_is_told_in_the_apis_words_and_not_repeated(vertex: Vertex, jobs: Jobs, code: int) -> None:
    words = "Permission 'aiplatform.customJobs.create' denied."
    vertex.fail(code, where="POST /v1", times=9, body={"error": {"status": "WORD", "message": words}})
    with pytest.raises(UserError, match=f"^Vertex AI: {code} WORD: {re.escape(words)}"):
        jobs.submit(request())
    assert len(vertex.said("POST /v1")) == (3 if code == 401 else 1)  # google-auth takes a new token twice


def test_a_proxys_page_is_not_quoted(vertex: Vertex, jobs: Jobs) -> None:
    vertex.fail(403, where="GET /v1", body=b"<html>\n<h1>Forbidden</h1>\n</html>")
    with pytest.raises(UserError, match=r"^Vertex AI: 403 Forbidden; the account needs the role"):
        jobs.recent(5)


def test_a_run_is_not_started_twice_at_once_but_again_after_a_failure(vertex: Vertex, jobs: Jobs) -> None:
    first = jobs.submit(request())["name"]
    with pytest.raises(UserError, match=f"train-run1 is PENDING already; follow it with: ./inv follow {first}"):
        jobs.submit(request())
    vertex.set_state(first, "FAILED", FAILED)
    assert jobs.submit(request())["name"] != first


def test_a_lost_answer_is_not_taken_for_an_earlier_job_of_that_name(vertex: Vertex, jobs: Jobs) -> None:
    first = jobs.submit(request())["name"]
    vertex.set_state(first, "FAILED", FAILED)
    vertex.fail(500, where="POST /v1", carried_out=True)
    second = jobs.submit(request())["name"]
    assert [first, second] == list(vertex.jobs)


def test_jobs_are_listed_newest_first_over_all_pages(vertex: Vertex, jobs: Jobs) -> None:
    for number in range(8):
        jobs.submit(request(f"train-{number}"))
    assert [job["displayName"] for job in jobs.recent(7)] == [f"train-{number}" for number in (7, 6, 5, 4, 3, 2, 1)]


def test_following_survives_a_bad_moment_and_says_each_state_once(vertex: Vertex, jobs: Jobs) -> None:
    name = jobs.submit(request())["name"]
    said: list[str] = []
    states = iter(["PENDING", "PENDING", "RUNNING", "RUNNING", "FAILED"])

    def sleep(wait: float) -> None:
        vertex.set_state(name, next(states), FAILED)

    jobs.sleep = sleep
    vertex.fail("reset", where="GET /v1", skip=1)
    vertex.fail(502, where="GET /v1", skip=2)
    job = jobs.follow(name, said.append)
    assert said == ["PENDING", "RUNNING", "FAILED"]
    assert job["error"]["message"] == FAILED


def test_a_submitted_job_is_named_with_what_to_do_next(vertex: Vertex, config: dict, capsys: Any) -> None:
    cloud.train(
        config, {"detach": True, "batch_size": "64", "lr": "1e-2", "mixup": True, "no_amp": True, "uuid": "run1"}
    )
    (name,) = vertex.jobs
    number = name.rpartition("/")[2]
    assert capsys.readouterr().out.splitlines() == [
        f"submitted train-run1: {name}",
        "in a browser    https://console.cloud.google.com/ai/platform/locations/europe-west4/training/"
        f"{number}?project=my-project",
        f"follow it with  ./inv follow {name}",
        f"cancel it with  ./inv cancel {name}",
    ]
    container = vertex.jobs[name]["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    assert container["imageUri"] == "europe-west4-docker.pkg.dev/my-project/images/noisy:abc123"
    assert sorted(container["args"]) == [
        "--batch-size=64",
        "--data-uri=gs://my-bucket/input",
        "--learning-rate=1e-2",
        "--mixup",
        "--no-amp",
        "--output-uri=gs://my-bucket/outputs/run1",
        "--recipe=default",
        "--uuid=run1",
    ]


def test_a_dry_run_prints_the_request_and_sends_nothing(vertex: Vertex, config: dict, capsys: Any) -> None:
    values = {"epoch": "3", "uuid": "run1"}
    cloud.train(config | {"credential_path": None}, values | {"dry_run": True})
    printed = json.loads(capsys.readouterr().out)
    assert vertex.requests == []
    cloud.train(config, values | {"detach": True})
    assert vertex.said("POST /v1")[0].json == printed


def test_flags_win_over_invoke_yaml_and_a_persons_settings_reach_the_job(
    vertex: Vertex, config: dict, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "settings.yaml"
    own.write_text(
        "epoch: 7\nmixup: true\noutput: /home/me/runs\ncredential_path: /home/me/key.json\nsheet_key: 1AbC\n"
    )
    monkeypatch.setattr(cloud, "DEFAULTS_FILE", own)
    configured = config | {"spot": True, "instance_type": "n1-standard-8", "timeout": 600, "accelerator_count": 2}
    cloud.train(configured, {"dry_run": True, "no_spot": True, "timeout": "900", "no_mixup": True})
    spec = json.loads(capsys.readouterr().out)["jobSpec"]
    assert spec["scheduling"] == {"timeout": "900s", "strategy": "STANDARD", "restartJobOnWorkerRestart": True}
    pool = spec["workerPoolSpecs"][0]
    assert pool["machineSpec"]["machineType"] == "n1-standard-8"
    assert pool["machineSpec"]["acceleratorCount"] == 2
    arguments = [word for word in pool["containerSpec"]["args"] if "uri" not in word and "uuid" not in word]
    assert sorted(arguments) == ["--epoch=7", "--gpu=0,1", "--no-mixup", "--recipe=default", "--sheet-key=1AbC"]
    cloud.train(config, {"dry_run": True, "resume": "run1"})
    (pool,) = json.loads(capsys.readouterr().out)["jobSpec"]["workerPoolSpecs"]
    arguments = [word for word in pool["containerSpec"]["args"] if "uri" not in word]
    assert sorted(arguments) == ["--resume=run1", "--sheet-key=1AbC"]  # a run keeps the settings it was started with


@pytest.mark.parametrize(
    ("missing", "values", "reason"),
    [
        ("bucket", {}, "bucket is not known: set it in invoke.yaml or give --bucket"),
        ("gcp_project", {}, "gcp_project is not known: set it in invoke.yaml or give --gcp-project"),
        ("remote", {}, "no image is known: set remote.repository in invoke.yaml and run ./inv push-remote"),
        ("", {"batch_size": "0"}, r"--batch-size: 0 is outside \[2, inf\)"),
        ("", {"accelerator_count": "many"}, "--accelerator-count: 'many' is not a whole number"),
        ("", {"dataset": "/data/mine"}, "--dataset /data/mine: a job cannot see this machine's files"),
        ("", {"credential_path": "/no/key.json"}, "credential_path /no/key.json: no such file; set credential_path"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    vertex: Vertex, config: dict, missing: str, values: dict, reason: str
) -> None:
    config.pop(missing, None)
    with pytest.raises(UserError, match=f"^{reason}"):
        cloud.train(config, values)
    assert vertex.requests == []


def test_a_wrong_value_in_invoke_yaml_names_the_file(config: dict) -> None:
    with pytest.raises(UserError, match=r"^invoke\.yaml: --timeout: 'two hours' is not a whole number"):
        cloud.train(config | {"timeout": "two hours"}, {})


def test_without_credentials_one_line_says_what_to_do(config: dict, tmp_path: Path) -> None:
    del config["credential_path"]
    nothing = {"HOME": str(tmp_path), "NO_GCE_CHECK": "true", "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    process = inv(config, "jobs", env=nothing)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert errors == (
        "error: no Google credentials were found; set credential_path in invoke.yaml to a service account's key file,"
        " or run: gcloud auth application-default login\n"
    )


def test_a_withdrawn_key_is_one_line_too_and_no_secret_is_in_it(vertex: Vertex, config: dict, tmp_path: Path) -> None:
    vertex.key_file(tmp_path / "newer.json")  # the account's only valid key from now on
    process = inv(config, "jobs")
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert errors == "error: Google does not accept the credentials (invalid_grant: Invalid JWT Signature.)\n"


def test_a_failed_job_shows_its_own_text_and_no_token_and_exits_unsuccessfully(vertex: Vertex, config: dict) -> None:
    config["tag"] = "host/image:tag"
    process = inv(config, "train-ai-platform", "--epoch=1")
    until(lambda: vertex.jobs)
    (name,) = vertex.jobs
    vertex.set_state(name, "FAILED", FAILED)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == f"error: {name} FAILED: {' '.join(FAILED.split())}\n"
    assert not any(token in out + errors for token in vertex.tokens)
    sent = vertex.said("POST /v1")[0]
    assert sent.headers["authorization"].removeprefix("Bearer ") in vertex.tokens
    key = json.loads(Path(config["credential_path"]).read_text())
    assert not any(secret.encode() in sent.body for secret in (key["private_key_id"], "PRIVATE KEY", *vertex.tokens))


def test_ctrl_c_while_a_job_is_being_submitted_says_that_it_may_be_there(vertex: Vertex, config: dict) -> None:
    vertex.fail("silence", where="POST /v1", carried_out=True)
    process = inv(config | {"tag": "host/image:tag"}, "train-ai-platform", "--uuid=run1")
    until(lambda: vertex.jobs)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "\ntrain-run1 may have been submitted: see ./inv jobs\n"


def test_losing_sight_of_a_job_is_not_losing_the_job(
    vertex: Vertex, config: dict, jobs: Jobs, monkeypatch: Any
) -> None:
    monkeypatch.setattr("ai_platform.WAITS", (0.0, 0.0))
    name = jobs.submit(request())["name"]
    vertex.fail(503, where="GET /v1", skip=1, times=99)
    with pytest.raises(UserError, match=rf"503 .*; tried 2 times; the job itself keeps running: \./inv follow {name}$"):
        cloud.follow(config, name, {})


def test_without_a_terminal_ctrl_c_only_stops_following(vertex: Vertex, config: dict, jobs: Jobs) -> None:
    name = jobs.submit(request())["name"]
    process = inv(config, "follow", name)
    assert "PENDING" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == f"\nno longer following; the job keeps running; see it with: ./inv follow {name}\n"
    assert vertex.said(":cancel") == []


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "cancelled"), [("y\n", 1), ("\n", 0), ("\x03", 0)])
def test_at_a_terminal_ctrl_c_asks(vertex: Vertex, config: dict, jobs: Jobs, answer: str, cancelled: int) -> None:
    name = jobs.submit(request())["name"]
    ours, theirs = os.openpty()
    process = inv(config, "follow", name, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=_take_terminal)
    os.close(theirs)
    _read_until(ours, "PENDING")
    os.write(ours, b"\x03")
    _read_until(ours, "[y/N]")
    os.write(ours, answer.encode())
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:  # readline misses an interrupt that comes while it gets ready to wait for keys
        os.write(ours, answer.encode())
    assert process.wait(60) == 130
    os.close(ours)
    assert len(vertex.said(":cancel")) == cancelled


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(terminal: int, text: str) -> None:
    seen = ""
    while text not in seen:
        seen += os.read(terminal, 1000).decode()


def test_jobs_follow_and_cancel_take_a_jobs_name_or_number(
    vertex: Vertex, config: dict, jobs: Jobs, capsys: Any
) -> None:
    first, second = (jobs.submit(request(f"train-{number}"))["name"] for number in (1, 2))
    cloud.jobs(config, 5, {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"PENDING    2026-01-01T00:00:00  train-1  {first}"
    cloud.cancel(config, first, {})
    cloud.cancel(config | {"region": "europe-west4"}, second.rpartition("/")[2], {})
    assert {job["state"] for job in vertex.jobs.values()} == {"JOB_STATE_CANCELLED"}
    with pytest.raises(SystemExit, match=f"error: {first} CANCELLED: no reason given"):
        cloud.follow(config, first, {})
    with pytest.raises(UserError, match=r"400 FAILED_PRECONDITION: .* has ended and cannot be cancelled"):
        cloud.cancel(config, first, {})
    with pytest.raises(UserError, match=r"train-1: not the name of a job; \./inv jobs lists them"):
        cloud.cancel(config, "train-1", {})


@pytest.mark.slow
def test_fifty_submits_at_once_through_a_shaky_network_are_fifty_jobs(vertex: Vertex, config: dict) -> None:
    settings = cloud.read(CloudSettings, config, {})
    for how in (429, 500, "reset"):
        vertex.fail(how, where="POST /v1", times=10, skip=5, carried_out=how != 429)

    def submit(number: int) -> None:
        session = google_account.session(config["credential_path"])
        Jobs(session, settings, timeout=10, sleep=lambda wait: time.sleep(wait / 20)).submit(request(f"train-{number}"))

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job["displayName"] for job in vertex.jobs.values()) == sorted(f"train-{n}" for n in range(50))


def test_the_list_of_commands_is_instant_and_needs_nothing_but_invoke() -> None:
    words = ["-m", "invoke", "--search-root", str(ROOT), "--list"]
    options = {"capture_output": True, "text": True, "env": os.environ | {"PYTHONPATH": str(ROOT)}}
    process = subprocess.run([sys.executable, "-X", "importtime", *words], **options)
    assert "train-ai-platform" in process.stdout
    loaded = {
        line.rsplit("|")[-1].strip().split(".")[0] for line in process.stderr.splitlines() if "import time" in line
    }
    assert loaded & {"google", "requests", "torch", "numpy", "pandas", "tqdm", "filelock"} == set()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # CPU time: the machine may be busy
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
