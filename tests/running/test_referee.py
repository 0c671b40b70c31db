"""Jobs that take turns: who is next, at which case, and what happens to one whose partner never comes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager

import pytest

from pacbench.running.referee import Referee
from pacbench.running.seat import Seat

PATIENCE_S = 0.4


class Player:
    """A job: it visits cases in order and takes its turns there."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.told = told
        self.alone: list[str] = []
        self.taken: dict[str, int] = {}

    def visit(
        self, seat: Seat, cases: Sequence[str], at: Callable[[str], None] = lambda _: None, turn: int | None = None
    ) -> None:
        seat.announce(cases)
        for case in cases:
            at(case)
            turns = seat.arrive(case, 0.01, rounds=turn, least=3, timed_s=0.0)
            if turns is None:
                self.alone.append(case)
                continue
            for _ in range(turns.number):
                seat.begin_turn()
                self.told.append(f"{self.name}+")
                time.sleep(0.001)
                self.told.append(f"{self.name}-")
                seat.end_turn()
                self.taken[case] = self.taken.get(case, 0) + 1
            seat.stay()


@contextmanager
def playing(*visits: Callable[[Seat], None], patience_s: float = 20.0):
    """Each visit in a thread of its own, with the seat that it is given."""
    failures: list[BaseException] = []
    with Referee(len(visits), patience_s=patience_s) as referee:

        def play(number: int) -> None:
            seat = Seat(os.dup(referee.descriptor(number)))
            try:
                visits[number](seat)
            except BaseException as error:  # told by the test
                failures.append(error)
            finally:
                seat._leave()
                referee.left(number)

        threads = [threading.Thread(target=play, args=(number,)) for number in range(len(visits))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive(), "waits for ever"
    assert not failures, failures
    yield


def test_two_take_turns_and_never_at_once():
    told: list[str] = []
    first, second = Player("A", told), Player("B", told)
    with playing(
        lambda seat: first.visit(seat, ["x", "y"], turn=4), lambda seat: second.visit(seat, ["x", "y"], turn=4)
    ):
        pass
    assert first.taken == second.taken == {"x": 4, "y": 4}
    once = ["A+", "A-", "B+", "B-", "B+", "B-", "A+", "A-"]
    assert told[:8] in (once, [word.translate(str.maketrans("AB", "BA")) for word in once])
    assert all(begin[0] == end[0] for begin, end in zip(told[::2], told[1::2], strict=True))


def test_three_take_turns():
    told: list[str] = []
    players = [Player(name, told) for name in "ABC"]
    with playing(*(lambda seat, one=one: one.visit(seat, ["x"], turn=2) for one in players)):
        pass
    assert [word for word in told if word.endswith("+")] == ["A+", "B+", "C+", "C+", "B+", "A+"]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_nobody_does_anything_else_before_all_are_timed(turns: int):
    told: list[str] = []
    players = [Player(name, told) for name in "ABC"]

    def visit(seat: Seat, one: Player) -> None:
        one.visit(seat, ["x"], turn=turns)
        told.append("free")

    with playing(*(lambda seat, one=one: visit(seat, one) for one in players)):
        pass
    assert told[-3:] == ["free"] * 3
    assert len(told) == 3 + 2 * 3 * turns


def test_the_most_turns_that_one_wants_are_taken():
    told: list[str] = []
    first, second = Player("A", told), Player("B", told)
    with playing(lambda seat: first.visit(seat, ["x"], turn=3), lambda seat: second.visit(seat, ["x"])):
        pass
    assert first.taken == second.taken == {"x": 20}, "0.2 s of calls of 10 ms"


def test_a_case_of_one_side_alone_holds_nobody_up():
    told: list[str] = []
    first, second = Player("A", told), Player("B", told)
    with playing(
        lambda seat: first.visit(seat, ["x", "mine", "y"], turn=2), lambda seat: second.visit(seat, ["x", "y"], turn=2)
    ):
        pass
    assert first.alone == ["mine"]
    assert second.alone == []
    assert first.taken == second.taken == {"x": 2, "y": 2}


def test_who_times_a_case_of_its_own_is_not_late():
    told: list[str] = []
    first, second = Player("A", told), Player("B", told)
    slow = {"also mine": 3 * PATIENCE_S, "y": 3 * PATIENCE_S}  # until then it is at work on the case before

    with playing(
        lambda seat: first.visit(seat, ["mine", "also mine", "y"], lambda case: time.sleep(slow.get(case, 0)), turn=2),
        lambda seat: second.visit(seat, ["y"], turn=2),
        patience_s=PATIENCE_S,
    ):
        pass
    assert first.alone == ["mine", "also mine"]
    assert first.taken == second.taken == {"y": 2}


def test_cases_in_another_order_end_too():
    told: list[str] = []
    first, second = Player("A", told), Player("B", told)
    with playing(
        lambda seat: first.visit(seat, ["x", "y"], turn=2), lambda seat: second.visit(seat, ["y", "x"], turn=2)
    ):
        pass
    assert set(first.alone) | set(first.taken) == set(second.alone) | set(second.taken) == {"x", "y"}


def test_a_job_that_ends_before_a_case_is_not_waited_for():
    told: list[str] = []
    first = Player("A", told)
    with playing(lambda seat: first.visit(seat, ["x"]), lambda seat: seat.announce(["x"])):
        pass
    assert first.alone == ["x"]


def test_a_job_that_dies_in_its_turn_leaves_the_other_to_go_on():
    told: list[str] = []
    first = Player("A", told)

    def dies(seat: Seat) -> None:
        seat.announce(["x"])
        assert seat.arrive("x", 0.01, rounds=5, least=3, timed_s=0.0) is not None
        seat.begin_turn()

    with playing(lambda seat: first.visit(seat, ["x"], turn=5), dies):
        pass
    assert first.taken == {"x": 5}


def test_a_job_that_leaves_a_case_early_comes_to_the_next():
    told: list[str] = []
    first, second = Player("A", told), Player("B", told)

    def leaves(seat: Seat) -> None:
        seat.announce(["x", "y"])
        assert seat.arrive("x", 0.01, rounds=5, least=3, timed_s=0.0) is not None
        seat.begin_turn()  # and fails there
        second.visit(seat, ["y"], turn=3)

    with playing(lambda seat: first.visit(seat, ["x", "y"], turn=3), leaves):
        pass
    assert first.taken == {"x": 5, "y": 3}
    assert second.taken == {"y": 3}
    after = told[-12:]
    assert all(begin[0] == end[0] for begin, end in zip(after[::2], after[1::2], strict=True))


def test_a_job_that_does_not_come_is_waited_for_once():
    told: list[str] = []
    first, second = Player("A", told), Player("B", told)
    with playing(
        lambda seat: first.visit(seat, ["x", "y", "z"], turn=2),
        lambda seat: second.visit(seat, ["x", "y", "z"], lambda case: time.sleep(3 * PATIENCE_S), turn=2),
        patience_s=PATIENCE_S,
    ):
        pass
    assert first.alone == ["x", "y", "z"]
    assert second.alone == ["x", "y", "z"]


def test_a_turn_without_end_is_not_waited_for():
    told: list[str] = []
    first = Player("A", told)
    taken = []

    def slow(seat: Seat) -> None:
        seat.announce(["x"])
        turns = seat.arrive("x", 0.01, rounds=3, least=3, timed_s=0.0)
        assert turns is not None
        for _ in range(turns.number):
            seat.begin_turn()
            time.sleep(3 * PATIENCE_S)
            seat.end_turn()
            taken.append(1)

    with playing(lambda seat: first.visit(seat, ["x"], turn=3), slow, patience_s=PATIENCE_S):
        pass
    assert first.taken == {"x": 3}
    assert len(taken) == 3


def test_one_core_where_all_have_one_thread():
    found = {}

    def visit(name: str, one_thread: bool):
        def visit(seat: Seat) -> None:
            seat.announce(["x"])
            turns = seat.arrive("x", 0.01, rounds=1, least=1, timed_s=0.0, one_thread=one_thread)
            assert turns is not None
            found[name] = turns.core
            seat.begin_turn()
            seat.end_turn()

        return visit

    with playing(visit("A", True), visit("B", True)):
        pass
    assert found["A"] == found["B"]
    with playing(visit("A", True), visit("B", False)):
        pass
    assert found == {"A": None, "B": None}


@pytest.mark.parametrize(
    ("seconds", "rounds", "expected"),
    [(0.001, None, (45, 4)), (0.01, None, (20, 1)), (0.05, None, (4, 1)), (10.0, None, (3, 1)), (0.001, 2, (2, 1))],
)
def test_turns_fit_the_call(seconds: float, rounds: int | None, expected: tuple[int, int]):
    found = []

    def visit(seat: Seat) -> None:
        seat.announce(["x"])
        turns = seat.arrive("x", seconds, rounds=rounds, least=3, timed_s=0.05)
        assert turns is not None
        found.append((turns.number, turns.calls))

    with playing(visit, visit):
        pass
    assert found == [expected] * 2
