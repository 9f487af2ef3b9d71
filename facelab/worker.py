"""The device's one queue: work in slices, a job's next one behind everybody else's, so that nobody's page freezes."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec, TypeVar

from facelab.errors import Busy

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

MAX_JOBS = 16
FAIR_SHARE = 4  # jobs of one visitor that a full queue lets in, so that nobody's sixteen keep out everybody else
CROWD = 4  # times MAX_JOBS: how many jobs a full queue lets in that way
_CLOSED = "This server is shutting down. Start it again to go on."
_END: Any = object()


class Worker:
    """One thread that does all work on the device, one slice at a time, first come first served.

    A job has never more than one slice in the queue, which makes the turns fair: after its slice it stands behind all
    others. So keep slices short (one step of an embedding); the longest one is what everybody waits at most per turn.
    """

    def __init__(self, *, max_jobs: int = MAX_JOBS, visitor: Callable[[], str] = lambda: "") -> None:
        """max_jobs: how many jobs may be under way or waiting before the next one is refused to visitors who have their
        share of them. visitor: who asks, in the thread that asks; "" where nobody knows.
        """
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="facelab-device", initializer=_leave_a_core)
        self._lock = threading.Lock()
        self._max_jobs = max_jobs
        self._visitor = visitor
        self._jobs: Counter[str] = Counter()

    @property
    def jobs(self) -> int:
        """How many jobs are under way or waiting."""
        return self._jobs.total()

    def run(self, work: Callable[Arguments, Result], *args: Arguments.args, **options: Arguments.kwargs) -> Result:
        """Do `work(*args, **options)` as one slice and return its result; what it raises is raised here.

        Raises Busy when too many jobs are waiting.
        """
        with self._admitted():
            return self.finish(work, *args, **options)

    def finish(self, work: Callable[Arguments, Result], *args: Arguments.args, **options: Arguments.kwargs) -> Result:
        """`run` for what ends a job that was let in before: it is not refused, however many jobs wait by now."""
        return _result(self._slice(work, *args, **options))

    def iterate(
        self, work: Callable[Arguments, Iterator[Result]], *args: Arguments.args, **options: Arguments.kwargs
    ) -> Iterator[Result]:
        """Go through `work(*args, **options)`, each `next` of it one slice on the device's thread.

        Closing the returned iterator cancels the job: no further slice runs, and the inner iterator is closed on the
        device's thread. What the inner iterator raises is raised here. Raises Busy, at the first `next`, when too many
        jobs are waiting.
        """
        with self._admitted():
            inner = iter(_result(self._slice(work, *args, **options)))
            try:
                while (item := _result(self._slice(next, inner, _END))) is not _END:
                    yield item
            finally:
                close = getattr(inner, "close", None)
                if close is not None:
                    with suppress(Busy):  # at shutdown nothing is left to be cancelled
                        self._slice(close)

    def close(self) -> None:
        """Finish the slice under way and take no more work; whoever still waits is told so by Busy."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _slice(self, work: Callable[..., Any], *args: Any, **options: Any) -> Future:
        try:
            return self._thread.submit(work, *args, **options)
        except RuntimeError as cause:
            raise Busy(_CLOSED) from cause

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        visitor = self._visitor()
        with self._lock:
            jobs = self._jobs.total()
            has_share = not visitor or self._jobs[visitor] >= FAIR_SHARE
            if jobs >= self._max_jobs * (1 if has_share else CROWD):
                raise Busy(
                    f"{jobs} jobs are under way on this machine just now, which is all it can serve. "
                    "Your work is kept; try again in a minute."
                )
            self._jobs[visitor] += 1
        try:
            yield
        finally:
            with self._lock:
                self._jobs[visitor] -= 1
                self._jobs += Counter()  # forgets who has none


def _result(slice_: Future) -> Any:
    try:
        return slice_.result()
    except CancelledError as cause:  # it was still waiting when the worker was closed
        raise Busy(_CLOSED) from cause


def _leave_a_core() -> None:
    """Let this thread's arithmetic use all cores but one, which the page's server and the rest of the machine need.

    On 2 cores the second one would win a third where nothing else runs, and lose five times the speed where something
    does: OpenMP's threads wait for each other at every operation.
    """
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))
