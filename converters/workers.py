"""Running units: one after the other, in processes of this machine, or on a Dask cluster, through one interface.

All three are ``concurrent.futures`` executors. Processes are spawned, not forked: threads of NumPy, OpenCV and Arrow
do not survive a fork. A worker whose parent was killed ends itself. A worker that dies (for want of memory, say) takes
only the units in flight along: they are tried once more, one at a time, before they count as failed.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from ..errors import MissingExtraError
from .report import UnitReport
from .units import Notify, UnitTask, attempt_unit

POLL_SECONDS = 0.5
INTERRUPTED = 130  # what shells call a process that Ctrl-C ended
# Units in flight for each worker of a cluster: the next one waits there, so that no worker idles.
UNITS_PER_THREAD = 2

_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")

Tick = Callable[[UnitTask], None]


class SerialExecutor(Executor):
    """Runs everything at once in the calling thread; interrupting it interrupts the work."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Run the call and return its finished future."""
        future: Future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass(frozen=True)
class Team:
    """An executor and how many units it should hold at a time."""

    executor: Executor
    room: int


@contextmanager
def open_team(jobs: int, scheduler: str | None) -> Iterator[Team]:
    """Give the executor that was asked for; an error or Ctrl-C drops what has not begun."""
    if scheduler is not None:
        with _cluster(scheduler) as team:
            yield team
    elif jobs == 1:
        yield Team(SerialExecutor(), 1)
    else:
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker)
        try:
            with _single_threaded():
                yield Team(executor, jobs)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Make processes that begin meanwhile do their linear algebra in one thread each, unless the user says otherwise.

    Several threads in each of several processes wait for one another more than they work.
    """
    added = {name: "1" for name in _BLAS_THREADS if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@contextmanager
def _cluster(scheduler: str) -> Iterator[Team]:
    """Give the executor of a Dask cluster, whose workers see the same files under the same paths."""
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError("distributed", "cluster") from error
    with Client(scheduler, set_as_default=False) as client:
        threads = sum(cast(dict[str, int], client.nthreads()).values())
        executor = client.get_executor(pure=False, retries=0)
        try:
            yield Team(executor, UNITS_PER_THREAD * max(threads, 1))
        finally:
            executor.shutdown(wait=False)


def _begin_worker() -> None:
    """Make a worker process die with its parent and on Ctrl-C; what it was writing is swept up by the next run."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End this process when its parent is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def run_units(
    tasks: Sequence[UnitTask], *, jobs: int, scheduler: str | None, notify: Notify | None, tick: Tick
) -> Iterator[tuple[UnitTask, UnitReport]]:
    """Yield every unit with its report as it ends.

    ``tick`` is called every half second for each unit in flight on another process; ``notify`` by the serial executor.
    """
    queue, suspects = deque(tasks), list[UnitTask]()
    while queue or suspects:
        is_retry = not queue
        if is_retry:
            queue.append(suspects.pop(0))
        with open_team(jobs, scheduler) as team:
            for task, report in _drain(queue, team, notify if jobs == 1 and scheduler is None else None, tick):
                if report is not None:
                    yield task, report
                elif is_retry:
                    yield task, _lost(task, "its worker process died twice, probably for want of memory")
                else:
                    suspects.append(task)


def _drain(
    queue: deque[UnitTask], team: Team, notify: Notify | None, tick: Tick
) -> Iterator[tuple[UnitTask, UnitReport | None]]:
    """Yield units as they end, None for those that a dead worker took along; stop early when the pool is broken."""
    flying: dict[Future, UnitTask] = {}
    is_broken = False
    while flying or (queue and not is_broken):
        while queue and len(flying) < team.room and not is_broken:
            task = queue.popleft()
            try:
                # None for all executors but the serial one: a function of this process cannot travel.
                flying[team.executor.submit(attempt_unit, task, notify)] = task
            except BrokenExecutor:
                queue.appendleft(task)
                is_broken = True
        ended, _ = wait(flying, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in ended:
            task = flying.pop(future)
            yield task, _result(future, task)
        for task in flying.values():
            tick(task)


def _result(future: Future, task: UnitTask) -> UnitReport | None:
    """Return the report of a future; None when its worker process died with it."""
    if future.cancelled():
        return _lost(task, "the cluster dropped it")
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        return None
    return future.result() if error is None else _lost(task, f"{type(error).__name__}: {error}")


def _lost(task: UnitTask, why: str) -> UnitReport:
    """Return the report of a unit whose worker could not tell what happened."""
    return UnitReport(task.source.name, "failed", error=f"unit {task.source.name} was lost: {why}")
