"""One of several processes of a training, connected to the others.

A process that fails says why in the launcher's key-value store, and goes. The others see its connections close, at the latest
when they next add something up, read the reason, and end with the same exit code; with 12 if there is no reason, since it was
killed. One that stops answering without going is given up after ``runtime.peer_timeout_seconds``.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from secrets import token_hex
from threading import Thread
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed
from torch.distributed.rendezvous import rendezvous

from gancli import errors
from gancli.errors import GancliError, PeerLostError, Stopped
from gancli.runtime.processes import Processes
from gancli.storage.system import HANG_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch.distributed import ProcessGroup, Store  # type: ignore[attr-defined]  # torch does export Store

START_SECONDS = 600  # how long the processes wait for each other until all have loaded their images
STORE_SECONDS = 5  # how long the launcher may take to store a sentence, or to return one
_FAILURE = "failure"
_RESUME = "Start the training again with --resume: the last checkpoint is intact."


class SeveralProcesses(Processes):
    """One of several, connected by gloo on CPUs and by NCCL between GPUs.

    :meth:`all_reduce_max` works on the host, also between GPUs: a process that is gone is found out there once per step,
    and not by a kernel that waits for it for ever. If this process was ``launched`` by a parent that is gone, nobody can stop
    the training any more or start it again, so that it asks all to stop, as if it had hung up.

    Raises:
        PeerLostError: the processes do not find each other.
    """

    def __init__(self, place: int, neighbours: int, *, launched: bool) -> None:
        self._launcher = os.getppid() if launched else None
        self._on_gpus = torch.cuda.is_available() and distributed.is_nccl_available()
        self._backend = "cpu:gloo,cuda:nccl" if self._on_gpus else "gloo"
        timeout = timedelta(seconds=START_SECONDS)
        self._group: ProcessGroup | None = None
        try:
            store, rank, world = next(rendezvous("env://", timeout=timeout))
            super().__init__(int(rank), int(world), place, neighbours)
            name = _common_name(store, self.rank, self.world)
            self._store: Store = distributed.PrefixStore(name, store)  # type: ignore[attr-defined]  # torch does export it
            distributed.init_process_group(
                self._backend, store=self._store, rank=self.rank, world_size=self.world, timeout=timeout
            )
        except RuntimeError as error:
            problem = f"The processes have not found each other ({_reason(error)})."
            raise PeerLostError(problem, "Start them again.") from error

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """All-reduce each tensor to its sum, in place: one flat all-reduce."""
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with self._watched():
            distributed.all_reduce(flat, group=self._group)
        for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def all_reduce_max(self, signal: int, seconds: float) -> tuple[int, float]:
        """The largest signal and the largest number of seconds that any process has; all wait for each other here."""
        if self._launcher not in (None, os.getppid()):
            signal = max(signal, HANG_UP)
        largest = torch.tensor([signal, seconds], dtype=torch.float64)
        with self._watched():
            distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=self._group)
        return int(largest[0]), float(largest[1])

    def broadcast(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Process 0's facts, as JSON has them, in every process; those of the others are ignored."""
        received: dict[str, Any] = json.loads(self._broadcast(json.dumps(dict(facts)).encode()))
        return received

    def broadcast_files(self, make: Callable[[], Mapping[str, bytes]]) -> dict[str, bytes]:
        """Process 0's files in every process; the others make none."""
        files = make() if self.leads else {}
        return {name: self._broadcast(files.get(name, b"")) for name in self.broadcast({"names": list(files)})["names"]}

    def wait_at_most(self, seconds: float) -> None:
        """From now on a process that does not answer for so long is given up."""
        with self._watched():
            self._group = distributed.new_group(timeout=timedelta(seconds=seconds), backend=self._backend)

    def tell_failure(self, error: BaseException) -> None:
        """Leave word of why this process goes, unless another one has; best effort, since the launcher may be gone too."""
        if not isinstance(error, GancliError):
            error = PeerLostError(f"{type(error).__name__}: {error}.", _RESUME)
        words = json.dumps({**error.as_json(), "rank": self.rank})
        _briefly(lambda: self._store.compare_set(_FAILURE, "", words))

    def leave(self, *, in_order: bool) -> None:
        """Close the connections. After a failure between GPUs that is left to the end of the process: NCCL might wait."""
        self._group = None
        if in_order or not self._on_gpus:
            distributed.destroy_process_group()

    def _broadcast(self, content: bytes) -> bytes:
        """Process 0's content, in every process."""
        size = torch.tensor(len(content))
        with self._watched():
            distributed.broadcast(size, 0, group=self._group)
            data = torch.frombuffer(bytearray(content.ljust(int(size), b"\0")[: int(size)]), dtype=torch.uint8)
            distributed.broadcast(data, 0, group=self._group)
        return data.numpy().tobytes()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """An operation of all processes fails when one of them is gone; say why it went."""
        try:
            yield
        except RuntimeError as error:
            failure: dict[str, Any] = {}

            def look() -> None:
                if self._store.check([_FAILURE]):
                    failure.update(json.loads(self._store.get(_FAILURE)))

            _briefly(look)
            if not failure:
                raise PeerLostError(f"One of the {self.world} processes is gone ({_reason(error)}).", _RESUME) from error
            kind = getattr(errors, str(failure["kind"]), PeerLostError)
            if not (isinstance(kind, type) and issubclass(kind, GancliError)) or kind is Stopped:
                kind = PeerLostError
            problem = f"Process {failure['rank']} of {self.world} has ended: {failure['problem']}"
            raise kind(problem, failure["remedy"] or _RESUME) from error


def _reason(error: RuntimeError) -> str:
    """What went wrong, without the place in gloo's source where it was seen."""
    line = (str(error).splitlines() or [""])[0]
    return line.partition("] ")[2].partition(". ")[0] or line


def _common_name(store: Store, rank: int, world: int) -> str:
    """A name that just these processes agree on, under which they write to each other.

    The launcher's store outlives them. So each one introduces itself under a name of its own, process 0 answers every name that
    it sees with its own, and has met the living when they confirm.
    """
    mine = token_hex(8)
    if rank:
        store.set(f"introduction/{rank}", mine)
        name = store.get(f"answer/{mine}").decode()
        store.set(f"confirmation/{name}/{rank}", "")
        return name
    missing, deadline = set(range(1, world)), time.monotonic() + START_SECONDS
    while missing and time.monotonic() < deadline:
        for peer in tuple(missing):
            if store.check([f"confirmation/{mine}/{peer}"]):
                missing.remove(peer)
            elif store.check([f"introduction/{peer}"]):
                store.set(f"answer/{store.get(f'introduction/{peer}').decode()}", mine)
        time.sleep(0.01)
    if missing:
        raise PeerLostError(f"{len(missing)} of {world} processes have not started in {START_SECONDS} s.", "Start them again.")
    return mine


def _briefly(work: Callable[[], object]) -> None:
    """Do what may fail, or never return if the launcher's machine is gone: then it is given up."""

    def try_it() -> None:
        with suppress(RuntimeError):
            work()

    thread = Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(STORE_SECONDS)
