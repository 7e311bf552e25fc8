"""Recordings of what a computation asks of a device, which are launched as a whole: CUDA graphs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

ResultT = TypeVar("ResultT")


class CudaGraphs:
    """Recordings of a GPU, which share the memory of what they compute: only the newest results are whole."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream, self._pool = torch.cuda.Stream(device), torch.cuda.graph_pool_handle()  # type: ignore[no-untyped-call]

    def warm_up(self, compute: Callable[[], ResultT]) -> ResultT:
        """``compute()``, for the first time, after which it can be recorded; an error if it waits for the device.

        On the stream of recordings. What waits fails here: a recording that fails leaves traces.
        """
        here, mode = torch.cuda.current_stream(self._device), torch.cuda.get_sync_debug_mode()
        self._stream.wait_stream(here)
        try:
            with warnings.catch_warnings(action="ignore"):  # it says that it is a prototype
                torch.cuda.set_sync_debug_mode("error")
            with torch.cuda.stream(self._stream):
                return compute()
        finally:
            torch.cuda.set_sync_debug_mode(mode)
            here.wait_stream(self._stream)

    def record(self, compute: Callable[[], ResultT]) -> tuple[ResultT, Callable[[], object]]:
        """The places of the results of ``compute``, and what fills them: its work on the device, done anew at every call."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                return compute(), graph.replay
        except BaseException:
            generator = torch.cuda.default_generators[self._stream.device_index]
            generator.graphsafe_set_state(generator.clone_state())  # else it is in a recording for ever
            raise


GRAPHS: dict[str, type[CudaGraphs]] = {"cuda": CudaGraphs}  # what makes recordings, by the type of device
