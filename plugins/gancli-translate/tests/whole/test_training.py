"""The three translators train, each with the losses of its paper, and a resumed run ends in the same bits."""

import pytest
import torch
from PIL import Image

from gancli.errors import ConfigError
from gancli.runs import RunDirectory
from gancli.storage.tensors import decode
from gancli.training.run import resume, train
from gancli.training.setup import set_up
from gancli_translate.networks import ResidualGenerator

LOSSES = {
    "cut": {"d_loss", "g_loss", "nce", "identity", "filters", "curves", "places"},
    "cyclegan": {"d_loss", "d_loss_back", "g_loss", "g_loss_back", "cycle", "identity"},
    "pix2pix": {"d_loss", "g_loss", "l1"},
}
NETWORKS = {
    "cut": {"generator", "discriminator", "heads"},
    "cyclegan": {"generator", "discriminator", "back", "discriminator_back"},
    "pix2pix": {"generator", "discriminator"},
}


def after(steps):
    calls = iter(range(1, 1000))
    return lambda: 15 if next(calls) == steps else 0


@pytest.mark.parametrize("name", LOSSES)
def test_a_resumed_run_ends_in_the_same_bits(configure, tmp_path, name):
    events = []
    whole = train(configure(name), runs_dir=tmp_path, name="whole", observe=events.append).run
    train(configure(name), runs_dir=tmp_path, name="halves", stop=after(3))
    halves = resume(RunDirectory(tmp_path / "halves")).run
    files = [sorted((run / "checkpoints" / "step-000000006").glob("*.safetensors")) for run in (whole, halves)]
    assert NETWORKS[name] <= {path.stem for path in files[0]}
    for one, other in zip(*files, strict=True):
        tensors = [decode(path.read_bytes(), path.name) for path in (one, other)]
        assert tensors[0].keys() == tensors[1].keys()
        assert all(torch.equal(value, tensors[1][key]) for key, value in tensors[0].items())
    rows = [(run / "metrics.jsonl").read_text() for run in (whole, halves)]
    assert rows[0] == rows[1]
    assert {name for event in events for name in getattr(event, "metrics", {})} >= LOSSES[name]
    with Image.open(whole / "samples" / "000006.png") as preview:
        assert preview.width > preview.height or name != "pix2pix"  # source, translation, truth


@pytest.mark.parametrize("name", LOSSES)
def test_every_network_learns(configure, name):
    game = set_up(configure(name))
    before = {key: [p.detach().clone() for p in net.parameters()] for key, net in game.state.networks.items()}
    report = game.step()
    assert set(report) >= LOSSES[name]
    changed = [
        key
        for key, net in game.state.networks.items()
        if any(not torch.equal(a, b) for a, b in zip(before[key], net.parameters(), strict=True))
    ]
    assert set(changed) == NETWORKS[name]


def test_the_pool_is_part_of_the_checkpoint(configure):
    game = set_up(configure("cyclegan"))
    for _ in range(2):
        game.step()
    pool = game.state.networks["discriminator"].pool
    assert int(pool.filled) == 6
    assert game.state.tensors()["discriminator"]["pool.images"].any()


@pytest.mark.parametrize(
    ("name", "assignments", "message"),
    [
        ("pix2pix", ["data.paired=false"], "say --paired"),
        ("cut", ["data.image_size=18"], "multiples of 4 from 16 to 512 work"),
        ("cut", ["data.image_size=8"], "multiples of 4 from 16 to 512 work"),
    ],
)
def test_what_cannot_be_trained(configure, name, assignments, message):
    with pytest.raises(ConfigError, match=message):
        set_up(configure(name, *assignments))


@pytest.mark.parametrize("patch", [1, 2])
def test_a_generator_that_filters_begins_with_the_untouched_image_and_adds_no_noise_to_what_is_flat(patch):
    torch.manual_seed(0)
    generator = ResidualGenerator((3, 32, 32), 3, 4, 1, patch, reach=2, curves=4).eval()
    source = torch.rand(2, 3, 30, 33) * 2 - 1
    assert torch.equal(generator(None, source), source)
    for values in generator.weights.parameters():
        values.data.normal_()
    assert not torch.allclose(generator(None, source), source, atol=0.1)
    flat = source[:, :, :1, :1].expand_as(source).contiguous()
    assert torch.allclose(generator(None, flat), flat, atol=1e-5)


def test_curves_make_one_colour_of_one_colour_and_differ_between_images():
    torch.manual_seed(0)
    generator = ResidualGenerator((3, 32, 32), 3, 4, 1, 2, reach=1, curves=8).eval()
    for values in generator.vectors.parameters():
        values.data.normal_(std=0.2)
    stripes = torch.tensor([[0.5, -0.5, 0.1], [-0.3, 0.2, 0.4]]).repeat(15, 1).T[:, :, None].expand(3, 30, 33)
    plain = torch.full((3, 30, 33), 0.5)
    plain[:, 10:20] = stripes[:, :1, :1]
    made = generator(None, torch.stack([stripes, plain]))
    assert torch.allclose(made[0, :, ::2], made[0, :, :1, :1], atol=1e-5)
    assert not torch.allclose(made[0, :, 0, 0], stripes[:, 0, 0], atol=0.01)
    assert not torch.allclose(made[0, :, 0, 0], made[1, :, 15, 15], atol=0.01)  # the same colour of another image


def test_filters_that_are_the_same_everywhere_cost_nothing():
    weights, colours = torch.rand(2, 8, 1, 1).expand(2, 8, 4, 4), torch.tensor([0.5, -1]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    costs = ResidualGenerator.changes(weights, colours, 0 * colours)
    assert {name: cost.tolist() for name, cost in costs.items()} == {"filters": [0, 0], "curves": [0.5, 1], "places": [0, 0]}
    assert ResidualGenerator.changes(weights * torch.arange(4), colours, colours)["filters"].min() > 0


def test_a_photo_is_mixed_in_strips(monkeypatch):
    generator = ResidualGenerator((3, 32, 32), 3, 4, 1, 2, reach=2).eval()
    torch.nn.init.normal_(generator.weights[0].weight)
    source = torch.rand(2, 3, 40, 28)
    whole = generator(None, source)
    monkeypatch.setattr("gancli_translate.networks.STRIP_PIXELS", 2 * 28 * 7)
    with torch.no_grad():
        assert torch.allclose(generator(None, source), whole, atol=1e-5)


def test_a_size_that_suits_is_chosen(configure, pairs, tmp_path):
    for i in range(4):
        target = tmp_path / "odd" / f"{i}.png"
        target.parent.mkdir(exist_ok=True)
        Image.new("RGB", (30, 30), (9 * i, 9, 9)).save(target)
    game = set_up(configure("cut", f"data.dataset={tmp_path / 'odd'}", f"data.to={pairs / 'B'}"))
    assert game.image.source == game.image.shape == (3, 16, 16)
