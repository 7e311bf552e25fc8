import pytest
import torch
from torch import nn

from gancli.gan.mixed_precision import MixedPrecision
from gancli.runtime.device import Runtime

BF16, FP32 = Runtime(torch.device("cpu"), bf16=True), Runtime(torch.device("cpu"))


class OfManyKinds(nn.Module):
    """Layers that have copies, and everything that has not."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(64, 8))
        self.twice = nn.Linear(8, 8, bias=False)
        self.up = nn.ConvTranspose2d(1, 1, 2)
        self.scale = nn.Parameter(torch.ones(8))
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        h = self.norm(self.conv(x)).relu().flatten(1)
        h = self.twice(self.twice(self.spectral(h)).relu()) * self.scale
        return self.out(h) + self.up(x).float().mean((1, 2, 3))[:, None]


def moved(context, network):
    if isinstance(context, MixedPrecision):
        context.expire(network)


def train(context_of, steps=4):
    network = OfManyKinds()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, fused=True)
    context = context_of(network)
    for step in range(steps):
        optimizer.zero_grad()
        for half in torch.randn(2, 5, 1, 4, 4, generator=torch.Generator().manual_seed(step)):
            with context():
                loss = network(half).float().square().mean()
            loss.backward()
        optimizer.step()
        moved(context, network)
    return {**network.state_dict(), "loss": loss.detach(), **{f"{n}.grad": p.grad for n, p in network.named_parameters()}}


def test_the_bits_are_those_of_autocast():
    ours = train(lambda network: MixedPrecision(BF16, [network]))
    torch_s = train(lambda _: BF16.autocast)
    assert ours.keys() == torch_s.keys()
    assert [name for name in ours if not torch.equal(ours[name], torch_s[name])] == []
    assert not torch.equal(ours["out.weight"], train(lambda _: FP32.autocast)["out.weight"])


def test_outside_the_block_a_network_is_what_it_was():
    network = OfManyKinds()
    before = dict(network.named_parameters())
    context = MixedPrecision(BF16, [network])
    with context():
        assert network.conv.weight.dtype == torch.bfloat16
        assert network.scale.dtype == torch.float32
    with pytest.raises(ZeroDivisionError), context():
        _ = 1 / 0
    after = dict(network.named_parameters())
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)


@pytest.mark.parametrize(("runtime", "enabled"), [(FP32, True), (BF16, False)])
def test_in_float32_there_are_no_copies(runtime, enabled):
    network = nn.Linear(2, 2)
    with MixedPrecision(runtime, [network])(enabled=enabled):
        assert network.weight.dtype == torch.float32
        assert network(torch.ones(1, 2)).dtype == torch.float32


def test_a_weight_that_changes_by_any_way_is_cast_again():
    network, x = nn.Linear(2, 1, bias=False), torch.ones(1, 2)
    context = MixedPrecision(BF16, [network])

    def value():
        with context(), torch.no_grad():
            return network(x).item()

    for change in (
        lambda: network.load_state_dict({"weight": torch.tensor([[1.0, 2.0]])}),
        lambda: network.load_state_dict({"weight": torch.tensor([[3.0, 4.0]])}, assign=True),
        lambda: network.register_parameter("weight", nn.Parameter(torch.tensor([[5.0, 6.0]]))),
        lambda: nn.init.constant_(network.weight, 7.0),
    ):
        change()
        assert value() == network.weight.sum().item()


def test_a_frozen_network_gets_no_gradient_and_passes_it_through():
    network, x = nn.Linear(2, 1).requires_grad_(False), torch.ones(1, 2, requires_grad=True)
    context = MixedPrecision(BF16, [network])
    with context():
        network(x).sum().backward()
    assert network.weight.grad is None
    assert x.grad.abs().sum() > 0
    network.requires_grad_(True)
    with context():
        network(x).sum().backward()
    assert network.weight.grad.dtype == torch.float32
