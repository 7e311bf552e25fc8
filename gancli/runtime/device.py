"""Where a training runs: device, precision, threads, processes.

bf16 means bfloat16 matrix products under autocast with float32 weights; float16 fails with gradient penalties.
"""

from __future__ import annotations

import platform
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from gancli.errors import ConfigError, MemoryExhaustedError
from gancli.randomness.seeds import address, generator_at
from gancli.runtime.processes import ALONE, Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gancli.config.schema import RuntimeConfig


def cpu_has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AVX512-BF16 or AMX); known on Linux only."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(flag in info for flag in ("avx512_bf16", "amx_bf16"))


def pick_device(wanted: str) -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` means here; a ConfigError if it is not there."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ConfigError(f"'{wanted}' is not a device.", "Choose auto, cpu, cuda, cuda:N or mps.") from error
    present = {"cpu": True, "cuda": cuda and (device.index or 0) < torch.cuda.device_count(), "mps": mps}
    if not present.get(device.type):
        raise ConfigError(
            f"The device '{wanted}' is not available (torch {torch.__version__}, {torch.cuda.device_count()} CUDA devices).",
            "Choose --device auto or --device cpu, or install a torch build for your device; see `gancli env`.",
        )
    return device


def _own_device(wanted: str, processes: Processes) -> torch.device:
    """The device of one of several processes: its own GPU, by its number on the machine, or the CPU."""
    chosen_by_number = ":" in wanted
    device = pick_device("cpu" if wanted == "auto" and not torch.cuda.is_available() else wanted)
    if device.type == "mps" or (chosen_by_number and processes.neighbours > 1):
        problem = f"{processes.world} processes cannot all run on '{wanted}'."
        raise ConfigError(problem, "Choose --device cuda, with a GPU for each process of a machine, or --device cpu.")
    if device.type == "cuda":
        if processes.neighbours > (count := torch.cuda.device_count()):
            problem = f"{processes.neighbours} processes on this machine cannot share {count} CUDA devices."
            raise ConfigError(problem, "Start one process per GPU (--nproc-per-node), or choose --device cpu.")
        device = device if chosen_by_number else torch.device("cuda", processes.place)
        torch.cuda.set_device(device)
    return device


@dataclass(frozen=True)
class Runtime:
    """One process on one device, alone or among others; ``bf16``: matrix products run in bfloat16."""

    device: torch.device
    bf16: bool = False
    processes: Processes = ALONE

    @classmethod
    def select(cls, config: RuntimeConfig, processes: Processes = ALONE) -> Self:
        """The runtime that the configuration asks for, on this machine; sets torch's threads and determinism."""
        device = pick_device(config.device) if processes.world == 1 else _own_device(config.device, processes)
        bf16 = config.precision == "bf16"
        if bf16 and device.type == "mps":
            raise ConfigError("bf16 is not supported on mps.", "Choose --precision fp32 or auto.")
        if config.precision == "auto":
            bf16 = torch.cuda.is_bf16_supported() if device.type == "cuda" else device.type == "cpu" and cpu_has_fast_bf16()
        if config.threads:
            torch.set_num_threads(config.threads)
        try:
            torch.use_deterministic_algorithms(config.deterministic)  # loads the compiler, used or not
        except OSError as error:
            problem = f"Torch cannot have its cache: {error}."
            raise ConfigError(problem, "Set TORCHINDUCTOR_CACHE_DIR to a folder that can be written to.") from error
        torch.backends.cudnn.benchmark = not config.deterministic
        return cls(device, bf16, processes)

    @property
    def precision(self) -> str:
        """``bf16`` or ``fp32``."""
        return "bf16" if self.bf16 else "fp32"

    def autocast(self, *, enabled: bool = True) -> torch.autocast:
        """A context in which matrix products run in bfloat16, if this runtime does that at all."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled and self.bf16)

    def send(self, tensor: Tensor) -> Tensor:
        """``tensor``, from the memory of the CPU to the device, without waiting for the device."""
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def uniform_at(self, seed: int, purpose: str, index: int) -> Callable[..., Tensor]:
        """Gives the uniform random numbers of that address one after the other, in the shapes asked for, on the device."""
        generator = generator_at(seed, purpose, index)
        return lambda *shape: self.send(torch.rand(shape, generator=generator))

    def seed_networks(self, seed: int, update: str, number: int, micro_batch: int = 0) -> None:
        """Seed torch's default generators, which dropout and the like use, for this micro-batch of this update."""
        number = address(address(seed, f"networks of the {update}'s turn", number), "share", micro_batch)
        torch.default_generator.manual_seed(number)  # torch.manual_seed notes the stack for every backend that is not in use
        if self.device.type == "cuda":
            torch.cuda.manual_seed_all(number)
        elif self.device.type == "mps":
            torch.mps.manual_seed(number)

    def describe(self) -> dict[str, Any]:
        """What the bits of a result may depend on."""
        cuda = self.device.type == "cuda"
        return {
            "device": str(self.device),
            "device_name": torch.cuda.get_device_name(self.device) if cuda else platform.processor() or platform.machine(),
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "processes": self.processes.world,
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "platform": platform.platform(),
        }

    def inexactness(self) -> str:
        """Why a resumed run might differ from an uninterrupted one in its last bits; empty if it cannot."""
        if self.device.type == "cpu" or torch.are_deterministic_algorithms_enabled():
            return ""
        return f"{self.device.type} kernels may add in any order; use --deterministic"


def translate_memory_error(error: RuntimeError | MemoryError) -> MemoryExhaustedError | None:
    """The same error as a sentence for the user if it means "out of memory", else None."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text:
        return MemoryExhaustedError(
            f"Out of memory: {text}",
            "Divide a step into micro-batches (-s train.accumulate=2: the same gradient), or choose a smaller "
            "--batch-size, a narrower architecture, or another --device.",
        )
    return None


@contextmanager
def memory_errors_explained() -> Iterator[None]:
    """Within the block "out of memory" is a sentence for the user."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        explained = translate_memory_error(error)
        if explained is None:
            raise
        raise explained from error
