"""What does not run what is live is said, by `status` and by `doctor`, and so is a release that is gone."""

import io
from types import SimpleNamespace
from typing import Any

import pytest

from releases import tables
from releases.ailing import STARTS, Ailment, ailments
from releases.housekeeping import doctor
from releases.report import Report
from releases.surveyed import Surveyed
from tests.hosts import A, B, config, host, live

START = (
    "current/.venv/bin/python current/.venv/bin/gunicorn --chdir /srv/shop/current -D -p /srv/shop/gunicorn.pid app:app"
)
GUNICORN = {"web": {"kind": "gunicorn", "pidfile": "gunicorn.pid", "start": START}}
SYSTEMD = {"worker": {"kind": "systemd", "command": "work"}}
WORDS = {"web.owner": "1000", "web.word": tuple(START.split())}
RUNS = {"web.worker": "12 900", "web.mark": "500", "process": (f"12 10 3 - gunicorn {B} {B}",)}


def found(processes: Any, current: Any = B, **answers: Any) -> Surveyed:
    told = {"journal": [live(1, B)], "complete": [A, B], **answers}
    return host(current, settings=config(processes=processes), **told)


@pytest.mark.parametrize(
    ("processes", "answers", "why"),
    [
        (GUNICORN, {"web.master": "0"}, "web: its master is not running"),
        (GUNICORN, {"web.master": "10", **WORDS}, "web: master 10 has no worker yet"),
        (GUNICORN, {"web.master": "10", **RUNS}, ""),
        (SYSTEMD, {"worker.started": "none"}, f"worker: no steady instance of {B}: none is active"),
        (SYSTEMD, {"worker.instance": f"shop-worker@{B}.7.service active running 11 0 11", "uid": "0"}, ""),
        ({"job": {"kind": "command", "reload": "x", "prove": "y"}}, {}, ""),
        ({}, {}, ""),
    ],
)
def test_a_process_that_does_not_run_what_is_live_is_noted(processes: Any, answers: Any, why: str) -> None:
    """With what starts it; of what was not asked nothing is said."""
    note = f"{why}: {STARTS}" if why else ""
    ill = found(processes, **answers)
    assert ("; ".join(map(str, ailments(ill))), tables.status(ill)["note"]) == (note, note)


def test_nothing_is_said_of_processes_while_a_deploy_is_at_work() -> None:
    """It starts and stops them."""
    assert not list(ailments(found(GUNICORN, locked="1", **{"web.master": "0"})))


def test_nothing_is_live_before_a_first_deploy() -> None:
    """That is no ailment, and no process runs yet."""
    assert not list(ailments(found(GUNICORN, None, journal=[], complete=[], **{"web.master": "0"})))


def test_a_current_that_somebody_removed_is_noted() -> None:
    """P1 says that it is never missing."""
    note = tables.status(found({}, None))["note"]
    assert note == f"current is missing, though {B} was proven: `inv deploy` makes one live again"


def test_no_deploy_is_promised_that_would_be_refused() -> None:
    """For a stranger in the pidfile doctor has another hint."""
    assert list(ailments(found(GUNICORN, **{"web.stranger": "7 is no gunicorn"}))) == [Ailment("web: 7 is no gunicorn")]


def test_for_doctor_a_process_that_is_down_bites() -> None:
    """With a way out, and an exit code; what nobody would call healthy is no success."""
    report = Report(out=(out := io.StringIO()))
    fleet = SimpleNamespace(report=report)
    outcome = doctor(fleet, (found(GUNICORN, **{"web.master": "0"}),))  # type: ignore[arg-type]
    assert (outcome.exit_code, outcome.why) == (10, "1 thing would bite")
    assert f"web1: web: its master is not running\n  hint: {STARTS}\n" in out.getvalue()
