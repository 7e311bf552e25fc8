"""The step of the commit before contract version 2, and today's: the same bits of every weight, EMA and moment."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from gancli.config.resolve import choose_arch, load_objective, resolve
from gancli.data.batches import Batches
from gancli.gan import augmentation
from gancli.gan.build import build_training
from gancli.gan.trainer import Trainer
from gancli.plugin import ImageSpec
from gancli.randomness.seeds import address
from gancli.runtime.device import Runtime
from gancli.training.setup import mean_image

BEFORE = Path(__file__).parent / "before"
OBJECTIVES = ("non-saturating", "hinge", "least-squares", "wasserstein", "relativistic")
DCGAN = ("arch.name=dcgan", "arch.channels=4", "arch.simultaneous=false")  # there were no joint updates
CASES = {
    **{f"{name}, plain": [f"objective.name={name}"] for name in OBJECTIVES},
    **{f"{name}, accumulate": [f"objective.name={name}", "train.accumulate=2"] for name in OBJECTIVES},
    **{f"{name}, separate": [f"objective.name={name}", "train.real_fake_batch=separate"] for name in OBJECTIVES},
    **{f"{name}, augmented": [f"objective.name={name}", "augment.mode=on", "augment.strength=0.6"] for name in OBJECTIVES},
    **{f"{name}, conditional": [f"objective.name={name}", "model.conditional=true"] for name in OBJECTIVES},
    **{f"{name}, bf16": [f"objective.name={name}", "runtime.precision=bf16"] for name in OBJECTIVES},
    "lazy penalties, r1 and r2": ["objective.r2_gamma=0.5", "objective.penalty_interval_steps=3"],
    "burn-in": ["train.burn_in=0.9", "train.penalty_start=4", "train.beta2_start=0.9", "train.learning_rate_start=0.01"],
    "two learning rates": ["train.discriminator_learning_rate=3e-4"],
    "adaptive augmentation": ["augment.mode=on", "augment.adapt_images=100", "train.accumulate=2"],
    "dcgan": [*DCGAN],
    "dcgan, bf16, augmented": [
        *DCGAN,
        "arch.upsampling=transposed",  # "nearest" sums weights: in float32 today, then in the bf16 copies that there were
        "runtime.precision=bf16",
        "augment.mode=on",
        "augment.strength=null",
    ],
    "dcgan, accumulate": [*DCGAN, "train.accumulate=2", "objective.name=hinge"],
    "resnet": ["arch.name=resnet", "arch.channels=4"],
    "resnet, conditional, separate": [
        "arch.name=resnet",
        "arch.channels=4",
        "model.conditional=true",
        "train.real_fake_batch=separate",
    ],
    "the default's real size": ["train.batch_size=128"],
}
SMALL = ("arch.generator_widths=[16]", "arch.discriminator_widths=[16]", "model.latent_dim=8")
STEPS = 5


@pytest.fixture(scope="module")
def before():
    """The modules of the step before, as a package."""
    name = "gancli_step_before"
    spec = importlib.util.spec_from_file_location(name, BEFORE / "__init__.py", submodule_search_locations=[str(BEFORE)])
    sys.modules[name] = importlib.util.module_from_spec(spec)
    yield lambda module: importlib.import_module(f"{name}.{module}")
    for each in [key for key in sys.modules if key.startswith(name)]:
        del sys.modules[each]


def config_of(case):
    real_size = case == "the default's real size" or case.startswith(("dcgan", "resnet"))
    assignments = [*(() if real_size else SMALL), "train.batch_size=8", "train.images=1000", *CASES[case]]
    return resolve(assignments=assignments, environment={}).config


def batches_of(config, image):
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (512, *image.shape), dtype=torch.uint8, generator=generator)
    labels = torch.arange(512) % image.classes if image.classes else None
    return pixels, Batches(pixels, labels, batch_size=config.train.batch_size, seed=config.train.seed)


def steps_of_before(before, config, image, runtime):
    """Five steps as they were taken then: the tensors after them, and the reports of each."""
    pixels, batches = batches_of(config, image)
    chosen = choose_arch(config)
    arch, options = chosen.plugin, chosen.options
    torch.manual_seed(address(config.train.seed, "weights"))
    networks = arch.build(options, image, config.model.latent_dim)
    arch.calibrate(networks, mean_image(pixels))
    state_module = before("state")
    adams = [
        torch.optim.Adam(network.parameters(), lr=config.train.learning_rate, betas=config.train.betas, fused=True)
        for network in (networks.generator, networks.discriminator)
    ]
    players = {
        "generator": state_module.Player(networks.generator, adams[0]),
        "discriminator": state_module.Player(networks.discriminator, adams[1]),
    }
    state = state_module.TrainingState(players, state_module.Average(networks.generator))
    augments = before("augmentation").augmentation_for(
        config.augment, len(pixels), seed=config.train.seed, state=state.augmentation, device=runtime.device
    )
    trainer = before("trainer").Trainer(
        state,
        load_objective(config),
        batches,
        runtime,
        rules=config.train,
        latent_dim=config.model.latent_dim,
        augmentation=augments,
    )
    return state, [trainer.step(step / 20) for step in range(STEPS)]


def steps_of_today(config, image, runtime):
    pixels, batches = batches_of(config, image)
    state, updates = build_training(config, image, runtime.device, mean_image(pixels))
    augments = augmentation.augmentation_for(config.augment, len(pixels), state=state.augmentation, device=runtime.device)
    trainer = Trainer(
        state,
        updates,
        batches,
        runtime,
        rules=config.train,
        latent_dim=config.model.latent_dim,
        augmentation=augments,
    )
    return state, [trainer.step(step / 20) for step in range(STEPS)]


@pytest.mark.parametrize("case", CASES)
def test_five_steps_end_in_the_same_bits(case, before):
    torch.set_num_threads(1)
    config = config_of(case)
    side = 28 if case == "the default's real size" or config.arch.name != "dense" else 6
    image = ImageSpec(1, side, side, 3 if config.model.conditional else 0)
    runtime = Runtime(torch.device("cpu"), bf16=config.runtime.precision == "bf16")
    then, reports_then = steps_of_before(before, config, image, runtime)
    now, reports_now = steps_of_today(config, image, runtime)
    assert {**then.counters(), "diversities": []} == now.counters()  # which was not stored then
    theirs, ours = then.tensors(), now.tensors()
    assert theirs.keys() == ours.keys()
    for group, tensors in theirs.items():
        assert tensors.keys() == ours[group].keys()
        different = [name for name, tensor in tensors.items() if not torch.equal(tensor, ours[group][name])]
        assert not different, group
    for old, new in zip(reports_then, reports_now, strict=True):
        assert {name: value.item() for name, value in old.items()} == {name: value.item() for name, value in new.items()}
