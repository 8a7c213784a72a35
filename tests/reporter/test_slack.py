"""A message in Slack for each run, and never a token in anything that is printed, logged or asked for."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from reporting import quick, result
from stand_ins.slack import CHANNEL, TOKEN, WEBHOOK, Slack

from project.work.reporter.reporter import Reporter
from project.work.reporter.result import Postponed, Result
from project.work.reporter.slack import SlackBot, SlackWebhook, from_environment

pytestmark = pytest.mark.slow

SAID = "*base-a*: 87.5% top-1 on the test split of R&amp;D &lt;3, 12 s"


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest.fixture
def run(tmp_path: Path) -> Result:
    return result(tmp_path, "a", best_test_accuracy=0.875, dataset="R&D <3")


def bot(slack: Slack, token: str = TOKEN, channel: str = CHANNEL) -> SlackBot:
    return SlackBot(token, channel, f"{slack.url}/api/", quick())


def refused(destination: SlackBot | SlackWebhook, run: Result) -> str:
    with pytest.raises(Postponed) as caught:
        destination.write(run)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_webhook_says_how_a_run_went(slack: Slack, run: Result) -> None:
    assert SlackWebhook(slack.url + WEBHOOK).write(run) == "message in Slack"
    assert slack.messages == [{"text": SAID}]


def test_a_bot_shows_the_curve(slack: Slack, run: Result) -> None:
    (run.folder / "curve.png").write_bytes(b"\x89PNG picture")
    assert bot(slack).write(run) == f"message in Slack channel {CHANNEL}"
    assert slack.messages == [{"text": SAID, "picture": b"\x89PNG picture", "title": "base-a.png"}]


def test_a_bot_without_a_curve_says_it_in_words(slack: Slack, run: Result) -> None:
    bot(slack).write(run)
    assert slack.messages == [{"text": SAID}]


def test_it_waits_when_slack_asks_for_time(slack: Slack, run: Result) -> None:
    slack.fail(429, headers={"Retry-After": "1"})
    begun = time.monotonic()
    SlackWebhook(slack.url + WEBHOOK, quick()).write(run)
    assert time.monotonic() - begun > 1
    slack.fail(429, times=10**6)
    assert "Slack did not take the message (it is asked too often)" in refused(bot(slack), run)
    assert len(slack.messages) == 1


def test_an_answer_that_never_ends_holds_no_run(slack: Slack, run: Result) -> None:
    slack.fail("drip", times=2)
    webhook = SlackWebhook(slack.url + WEBHOOK, quick(seconds=0.4, answer=0.2))
    begun = time.monotonic()
    assert "no whole answer in 1 s" in refused(webhook, run)
    assert time.monotonic() - begun < 10


def test_the_environment_decides() -> None:
    names = {"SLACK_WEBHOOK_URL": "https://x", "SLACK_BOT_TOKEN": "t", "SLACK_CHANNEL": "C1"}
    kinds = {
        "": [],
        "SLACK_WEBHOOK_URL": [SlackWebhook],
        "SLACK_BOT_TOKEN": [SlackBot],
        "SLACK_CHANNEL": [],
        "SLACK_BOT_TOKEN SLACK_CHANNEL": [SlackBot],
        "SLACK_WEBHOOK_URL SLACK_BOT_TOKEN": [SlackWebhook],
        "SLACK_WEBHOOK_URL SLACK_BOT_TOKEN SLACK_CHANNEL": [SlackBot],
    }
    for given, expected in kinds.items():
        found = from_environment({name: names[name] for name in given.split()})
        assert [type(destination) for destination in found] == expected
    assert from_environment({"SLACK_WEBHOOK_URL": " \n"}) == []


@pytest.mark.parametrize(
    ("token", "channel", "advice"),
    [
        ("xoxb-wrong", CHANNEL, "Slack refused the message (invalid_auth): set SLACK_BOT_TOKEN to the bot token"),
        (TOKEN, "#general", "Slack refused the message (channel_not_found): set SLACK_CHANNEL to the channel's ID"),
        (TOKEN, "", "Slack: set SLACK_CHANNEL to the channel's ID"),
        (f"{TOKEN}\nX-Other: 1", CHANNEL, "Slack did not take the message (ValueError)"),
    ],
)
def test_what_a_bot_lacks_is_said(slack: Slack, run: Result, token: str, channel: str, advice: str) -> None:
    (run.folder / "curve.png").write_bytes(b"\x89PNG")
    said = refused(bot(slack, token, channel), run)
    assert said.startswith(advice)
    assert "xoxb-1" not in said
    assert slack.messages == []


@pytest.mark.parametrize("how", [302, 400, 403, 404, 500, "reset", "silence"])
def test_no_failure_quotes_a_secret_or_follows_it_elsewhere(
    slack: Slack, run: Result, caplog: pytest.LogCaptureFixture, how: int | str
) -> None:
    caplog.set_level("DEBUG")
    body = f"no {WEBHOOK} {TOKEN}".encode()
    slack.fail(how, times=2, body=body, headers={"Location": f"{slack.url}/elsewhere"})
    said = [refused(bot(slack), run), refused(SlackWebhook(slack.url + WEBHOOK, quick()), run)]
    assert slack.said("elsewhere") == []
    assert not [secret for secret in ("xoxb", "webhooksecret", slack.url) if secret in caplog.text + str(said)]
    assert TOKEN not in str([(request.path, request.query) for request in slack.requests])


@pytest.mark.parametrize("address", ["file:///etc/passwd", "hooks.slack.com/services/webhooksecret", "http://[bad"])
def test_a_webhook_that_is_no_web_address(run: Result, address: str) -> None:
    said = refused(SlackWebhook(address, quick()), run)
    assert address not in said
    assert said.startswith("Slack ")


def test_a_run_whose_message_fails_is_reported_all_the_same(
    slack: Slack, run: Result, capsys: pytest.CaptureFixture
) -> None:
    places = Reporter([SlackWebhook(f"{slack.url}/services/gone"), SlackWebhook(slack.url + WEBHOOK)]).report(run)
    assert places == ["no message in Slack", "message in Slack"]
    warning = "warning: Slack refused the message (no_service): make another webhook for SLACK_WEBHOOK_URL\n"
    assert capsys.readouterr().err == warning
