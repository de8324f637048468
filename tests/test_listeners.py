"""Whoever reads what we say may stop at any time, and a disk that takes it may be full: neither stops what is done."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from releases.outcome import Outcome
from releases.plan import Phase, Step
from releases.report import Report
from tests.forks import REPOSITORY

SEND = Step("send", {}, "", Phase.STAGE)


def everything(report: Report) -> None:
    """All that a command may say."""
    report.event("plan", verb="deploy")
    report.say("hello", "web1")
    report.answer("the answer", value=1)
    report.began_step("web1", SEND)
    report.ended_step("web1", SEND, "sent")
    report.outcome(Outcome("live", release="A"))
    report.end(0)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("closed", ["out", "err"])
def test_what_nobody_reads_any_more_is_said_to_nobody(as_json: bool, closed: str) -> None:
    """No error then, and none when the stream is closed at the end; the other one hears all."""
    reads, writes = os.pipe()
    os.close(reads)
    heard = io.StringIO()
    with os.fdopen(writes, "w") as gone:
        streams = {"out": heard, "err": heard, closed: gone}
        report = Report(as_json=as_json, out=streams["out"], err=streams["err"])
        everything(report)
    assert not report.lost
    last = "live" if as_json and closed == "err" else "A is live and proven" if not as_json and closed == "out" else ""
    assert last in heard.getvalue()
    assert "switchover: " not in heard.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_an_answer_that_could_not_be_written_is_told_once(as_json: bool) -> None:
    """On a full disk: in one line on stderr."""
    with open("/dev/full", "w") as full:
        report = Report(as_json=as_json, out=full, err=(err := io.StringIO()))
        everything(report)
    assert report.lost
    said = [line for line in err.getvalue().splitlines() if line.startswith("switchover: ")]
    assert said == ["switchover: what is said on stdout cannot be written: No space left on device"]


def test_a_full_disk_under_a_deploy_loses_no_answer() -> None:
    """Its events go nowhere, and its exit code is that of the outcome."""
    with open("/dev/full", "w") as full:
        report = Report(as_json=True, out=full, err=io.StringIO())
        report.event("plan", verb="deploy")
        report.outcome(Outcome("live", release="A"))
    assert not report.lost


@pytest.mark.parametrize("closes", [">&-", "2>&-", "<&- >&- 2>&-", "| true", ">/dev/full"])
def test_a_command_without_its_streams_does_its_work(tmp_path: Path, closes: str) -> None:
    """With nothing said at the end of the interpreter, either."""
    command = f"{sys.executable} -m releases init {closes}"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=environment, capture_output=True)
    assert (ran.returncode, (tmp_path / "deploy.toml").exists()) == (74 if "full" in closes else 0, True), ran.stderr
    assert len(ran.stderr.splitlines()) == ("full" in closes)
