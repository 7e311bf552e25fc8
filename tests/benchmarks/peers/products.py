"""The matrix products of one step of the article's game, alone: what no program that computes the same can leave out.

D's turn: G forward on 128 latents; D forward on 256 images and backward, without the gradient of the images. G's turn: G
and D forward on 128; backward through D for its inputs only, and through G, without the gradient of the latents. Operands lie
ready in the precision of the products, results go into memory that lies ready. 4.09 GFLOP at a batch of 128.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from serving import Turns, options, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

GENERATOR, DISCRIMINATOR = (100, 256, 512, 1024, 784), (784, 1024, 512, 256, 1)
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Product(NamedTuple):
    """Of a layer with ``inputs`` and ``outputs``, on ``n`` samples."""

    kind: Literal["forward", "inputs' gradient", "weights' gradient"]
    n: int
    inputs: int
    outputs: int

    @property
    def flop(self) -> int:
        """A multiplication and an addition each."""
        return 2 * self.n * self.inputs * self.outputs


def products(batch: int) -> list[Product]:
    """Of one step."""
    return [
        *forward(GENERATOR, batch),
        *forward(DISCRIMINATOR, 2 * batch),
        *backward(DISCRIMINATOR, 2 * batch, inputs=False, weights=True),
        *forward(GENERATOR, batch),
        *forward(DISCRIMINATOR, batch),
        *backward(DISCRIMINATOR, batch, inputs=True, weights=False),
        *backward(GENERATOR, batch, inputs=False, weights=True),
    ]


def forward(widths: tuple[int, ...], n: int) -> Iterator[Product]:
    """First layer to last."""
    return (Product("forward", n, *layer) for layer in pairwise(widths))


def backward(widths: tuple[int, ...], n: int, *, inputs: bool, weights: bool) -> Iterator[Product]:
    """Last layer to first; ``inputs`` asks for the gradient of the first layer's as well."""
    layers = list(pairwise(widths))
    for position, layer in reversed(list(enumerate(layers))):
        if weights:
            yield Product("weights' gradient", n, *layer)
        if inputs or position:
            yield Product("inputs' gradient", n, *layer)


def prepare(product: Product, dtype: torch.dtype, device: torch.device) -> Callable[[], Tensor]:
    """The product as `nn.Linear` and its derivatives take it."""
    _, n, inputs, outputs = product
    x, y, w = (torch.randn(shape, device=device).to(dtype) for shape in ((n, inputs), (n, outputs), (outputs, inputs)))
    if product.kind == "forward":
        return lambda: torch.mm(x, w.t(), out=y)
    if product.kind == "inputs' gradient":
        return lambda: torch.mm(y, w, out=x)
    return lambda: torch.mm(y.t(), x, out=w)


def main() -> None:
    """Steps on request."""
    told = options()
    device = torch.device(told["device"])
    torch.set_num_threads(told["threads"])
    works = [prepare(product, TYPES[told["precision"]], device) for product in products(told["batch"])]

    def step() -> None:
        for work in works:
            work()

    serve(step, Turns(torch.cuda.synchronize if device.type == "cuda" else lambda: None), software=f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
