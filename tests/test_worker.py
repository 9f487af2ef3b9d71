"""The worker: fair turns, cancelling, errors that travel, and a limit on what waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from facelab.errors import Busy, NoFaceFound
from facelab.worker import CROWD, FAIR_SHARE, Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(max_jobs=4)
    yield worker
    worker.close()


def test_run_returns_the_result_and_works_on_one_thread(worker: Worker) -> None:
    with ThreadPoolExecutor(4) as callers:
        names = set(callers.map(lambda _: worker.run(lambda: threading.current_thread().name), range(4)))
    assert len(names) == 1 and names != {threading.current_thread().name}
    assert worker.run(divmod, 7, 3) == (2, 1)


def test_errors_travel_to_the_caller_and_leave_the_worker_alive(worker: Worker) -> None:
    def fail() -> Iterator[int]:
        yield 1
        raise NoFaceFound("none here")

    steps = worker.iterate(fail)
    assert next(steps) == 1
    with pytest.raises(NoFaceFound, match="none here"):
        next(steps)
    with pytest.raises(ZeroDivisionError):
        worker.run(lambda: 1 / 0)
    assert worker.run(lambda: "alive") == "alive" and worker.jobs == 0


def test_two_visitors_take_turns(worker: Worker) -> None:
    order: list[str] = []
    both_are_in = threading.Barrier(2)

    def embed(who: str) -> Iterator[int]:
        for step in range(20):
            order.append(who)
            time.sleep(0.002)
            yield step

    def visit(who: str) -> int:
        both_are_in.wait()
        return sum(1 for _ in worker.iterate(embed, who))

    with ThreadPoolExecutor(2) as visitors:
        assert list(visitors.map(visit, "ab")) == [20, 20]
    together = order[4:-4]
    longest = max(len(run) for run in "".join(together).replace("ab", "a b").replace("ba", "b a").split())
    assert longest <= 3, f"one visitor kept the device: {''.join(order)}"


def test_a_short_job_waits_for_one_slice_of_a_long_one(worker: Worker) -> None:
    def endless() -> Iterator[int]:
        while True:
            time.sleep(0.01)
            yield 0

    long = worker.iterate(endless)
    going = threading.Event()
    stop = threading.Event()

    def watch() -> None:
        for _ in long:
            going.set()
            if stop.is_set():
                break
        long.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(watch)
        going.wait(5)
        started = time.perf_counter()
        assert worker.run(lambda: "done") == "done"
        assert time.perf_counter() - started < 0.5
        stop.set()


def test_closing_cancels_and_closes_the_inner_iterator(worker: Worker) -> None:
    closed = threading.Event()
    steps_made = []

    def embed() -> Iterator[int]:
        try:
            for step in range(1000):
                steps_made.append(step)
                yield step
        finally:
            closed.set()

    steps = worker.iterate(embed)
    assert [next(steps), next(steps)] == [0, 1]
    steps.close()
    assert closed.wait(5) and steps_made == [0, 1] and worker.jobs == 0


def test_too_many_jobs_get_a_friendly_refusal(worker: Worker) -> None:
    waiting = [worker.iterate(lambda: iter(range(9))) for _ in range(4)]
    for steps in waiting:
        next(steps)
    with pytest.raises(Busy, match="try again"):
        worker.run(lambda: None)
    with pytest.raises(Busy):
        next(worker.iterate(lambda: iter([1])))
    assert worker.finish(lambda: "done") == "done", "what was let in comes to its end"
    waiting[0].close()
    assert worker.run(lambda: "there is room again")
    for steps in waiting:
        steps.close()


def test_whoever_waits_for_a_worker_that_is_closed_is_told_so() -> None:
    worker, begun, done = Worker(), threading.Event(), threading.Event()
    with ThreadPoolExecutor(4) as callers:
        running = callers.submit(worker.run, lambda: begun.set() or done.wait())
        begun.wait()
        waiting = [callers.submit(worker.run, done.wait), callers.submit(list, worker.iterate(range, 2))]
        while worker._thread._work_queue.qsize() < len(waiting):
            time.sleep(0.01)
        closing = callers.submit(worker.close)
        for each in waiting:
            with pytest.raises(Busy, match="shutting down"):
                each.result()
        done.set()
        assert running.result() and closing.result() is None


def test_a_closed_worker_says_so() -> None:
    worker = Worker()
    steps = worker.iterate(lambda: iter(range(9)))
    next(steps)
    worker.close()
    with pytest.raises(Busy, match="shutting down"):
        next(steps)
    with pytest.raises(Busy, match="shutting down"):
        worker.run(lambda: None)


def test_whoever_fills_the_queue_keeps_nobody_else_out() -> None:
    asking, done = threading.local(), threading.Event()
    worker = Worker(max_jobs=6, visitor=lambda: getattr(asking, "name", ""))

    def ask(name: str) -> str:
        asking.name = name
        try:
            return worker.run(done.wait) and "done"
        except Busy:
            return "refused"

    with ThreadPoolExecutor(30) as callers:
        script = [callers.submit(ask, "script") for _ in range(10)]
        while sum(each.done() for each in script) < 4:
            time.sleep(0.01)
        assert worker.jobs == 6
        others = [callers.submit(ask, name) for name in ("ann", "ben") for _ in range(FAIR_SHARE)]
        while worker.jobs < 6 + 2 * FAIR_SHARE:
            time.sleep(0.01)
        assert ask("ann") == ask("") == ask("script") == "refused"
        done.set()
        answers = [each.result() for each in script]
        assert answers.count("done") == 6 and {each.result() for each in others} == {"done"}
    assert worker.jobs == 0 and not worker._jobs, "nobody is remembered"
    worker.close()


def test_even_a_queue_of_fair_shares_has_an_end() -> None:
    names = iter(range(100))
    worker = Worker(max_jobs=1, visitor=lambda: str(next(names)))
    jobs = [worker.iterate(range, 2) for _ in range(CROWD + 1)]
    assert [next(job) for job in jobs[:CROWD]] == [0] * CROWD
    with pytest.raises(Busy, match=f"{CROWD} jobs are under way"):
        next(jobs[-1])
    worker.close()
