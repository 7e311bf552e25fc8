import pytest
import torch
from torch import nn

from gancli.errors import ConfigError
from gancli.gan.schedules import rates_at
from gancli.runtime.micro_batches import MicroBatches
from gancli.runtime.processes import Processes


def rows(shares):
    return [(share.rows.start, share.rows.stop) for share in shares]


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (1, 4), (2, 2), (4, 1), (3, 2)])
def test_every_picture_of_the_batch_belongs_to_one_share_of_one_process(world, accumulate):
    processes = [Processes(rank=rank, world=world) for rank in range(world)]
    parts = [MicroBatches(24, accumulate, process) for process in processes]
    taken = [row for shares in parts for share in shares for row in range(24)[share.rows]]
    assert taken == list(range(24))
    assert [share.index for shares in parts for share in shares] == list(range(world * accumulate))
    for shares in parts:
        own = torch.arange(24)[shares.part]
        assert torch.cat([own[share.here] for share in shares]).tolist() == own.tolist()
        assert all(torch.equal(own[share.here], torch.arange(24)[share.rows]) for share in shares)


def test_a_batch_that_cannot_be_divided_names_those_that_can():
    with pytest.raises(
        ConfigError, match=r"33 cannot be divided evenly into 4 micro-batches \(2 processes.*--batch-size 32 or 36"
    ):
        MicroBatches(33, 2, Processes(world=2))
    with pytest.raises(ConfigError, match=r"--batch-size 4,"):
        MicroBatches(3, 4)


def gradients(game):
    """Of both turns, by player and parameter."""
    for trained in game.state.trained.values():
        trained.optimizer = torch.optim.SGD(trained.network.parameters(), lr=0)
    for update in game.trainer.updates:
        game.trainer.apply(update, 0, rates_at(game.rules, 0.0))
    judge = [parameter.grad.clone() for parameter in game.discriminator.parameters()]
    return judge + [parameter.grad.clone() for parameter in game.generator.parameters()]


@pytest.mark.parametrize("options", [{}, {"r1_gamma": 1.0, "r2_gamma": 1.0, "penalty_interval_steps": 1}])
@pytest.mark.parametrize("objective", ["non-saturating", "relativistic"])
def test_F54_shares_add_up_to_the_gradient_of_the_whole_batch(make_game, objective, options):
    whole = gradients(make_game(objective=objective, options=options, batch_size=16))
    for accumulate in (2, 4, 16):
        divided = gradients(make_game(objective=objective, options=options, batch_size=16, accumulate=accumulate))
        for one, other in zip(whole, divided, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_F54_two_shares_are_one_double_batch_after_a_step(make_game, weights_of):
    """With plain gradient descent: Adam makes steps of one size out of the rounding of gradients that are 0."""

    def step(accumulate):
        game = make_game(batch_size=16, accumulate=accumulate)
        for player in game.state.trained.values():
            player.optimizer = torch.optim.SGD(player.network.parameters())
            player.set_rates = lambda *_: None
        report = game.trainer.step(0.0)
        return {**weights_of(game.generator), **weights_of(game.discriminator), **report}

    whole, divided = step(1), step(2)
    for name, value in whole.items():
        torch.testing.assert_close(divided[name], value, atol=1e-6, rtol=0)


def test_a_divided_batch_counts_once(make_game):
    game = make_game(batch_size=16, accumulate=4)
    game.trainer.step(0.0)
    assert (game.state.step, game.state.images_seen) == (1, 16)


def test_running_statistics_are_the_mean_over_shares_that_all_began_alike():
    norm, shares = nn.BatchNorm1d(3), MicroBatches(12, 3)
    images = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    total = shares.total([norm])
    alone = []
    for share in shares:
        total.rewind_buffers()
        norm(images[share.here])
        total.add({"x": images[share.here].mean()})
        other = nn.BatchNorm1d(3)
        other(images[share.here])
        alone.append(other.running_var)
    means = total.means(norm.parameters())
    torch.testing.assert_close(norm.running_var, torch.stack(alone).mean(0))
    assert norm.num_batches_tracked == 1
    torch.testing.assert_close(means["x"], images.mean())


def test_a_whole_batch_leaves_buffers_to_the_network():
    norm, shares = nn.BatchNorm1d(3), MicroBatches(4)
    total = shares.total([norm])
    assert total._buffers == []
    value = torch.tensor(1.0)
    total.add({"x": value})
    assert total.means(norm.parameters())["x"] is value


def test_dropout_differs_between_shares_and_repeats(make_game, monkeypatch):
    seen = []
    game = make_game(arch={"dropout": 0.5}, batch_size=16, accumulate=2)
    monkeypatch.setattr(type(game.trainer.runtime), "seed_networks", lambda _self, *where: seen.append(where))
    game.trainer.step(0.0)
    assert seen == [(0, turn, 0, share) for turn in ("discriminator", "generator") for share in (0, 1)]
