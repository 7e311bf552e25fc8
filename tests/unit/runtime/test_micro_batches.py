import pytest
import torch
from torch import nn

from gancli.errors import ConfigError
from gancli.runtime.micro_batches import Shares
from gancli.runtime.processes import OneProcess


def rows(shares):
    return [(share.rows.start, share.rows.stop) for share in shares]


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (1, 4), (2, 2), (4, 1), (3, 2)])
def test_every_picture_of_the_batch_belongs_to_one_share_of_one_process(world, accumulate):
    processes = [OneProcess(rank=rank, world=world) for rank in range(world)]
    parts = [Shares(24, accumulate, process) for process in processes]
    taken = [row for shares in parts for share in shares for row in range(24)[share.rows]]
    assert taken == list(range(24))
    assert [share.index for shares in parts for share in shares] == list(range(world * accumulate))
    for shares in parts:
        own = torch.arange(24)[shares.part]
        assert torch.cat([own[share.here] for share in shares]).tolist() == own.tolist()
        assert all(torch.equal(own[share.here], torch.arange(24)[share.rows]) for share in shares)


def test_a_batch_that_cannot_be_divided_names_those_that_can():
    with pytest.raises(ConfigError, match=r"33 cannot be divided evenly into 4 shares \(2 processes.*--batch-size 32 or 36"):
        Shares(33, 2, OneProcess(world=2))
    with pytest.raises(ConfigError, match=r"--batch-size 4,"):
        Shares(3, 4)


def gradients(game):
    """Of both turns, by player and parameter."""
    real, labels = game.batches[0]
    game.trainer._discriminator_turn(real, labels)
    judge = [parameter.grad.clone() for parameter in game.discriminator.parameters()]
    game.trainer._generator_turn(real, labels)
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
        for player in game.state.players.values():
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
    norm, shares = nn.BatchNorm1d(3), Shares(12, 3)
    images = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    tally = shares.tally([norm])
    alone = []
    for share in shares:
        tally.rewind()
        norm(images[share.here])
        tally.add({"x": images[share.here].mean()})
        other = nn.BatchNorm1d(3)
        other(images[share.here])
        alone.append(other.running_var)
    means = tally.means(norm)
    torch.testing.assert_close(norm.running_var, torch.stack(alone).mean(0))
    assert norm.num_batches_tracked == 1
    torch.testing.assert_close(means["x"], images.mean())


def test_a_whole_batch_leaves_buffers_to_the_network():
    norm, shares = nn.BatchNorm1d(3), Shares(4)
    tally = shares.tally([norm])
    assert tally._buffers == []
    value = torch.tensor(1.0)
    tally.add({"x": value})
    assert tally.means(norm)["x"] is value


def test_dropout_differs_between_shares_and_repeats(make_game, monkeypatch):
    seen = []
    game = make_game(arch={"dropout": 0.5}, batch_size=16, accumulate=2)
    monkeypatch.setattr(type(game.trainer.runtime), "seed_networks", lambda _self, *where: seen.append(where))
    game.trainer.step(0.0)
    assert seen == [(0, turn, 0, share) for turn in ("discriminator", "generator") for share in (0, 1)]
