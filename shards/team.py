"""Running tasks: one after the other, in processes of this machine, or on a Dask cluster, through one interface.

All three are ``concurrent.futures`` executors. Processes are spawned, not forked: threads of NumPy, OpenCV, Arrow and
torch do not survive a fork. A worker whose parent was killed ends itself. A worker that dies (for want of memory, say)
takes only the tasks in flight along: they are tried once more, one at a time, before they count as lost.
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
from typing import Any, Generic, TypeVar, cast

from ..errors import EhpsError, MissingExtraError

POLL_SECONDS = 0.5
INTERRUPTED = 130  # what shells call a process that Ctrl-C ended
# Tasks in flight for each worker of a cluster: the next one waits there, so that no worker idles.
TASKS_PER_THREAD = 2

_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")

Task = TypeVar("Task")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Lost:
    """A task whose worker could not tell what happened, and why."""

    why: str


class SerialExecutor(Executor):
    """Runs everything at once in the calling thread; interrupting it interrupts the work."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Run the call and return its finished future."""
        future: Future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass(frozen=True)
class Team:
    """An executor and how many tasks it should hold at a time."""

    executor: Executor
    room: int


@contextmanager
def open_team(jobs: int, scheduler: str | None, *, threads: int = 1) -> Iterator[Team]:
    """Give the executor that was asked for; an error or Ctrl-C drops what has not begun.

    ``threads`` is how many each process of this machine may do linear algebra in.
    """
    if scheduler is not None:
        with _cluster(scheduler) as team:
            yield team
    elif jobs == 1:
        yield Team(SerialExecutor(), 1)
    else:
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker)
        try:
            with _limited_threads(threads):
                yield Team(executor, jobs)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _limited_threads(threads: int) -> Iterator[None]:
    """Make processes that begin meanwhile do their linear algebra in few threads each, unless the user says otherwise.

    More threads than processors wait for one another more than they work.
    """
    added = {name: str(threads) for name in _BLAS_THREADS if name not in os.environ}
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
    try:
        connected = Client(scheduler, set_as_default=False)
    except OSError as error:
        raise EhpsError(f"no Dask scheduler answers at {scheduler}; start one with: dask scheduler") from error
    with connected as client:
        threads = sum(cast(dict[str, int], client.nthreads()).values())
        executor = client.get_executor(pure=False, retries=0)
        try:
            yield Team(executor, TASKS_PER_THREAD * max(threads, 1))
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


@dataclass(frozen=True)
class Crew(Generic[Task, Answer]):
    """What is done about each task: where, by which function, and what to look at while others work.

    ``work`` travels by pickle unless it runs in this process; ``tick`` is called every half second for each task in
    flight on another process.
    """

    work: Callable[[Task], Answer]
    jobs: int = 1
    scheduler: str | None = None
    threads: int = 1
    tick: Callable[[Task], None] | None = None

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Answer | Lost]]:
        """Yield every task with its answer as it ends."""
        queue, suspects = deque(tasks), list[Task]()
        while queue or suspects:
            is_retry = not queue
            if is_retry:
                queue.append(suspects.pop(0))
            with open_team(self.jobs, self.scheduler, threads=self.threads) as team:
                for task, answer in self._drain(queue, team):
                    if answer is not None:
                        yield task, answer
                    elif is_retry:
                        yield task, Lost("its worker process died twice, probably for want of memory")
                    else:
                        suspects.append(task)

    def _drain(self, queue: deque[Task], team: Team) -> Iterator[tuple[Task, Answer | Lost | None]]:
        """Yield tasks as they end, None for those that a dead worker took along; stop early when the pool is broken."""
        flying: dict[Future, Task] = {}
        is_broken = False
        while flying or (queue and not is_broken):
            while queue and len(flying) < team.room and not is_broken:
                task = queue.popleft()
                try:
                    flying[team.executor.submit(self.work, task)] = task
                except BrokenExecutor:
                    queue.appendleft(task)
                    is_broken = True
            ended, _ = wait(flying, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in ended:
                yield flying.pop(future), _answer(future)
            for task in flying.values():
                self._look(task)

    def _look(self, task: Task) -> None:
        if self.tick is not None:
            self.tick(task)


def _answer(future: Future) -> Any:
    """Return what a future gives; None when its worker process died with it."""
    if future.cancelled():
        return Lost("the cluster dropped it")
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        return None
    return future.result() if error is None else Lost(f"{type(error).__name__}: {error}")
