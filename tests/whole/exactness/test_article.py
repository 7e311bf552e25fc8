"""The recipe of examples/article.toml against an independent re-statement of the article's algorithm."""

from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import nn

from gancli.config.resolve import choose_arch, load_objective, resolve
from gancli.config.schema import TrainConfig
from gancli.data.batches import Batches
from gancli.gan.build import assemble
from gancli.gan.trainer import Trainer
from gancli.plugin import ImageSpec
from gancli.plugins.registry import ARCHITECTURES
from gancli.randomness.seeds import address, normal_at
from gancli.runtime.device import Runtime

RECIPE = Path(__file__).parents[3] / "examples" / "article.toml"
STEPS = 6


@pytest.fixture(scope="module")
def config():
    return resolve(files=[RECIPE], environment={}).config


def images_of(seed):
    return torch.randint(0, 256, (600, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def networks_of(config):
    chosen = choose_arch(config)
    arch, options = chosen.plugin, chosen.options
    torch.manual_seed(config.train.seed)
    networks = arch.build(options, ImageSpec(1, 28, 28), config.model.latent_dim)
    for network in (networks.generator, networks.discriminator):
        network.double().register_forward_pre_hook(lambda _, inputs: tuple(each.double() for each in inputs))
    return networks


def by_gancli(config, pictures):
    networks, rules = networks_of(config), config.train
    chosen = choose_arch(config)
    batches = Batches(pictures, None, batch_size=rules.batch_size, seed=rules.seed)
    runtime = Runtime(torch.device("cpu"))
    state, updates = assemble(chosen.plugin, chosen.options, load_objective(config), networks, rules)
    trainer = Trainer(state, updates, batches, runtime, rules=rules, latent_dim=config.model.latent_dim)
    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        for step in range(STEPS):
            trainer.step(step / STEPS)
    return networks


def same_masks(turn, step):
    """Dropout masks come from the address of the turn's only share."""
    torch.manual_seed(address(address(1000, f"networks of the {turn}'s turn", step), "share", 0))


def by_the_article(config, pictures):
    """A few lines of plain PyTorch: labels 0.9 and 0, one batch of 256 for D, fresh noise for G, Adam(2e-4, 0.5)."""
    networks = networks_of(config)
    g = nn.Sequential(*networks.generator.hidden, networks.generator.output, nn.Tanh())
    d = nn.Sequential(*networks.discriminator.hidden, networks.discriminator.output, nn.Sigmoid())
    g_adam = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_adam = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    bce = nn.BCELoss()
    targets = torch.tensor([[0.9]] * 128 + [[0.0]] * 128, dtype=torch.float64)
    order = Batches(pictures, None, batch_size=128, seed=1000)
    for step in range(STEPS):
        same_masks("discriminator", step)
        real = order[step][0].reshape(128, 784).double()
        fake = g(normal_at((128, 100), 1000, "latents of the discriminator's turn", step).double()).detach()
        d_loss = 2 * bce(d(torch.cat([real, fake])), targets)  # the sum of two means, where Keras takes one mean
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        same_masks("generator", step)
        z = normal_at((128, 100), 1000, "latents of the generator's turn", step).double()
        g_loss = bce(d(g(z)), torch.ones(128, 1).double())
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
    return networks


def test_the_recipe_is_the_articles_algorithm(config):
    """In float64: in float32 rounding decides where Adam moves a weight whose gradient is almost zero."""
    torch.set_num_threads(1)
    assert max(_largest_difference(config, images_of(seed)) for seed in range(2)) < 1e-3


def _largest_difference(config, images):
    """Between the weights of both programs, as a share of the way that the weight has gone."""
    ours, theirs, start = by_gancli(config, images), by_the_article(config, images), networks_of(config)
    found = []
    for name in ("generator", "discriminator"):
        initial, expected = getattr(start, name).state_dict(), getattr(theirs, name).state_dict()
        for key, weights in getattr(ours, name).state_dict().items():
            moved = (expected[key] - initial[key]).abs().max()
            assert moved > 1e-4, key
            found.append(float((weights - expected[key]).abs().max() / moved))
    return max(found)


def test_the_recipe_is_the_articles_numbers(config):
    assert config.train == TrainConfig(
        epochs=200,
        batch_size=128,
        seed=1000,
        learning_rate=2e-4,
        betas=(0.5, 0.999),
        learning_rate_decay=0,
        ema_halflife_images=0,
        real_fake_batch="joint",
    )
    assert config.objective.options["real_label"] == 0.9
    assert config.objective.options["r1_gamma"] == 0
    assert config.model.latent_dim == 100
    assert config.log.previews == 100
    assert config.checkpoint.every_steps == 20 * (60_000 // 128)


def test_the_networks_are_the_articles(config):
    networks = networks_of(config)
    sizes = [sum(p.numel() for p in network.parameters()) for network in (networks.generator, networks.discriminator)]
    assert sizes == [1_486_352, 1_460_225]
    assert ARCHITECTURES.find("dense").distribution == "gancli"
    dropouts = [module.p for module in networks.discriminator.modules() if isinstance(module, nn.Dropout)]
    assert dropouts == [0.3, 0.3, 0.3]
    first = networks.discriminator.hidden[0].weight
    assert abs(first.std() - 0.02) < 0.001
