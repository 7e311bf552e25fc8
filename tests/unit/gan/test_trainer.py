import pytest
import torch

from gancli.gan.schedules import rates_at
from gancli.plugin import LossTerm, Update
from gancli.plugins.registry import OBJECTIVES


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def apply(game, name):
    """One update alone."""
    trainer = game.trainer
    (update,) = (each for each in trainer.updates if each.name == name)
    return trainer.apply(update, 0, rates_at(game.rules, 0.0))


def test_a_step_moves_both_players_and_the_average(make_game, weights_of):
    game = make_game()
    networks = (game.generator, game.discriminator, game.state.ema)
    before = [weights_of(network) for network in networks]
    game.trainer.step(0.0)
    assert not any(same(old, weights_of(network)) for old, network in zip(before, networks, strict=True))
    assert (game.state.step, game.state.images_seen) == (1, 4)


def test_the_discriminators_turn_leaves_the_generator_alone(make_game, weights_of):
    game = make_game()
    before = weights_of(game.generator)
    apply(game, "discriminator")
    assert same(before, weights_of(game.generator))
    assert all(parameter.grad is None for parameter in game.generator.parameters())


def test_the_generators_turn_leaves_the_discriminator_alone(make_game, weights_of):
    game = make_game()
    before = weights_of(game.discriminator)
    apply(game, "generator")
    assert same(before, weights_of(game.discriminator))
    assert all(parameter.grad is None for parameter in game.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in game.discriminator.parameters())


def test_every_update_has_latents_of_its_own(make_game, monkeypatch):
    game = make_game(discriminator_updates=2)
    seen = []
    forward = type(game.generator).forward
    monkeypatch.setattr(type(game.generator), "forward", lambda self, z: seen.append(z) or forward(self, z))
    for _ in range(2):
        game.trainer.step(0.0)
    assert len(seen) == 6
    assert not any(torch.equal(one, other) for i, one in enumerate(seen) for other in seen[:i])


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
        apply(game, "discriminator")
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
    sizes = {name: each.optimizer.param_groups[0]["lr"] for name, each in game.state.trained.items()}
    assert sizes == {"generator": pytest.approx(5e-3), "discriminator": pytest.approx(2e-2)}


def test_without_averaging_the_average_is_the_generator(make_game, weights_of):
    game = make_game(ema_halflife_images=0)
    for _ in range(3):
        game.trainer.step(0.0)
    assert same(weights_of(game.generator), weights_of(game.state.ema))


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
    average, now = weights_of(game.state.ema), weights_of(game.generator)
    for name, value in start.items():
        assert (average[name] - value).abs().max() < (now[name] - value).abs().max()


def test_a_conditional_game_trains_every_embedding(make_game):
    game = make_game(classes=3, options={"penalty_interval_steps": 1})
    for _ in range(8):
        game.trainer.step(0.0)
    for network in (game.generator, game.discriminator):
        assert network.embedding.weight.grad.abs().sum() > 0


def test_repeated_updates_see_fresh_images_and_count_them(make_game, monkeypatch):
    game = make_game(discriminator_updates=3)
    asked = []
    get = type(game.batches).__getitem__
    monkeypatch.setattr(type(game.batches), "__getitem__", lambda self, k: asked.append(k) or get(self, k))
    for _ in range(2):
        game.trainer.step(0.0)
    assert asked == [0, 1, 2, 0, 3, 4, 5, 3]
    assert (game.state.step, game.state.images_seen) == (2, 2 * 3 * 4)


def test_a_lazy_term_counts_its_updates(make_game):
    game = make_game(discriminator_updates=2, options={"penalty_interval_steps": 3, "r1_gamma": 1.0})
    due = []
    update = game.trainer.updates[0]
    for _ in range(3):
        due += ["r1" in game.trainer.apply(update, repeat, rates_at(game.rules, 0.0)) for repeat in range(2)]
        game.state.step += 1
    assert due == [True, False, False, True, False, False]


def test_a_term_sees_the_generators_gradient_only_when_it_is_trained(make_game):
    game = make_game()
    seen = {}

    def look(s):
        seen[len(seen)] = s.fake.requires_grad
        return s.fake_logits

    game.trainer.updates = (
        Update(("discriminator",), (LossTerm("a", look),)),
        Update(("generator",), (LossTerm("b", look),)),
    )
    game.trainer.step(0.0)
    assert seen == {0: False, 1: True}


def test_an_update_with_nothing_due_moves_nothing(make_game, weights_of):
    game = make_game()
    term = LossTerm("rare", lambda s: s.fake.square(), every=2)
    game.trainer.updates = (Update(("generator",), (term,)),)
    reports, weights = [], []
    for _ in range(2):
        reports.append(game.trainer.step(0.0))
        weights.append(weights_of(game.generator))
    assert ["rare" in report for report in reports] == [True, False]
    assert same(*weights)


def test_logits_of_several_heads_are_averaged(make_game):
    game = make_game(options={"r1_gamma": 1.0, "penalty_interval_steps": 1})
    forward = game.discriminator.forward
    game.discriminator.forward = lambda x: torch.stack([forward(x)] * 3, 1)
    single = make_game(options={"r1_gamma": 1.0, "penalty_interval_steps": 1}).trainer.step(0.0)
    several = game.trainer.step(0.0)
    torch.testing.assert_close(several["d_loss"], single["d_loss"])
    torch.testing.assert_close(several["real_score"], single["real_score"])


def test_a_burn_in_reaches_the_optimiser_and_the_penalties(make_game, weights_of):
    strict = make_game(options={"r1_gamma": 4.0}, betas=(0.0, 0.9))
    strict.trainer.step(0.0)
    game = make_game(options={"r1_gamma": 1.0}, betas=(0.0, 0.99), burn_in=0.5, penalty_start=4.0, beta2_start=0.9)
    game.trainer.step(0.0)
    for name, value in weights_of(strict.discriminator).items():
        torch.testing.assert_close(weights_of(game.discriminator)[name], value)


def test_what_terms_share_is_computed_once_per_micro_batch(make_game):
    game = make_game(accumulate=2)
    computed = []

    def shared(s):
        computed.append(s)
        return s.fake.square()

    terms = tuple(LossTerm(name, lambda s: s.once(shared)) for name in ("a", "b"))
    game.trainer.updates = (Update(("generator",), terms),)
    report = game.trainer.step(0.0)
    assert len(computed) == 2
    assert torch.equal(report["a"], report["b"])


def test_each_term_of_a_joint_update_moves_the_networks_that_it_names_and_no_other(make_game):
    """The gradients are those of the losses alone, each from one pass through both networks."""
    terms = {
        "discriminator": LossTerm("d", lambda s: s.fake_logits - s.real_logits, networks=("discriminator",)),
        "generator": LossTerm("g", lambda s: -3 * s.fake_logits, networks=("generator",)),
    }

    def gradients(*losses):
        game = make_game(accumulate=2)
        game.trainer.updates = (Update(("discriminator", "generator"), losses),)
        game.trainer.step(0.0)
        return {name: [p.grad for p in game.state.networks[name].parameters()] for name in terms}

    joint = gradients(*terms.values())
    for name, term in terms.items():
        alone = gradients(term)
        torch.testing.assert_close(joint[name], alone[name])
        assert all(other is None for networks in terms for other in alone[networks] if networks != name)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_labels_that_the_discriminator_finds_are_conditions_of_both_networks(make_game, monkeypatch, accumulate):
    game, given = make_game(accumulate=accumulate), []
    for network in (game.generator, game.discriminator):
        forward = type(network).forward

        def labelled(self, x, labels, forward=forward):
            given.append((len(x), labels.tolist()))
            return forward(self, x)

        monkeypatch.setattr(type(network), "forward", labelled)
    monkeypatch.setattr(type(game.discriminator), "label", lambda _, real: 9 - torch.arange(len(real)), raising=False)
    game.trainer.step(0.0)
    size = 4 // accumulate
    labels = [*range(10 - size, 10)]  # sorted, so that images of a class are neighbours
    assert {n for n, _ in given} == {size, 2 * size}  # D sees real and generated images together
    assert all(seen == labels * (n // size) for n, seen in given)
