"""What is done on all hosts at once."""

import signal
import threading
from collections.abc import Iterator

import pytest

from releases.report import Report
from releases.sessions import Sessions
from tests.hosts import ANA


@pytest.fixture
def going() -> Iterator[threading.Event]:
    """What hosts wait for, until the end of the test, or until nobody has moved for long."""
    event = threading.Event()
    late = threading.Timer(20, event.set)
    late.start()
    yield event
    late.cancel()
    event.set()


def test_ctrl_c_waits_for_no_host_that_does_not_answer(going: threading.Event) -> None:
    """It would have to be killed, and what it had begun settled by the next."""
    main = threading.get_ident()

    def do(name: str) -> bool:
        if name == "web2":
            signal.pthread_kill(main, signal.SIGINT)
        return going.wait()

    with pytest.raises(KeyboardInterrupt):
        Sessions((), Report(), ANA).each(("web1", "web2"), do)
    assert not going.is_set()
