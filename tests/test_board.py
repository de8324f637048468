"""What a terminal shows of a fleet at work, as text."""

import pytest

from releases.board import Board, State


def shown(board: Board, now_s: float, *, width: int = 72, height: int = 24) -> list[str]:
    return [line.text for line in board.lines(now_s, width=width, height=height)]


def fleet(count: int, at_s: float = 0.0) -> Board:
    """So many hosts, all of which prove."""
    board = Board()
    for i in range(1, count + 1):
        board = board.began(f"web{i}", "switch", "prove", at_s)
    return board


def test_bytes_on_their_way_are_a_bar_with_its_speed_and_the_time_left() -> None:
    """And the age of the last word ends at the right edge."""
    board = Board().began("web1", "stage", "send", 10.0).sent("web1", 2_500_000, 10_000_000, 14.0)
    assert shown(board, 15.0, width=90) == [
        "web1  stage  send  ━━━━━───────────────  25% of 10.0 MB, 500.0 kB/s, 15 s left         1 s"
    ]
    whole = board.sent("web1", 10_000_000, 10_000_000, 15.0)
    assert shown(whole, 15.0, width=90) == [
        "web1  stage  send  ━━━━━━━━━━━━━━━━━━━━ 100% of 10.0 MB, 2.0 MB/s                      0 s"
    ]


def test_a_step_that_begins_forgets_the_bar_and_the_failure_of_the_one_before() -> None:
    """They were not its own."""
    board = Board().began("a", "stage", "send", 0).sent("a", 1, 2, 1).failed("a", 2).began("a", "stage", "takeback", 3)
    assert shown(board, 3, width=30) == ["a  stage  takeback         0 s"]


def test_a_host_that_fails_and_one_that_waits_say_so() -> None:
    """Each with the age of its last word."""
    board = fleet(3).failed("web1", 5).ended("web2", 6)
    assert shown(board, 10, width=40) == [
        "web1  switch  prove failed           5 s",
        "web2  switch  waits                  4 s",
        "web3  switch  prove                 10 s",
    ]


def test_what_a_host_says_is_a_word() -> None:
    """Of one that has begun; who builds is none of the hosts."""
    board = fleet(1).heard("web1", 8).heard("build", 9)
    assert shown(board, 10, width=30) == ["web1  switch  prove        2 s"]


def test_fifty_hosts_take_no_more_lines_than_there_are() -> None:
    """Who failed first, then who is silent, then who works; the rest is counted."""
    board = fleet(50, at_s=30)
    for i in range(1, 31):
        board = board.ended(f"web{i}", 30)
    board = board.failed("web17", 30).began("web20", "switch", "prove", 5).began("web21", "switch", "arm", 30)
    assert shown(board, 30, width=40, height=6) == [
        "web17  switch  prove failed          0 s",
        "web20  switch  prove                25 s",
        "web21  switch  arm                   0 s",
        "web31  switch  prove                 0 s",
        "web32  switch  prove                 0 s",
        "and 45 more: 18 at work, 27 waiting",
    ]
    assert [line.state for line in board.lines(30, width=40, height=6)][:3] == [State.FAILED, State.QUIET, State.WORKS]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 2), (20, 3), (200, 60)])
def test_a_screen_of_any_size_is_never_too_small(width: int, height: int) -> None:
    """Nothing wraps, or the terminal would scroll what is drawn over."""
    board = Board().began("web1.shop.example.com:2222", "rehearse", "rehearse web", 0)
    for i in range(40):
        board = board.began(f"host{i}", "stage", "send", 0).sent(f"host{i}", 1, 3, 1)
    lines = shown(board, 100, width=width, height=height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= max(width, len("1 min"))


def test_who_waits_for_the_others_is_in_no_trouble() -> None:
    """However long that takes."""
    assert [line.state for line in fleet(1).ended("web1", 0).lines(1000, width=40, height=4)] == [State.WAITS]
