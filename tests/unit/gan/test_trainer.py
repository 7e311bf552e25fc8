import pytest
import torch

from gancli.plugins.registry import OBJECTIVES


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_step_moves_both_players_and_the_average(make_game, weights_of):
    game = make_game()
    networks = (game.generator, game.discriminator, game.state.average.network)
    before = [weights_of(network) for network in networks]
    game.trainer.step(0.0)
    assert not any(same(old, weights_of(network)) for old, network in zip(before, networks, strict=True))
    assert (game.state.step, game.state.images_seen) == (1, 4)


def test_the_discriminators_turn_leaves_the_generator_alone(make_game, weights_of):
    game = make_game()
    before = weights_of(game.generator)
    real, labels = game.batches[0]
    game.trainer._discriminator_turn(real, labels)
    assert same(before, weights_of(game.generator))
    assert all(parameter.grad is None for parameter in game.generator.parameters())


def test_the_generators_turn_leaves_the_discriminator_alone(make_game, weights_of):
    game = make_game()
    before = weights_of(game.discriminator)
    real, labels = game.batches[0]
    game.trainer._generator_turn(real, labels)
    assert same(before, weights_of(game.discriminator))
    assert all(parameter.grad is None for parameter in game.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in game.discriminator.parameters())


def test_the_turns_see_different_noise_and_steps_too(make_game):
    game = make_game()
    drawn = [game.trainer._latents(turn) for turn in ("discriminator", "generator")]
    game.state.step = 1
    drawn.append(game.trainer._latents("generator"))
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])


def test_a_step_depends_on_nothing_but_the_state_before_it(make_game, weights_of):
    one, two = make_game(arch={"dropout": 0.5}), make_game(arch={"dropout": 0.5})
    for k in range(6):
        one.trainer.step(k / 6)
    for k in range(6):
        torch.manual_seed(k * 17)  # whatever happens to the global generator in between
        torch.rand(k + 1)
        two.trainer.step(k / 6)
    assert same(weights_of(one.generator), weights_of(two.generator))
    assert same(weights_of(one.discriminator), weights_of(two.discriminator))


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_every_objective_plays(make_game, name):
    game = make_game(objective=name, options={"penalty_interval_steps": 1})
    reports = [game.trainer.step(0.0) for _ in range(3)]
    assert {"d_loss", "g_loss", "real_score", "fake_score"} <= reports[0].keys()
    assert all(torch.isfinite(value) and not value.requires_grad for report in reports for value in report.values())


def test_penalties_come_at_their_interval(make_game):
    game = make_game(options={"r1_gamma": 1.0, "penalty_interval_steps": 3})
    assert ["r1" in game.trainer.step(0.0) for _ in range(7)] == [True, False, False, True, False, False, True]


def test_a_lazy_penalty_is_as_strong_on_the_whole(make_game):
    """At a due step its gradient is the interval times that of a penalty at every step."""

    def discriminator_gradient(interval):
        options = {"r1_gamma": 1e3 / interval, "penalty_interval_steps": interval}
        game = make_game(options=options)
        real, labels = game.batches[0]
        game.trainer._discriminator_turn(real, labels)
        return [parameter.grad for parameter in game.discriminator.parameters()]

    for every, lazy in zip(discriminator_gradient(1), discriminator_gradient(8), strict=True):
        torch.testing.assert_close(every, lazy)


def test_without_penalties_none_is_computed(make_game):
    game = make_game(options={"r1_gamma": 0})
    assert "r1" not in game.trainer.step(0.0)


@pytest.mark.parametrize("mode", ["joint", "separate"])
def test_one_pass_or_two_are_the_same_without_batch_statistics(make_game, weights_of, mode):
    game, reference = make_game(real_fake_batch=mode), make_game(real_fake_batch="joint")
    game.trainer.step(0.0)
    reference.trainer.step(0.0)
    for name, value in weights_of(reference.discriminator).items():
        torch.testing.assert_close(weights_of(game.discriminator)[name], value)


def test_the_step_size_follows_the_schedule_of_each_player(make_game):
    game = make_game(learning_rate=1e-2, discriminator_learning_rate=4e-2, learning_rate_decay=0.5)
    game.trainer.step(0.75)
    sizes = {name: player.optimizer.param_groups[0]["lr"] for name, player in game.state.players.items()}
    assert sizes == {"generator": pytest.approx(5e-3), "discriminator": pytest.approx(2e-2)}


def test_without_averaging_the_average_is_the_generator(make_game, weights_of):
    game = make_game(ema_halflife_images=0)
    for _ in range(3):
        game.trainer.step(0.0)
    assert same(weights_of(game.generator), weights_of(game.state.average.network))


def test_without_averaging_an_average_that_was_looked_at_moves_on(make_game, weights_of):
    game = make_game(ema_halflife_images=0)
    game.trainer.step(0.0)
    earlier = weights_of(game.state.average.network)
    game.trainer.step(0.0)
    assert not same(earlier, weights_of(game.state.average.network))
    assert same(weights_of(game.generator), weights_of(game.state.average.network))


def test_what_an_architecture_froze_stays_frozen(make_game):
    game = make_game()
    fixed = next(game.discriminator.parameters()).requires_grad_(False)
    before = fixed.clone()
    for k in range(2):
        game.trainer.step(k / 2)
    assert not fixed.requires_grad
    assert torch.equal(fixed, before)


def test_the_average_lags_behind(make_game, weights_of):
    game = make_game(ema_halflife_images=1e6, ema_rampup=0)
    start = weights_of(game.generator)
    for _ in range(3):
        game.trainer.step(0.0)
    average, now = weights_of(game.state.average.network), weights_of(game.generator)
    for name, value in start.items():
        assert (average[name] - value).abs().max() < (now[name] - value).abs().max()


def test_a_conditional_game_trains_every_embedding(make_game):
    game = make_game(classes=3, options={"penalty_interval_steps": 1})
    for _ in range(8):
        game.trainer.step(0.0)
    for network in (game.generator, game.discriminator):
        assert network.embedding.weight.grad.abs().sum() > 0


def test_a_relativistic_generator_is_compared_with_the_real_images(make_game):
    game = make_game(objective="relativistic")
    real, labels = game.batches[0]
    critic = game.trainer.discriminator.network
    logits = game.trainer._reference(critic, real)
    torch.testing.assert_close(logits, critic(real))
    assert not labels


def test_a_burn_in_reaches_the_optimiser_and_the_penalties(make_game, weights_of):
    strict = make_game(options={"r1_gamma": 4.0}, betas=(0.0, 0.9))
    strict.trainer.step(0.0)
    game = make_game(options={"r1_gamma": 1.0}, betas=(0.0, 0.99), burn_in=0.5, penalty_start=4.0, beta2_start=0.9)
    game.trainer.step(0.0)
    for name, value in weights_of(strict.discriminator).items():
        torch.testing.assert_close(weights_of(game.discriminator)[name], value)
