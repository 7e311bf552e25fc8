"""Make gancli/metrics/files/mnist-extractor.safetensors: `python examples/extractor/train.py [TARGET]`.

Trains :class:`gancli.metrics.extractors.DigitNetwork` on MNIST's training split, with small affine distortions, for minutes
on two CPU cores, and says how much of the test split it gets right. The same machine, torch and number of threads give the
same bytes. Batch normalisation is for the training only: it is folded into the weights, and the file holds plain layers.

What is stored besides the weights: mean and covariance of the features of the 60,000 training images, so that a training can
measure its distance to them without looking at them, and the SHA-256 of those images.
"""

from __future__ import annotations

import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from gancli.data.batches import Batches, normalise
from gancli.data.mnist import Mnist
from gancli.metrics.distances import TOTAL_VARIANCE, Moments
from gancli.metrics.extractors import FILE, DigitNetwork
from gancli.randomness.seeds import address, generator_at
from gancli.storage.tensors import encode

if TYPE_CHECKING:
    from torch import Generator, Tensor

TARGET = Path(__file__).resolve().parents[2] / "gancli" / "quality" / "files" / FILE
EPOCHS = 20
BATCH_SIZE = 200
LEARNING_RATE = 4e-3
DROPOUT = 0.3
SEED = 0


def main() -> None:
    """Train, fold, scale, measure, write."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    torch.use_deterministic_algorithms(mode=True)
    data, test = Mnist().load("train"), Mnist().load("test")
    assert data.labels is not None and test.labels is not None  # noqa: S101, PT018  (for the type checker)
    network = folded(trained(data.images, data.labels))
    scale(network, data.images)
    network.load_state_dict({name: value.half().float() for name, value in network.state_dict().items()})  # as it is stored
    moments = Moments.of(features for features, _ in outputs(network, data.images))
    right = sum(
        float((logits.argmax(1) == y).sum())
        for (_, logits), y in zip(outputs(network, test.images), test.labels.split(1000), strict=True)
    )
    accuracy = right / len(test.labels)
    tensors = {name: value.half() for name, value in network.state_dict().items()}
    tensors |= {"mean": moments.mean.float(), "covariance": moments.covariance.float()}
    pixels = sha256(data.images.numpy().data).hexdigest()
    target.write_bytes(
        encode(
            tensors, {"version": "1", "pictures": pixels, "count": str(len(data.images)), "test_accuracy": f"{accuracy:.4f}"}
        )
    )
    print(f"{target}: {target.stat().st_size:,} bytes, {accuracy:.2%} of the test split right")  # noqa: T201  (for whoever waits)


def normalised() -> nn.Sequential:
    """The layers with batch normalisation after each that has weights."""
    plain, layers = DigitNetwork(), []
    for layer in [*plain.layers, nn.ReLU(), nn.Dropout(DROPOUT), plain.classifier]:
        layers.append(layer)
        if isinstance(layer, nn.Conv2d):
            layers.append(nn.BatchNorm2d(layer.out_channels))
        elif layer is plain.layers[-1]:
            layers.append(nn.BatchNorm1d(layer.out_features))
    return nn.Sequential(*layers)


def trained(images: Tensor, labels: Tensor) -> nn.Sequential:
    """A classifier with batch normalisation, after one cycle of the learning rate."""
    torch.manual_seed(address(SEED, "networks"))
    network = normalised().to(memory_format=torch.channels_last)  # twice as fast on a CPU
    batches = Batches(images, labels, BATCH_SIZE, SEED)
    steps = EPOCHS * batches.steps_per_epoch
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    start = time.monotonic()
    for step in range(steps):
        images, (wanted,) = batches[step]
        torch.manual_seed(address(SEED, "dropout", step))
        loss = nn.functional.cross_entropy(network(distorted(images, generator_at(SEED, "distortion", step))), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % batches.steps_per_epoch == 0:
            print(f"epoch {(step + 1) // batches.steps_per_epoch}/{EPOCHS}  loss {loss:.4f}  {time.monotonic() - start:.0f} s")  # noqa: T201  (for whoever waits)
    return network.eval()


def distorted(images: Tensor, generator: Generator) -> Tensor:
    """Each image turned (10 degrees), sheared (0.15), scaled (10 %) and shifted (2 pixels), at most, at random."""
    n = len(images)
    turn, shear, wide, tall, right, down = (2 * torch.rand(6, n, generator=generator) - 1) * torch.tensor(
        [[0.175], [0.15], [0.1], [0.1], [2 / 14], [2 / 14]]
    )
    rows = [
        torch.stack([(1 + wide) * turn.cos(), shear - turn.sin(), right], dim=1),
        torch.stack([turn.sin(), (1 + tall) * turn.cos(), down], dim=1),
    ]
    grid = nn.functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images + 1, grid, align_corners=False) - 1  # beyond the edge is background


def folded(network: nn.Sequential) -> DigitNetwork:
    """The same function without batch normalisation."""
    plain: list[nn.Module] = []
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            plain[-1] = fuse_conv_bn_eval(plain[-1], layer)
        elif isinstance(layer, nn.BatchNorm1d):
            plain[-1] = fuse_linear_bn_eval(plain[-1], layer)
        else:
            plain.append(layer)
    result = DigitNetwork()
    result.layers = nn.Sequential(*plain[: len(result.layers)])
    result.classifier = plain[-1]
    return result.eval().requires_grad_(False)


def scale(network: DigitNetwork, images: Tensor) -> None:
    """Give the features of the training images the total variance that every extractor's have."""
    moments = Moments.of(features for features, _ in outputs(network, images))
    factor = (TOTAL_VARIANCE / float(moments.covariance.trace())) ** 0.5
    network.layers[-1].weight *= factor
    network.layers[-1].bias *= factor
    network.classifier.weight /= factor


@torch.no_grad()
def outputs(network: DigitNetwork, images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Features and logits, 1,000 images at a time."""
    return [network(normalise(part)) for part in images.split(1000)]


if __name__ == "__main__":
    main()
