"""lightweight-gan 1.2.1 with its own defaults, for `few_shot.py`: `lightweight.py IMAGES OUTPUT SIDE SECONDS COUNT SEED`.

Trains for so many CPU seconds of one thread, and writes images of the EMA. It runs in an environment of its own:

    python -m venv lightweight && lightweight/bin/pip install lightweight-gan==1.2.1

The package refuses to be imported without CUDA, and moves everything there. In this process alone it is told that there is CUDA
while it is imported, and everything stays on the CPU. The torchvision that comes with it may be built for CUDA; it then
misses operators, which the package does not use, and gets their names.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

BATCH, BATCHES = 10, 4
"""Images per gradient, and gradients per step: the package's own defaults."""


class OnCPU(ModuleType):
    """torch, of which every device is the CPU."""

    def __getattr__(self, name: str) -> object:
        return getattr(torch, name)

    @staticmethod
    def device(*_: object) -> torch.device:
        """The CPU."""
        return torch.device("cpu")


def main(images: str, output: Path, side: int, seconds: float, count: int, seed: int) -> None:
    """Train, then generate."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    random.seed(seed)
    available, torch.cuda.is_available = torch.cuda.is_available, lambda: True
    if "+cpu" in torch.__version__:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from lightweight_gan import lightweight_gan as package

    torch.cuda.is_available = available
    package.torch = OnCPU("torch")
    Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    nn.Module.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    as_its_command = {"batch_size": BATCH, "gradient_accumulate_every": BATCHES, "attn_res_layers": [32], "lr": 2e-4}
    folders = {f"{name}_dir": str(output / name) for name in ("results", "models")}
    settings = as_its_command | folders | {"save_every": 10**9, "evaluate_every": 10**9, "num_workers": 0, "use_aim": False}
    trainer = package.Trainer("run", image_size=side, **settings)
    trainer.save = lambda *_: None
    trainer.evaluate = lambda *_, **__: None
    trainer.set_data_src(images)
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        trainer.train()
    (output / "images").mkdir(parents=True, exist_ok=True)
    trainer.GAN.eval()
    for number, latents in enumerate(torch.randn(count, trainer.GAN.latent_dim).split(1)):
        image = trainer.generate_(trainer.GAN.GE, latents)
        package.torchvision.utils.save_image(image[0], output / "images" / f"{number:05}.png")
    (output / "seen").write_text(str(trainer.steps * BATCH * BATCHES))


if __name__ == "__main__":
    folder, where, *numbers = sys.argv[1:]
    main(folder, Path(where), int(numbers[0]), float(numbers[1]), int(numbers[2]), int(numbers[3]))
