from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gancli.checkpoint.provenance import Origin, Provenance
from gancli.errors import RunError, UsageError
from gancli.models.interpolation import Frames, Interpolation
from gancli.models.latents import Latents, ModelAtLatents, read_latents, style_mixing
from gancli.models.model import Model
from gancli.plugin import ImageSpec

FACTS = {
    "arch": {"name": "x", "distribution": "none", "version": "1", "options": {}},
    "image": {"channels": 1, "height": 4, "width": 4},
    "classes": [],
    "latent_dim": 3,
    "dataset": {"name": "none"},
}


class Plain(nn.Module):
    """``tanh(W z + V y)``."""

    def __init__(self, classes):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 16)
        self.embedding = nn.Embedding(classes, 16) if classes else None

    def forward(self, z, labels=None):
        x = self.linear(z)
        return (x if labels is None else x + self.embedding(labels)).tanh().unflatten(1, (1, 4, 4))


class Styled(nn.Module):
    """Four layers, each of which makes one row of the image of its own w."""

    layers = 4

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.map, self.rows = nn.Linear(3, 5), nn.ModuleList(nn.Linear(5, 4) for _ in range(4))
        self.register_buffer("mean_w", torch.full((5,), 0.25))

    def mapping(self, z):
        return self.map(z)

    def synthesis(self, w):
        w = w.unsqueeze(1).expand(-1, 4, -1) if w.ndim == 2 else w
        return torch.stack([row(w[:, i]) for i, row in enumerate(self.rows)], 1).unsqueeze(1)

    def forward(self, z):
        return self.synthesis(self.mapping(z))


def make(network, classes=0):
    origin = Origin("run", Path("run"), 1, "ab" * 32, "ema", Provenance.parse(FACTS, Path()))
    return Model(network, 3, ImageSpec(1, 4, 4, classes), tuple("abc"[:classes]), origin)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "latents.npz"


def test_latents_of_a_file_give_the_images_that_they_were_taken_from(file):
    model = make(Plain(3), 3)
    points, labels = model.points([7, 8]), [2, 0]
    np.savez(file, z=points.numpy(), labels=labels, model=model.origin.digest)
    found = read_latents(file, model)
    assert found.labels == labels
    assert found.digest == model.origin.digest
    torch.testing.assert_close(ModelAtLatents(model, found).sample(2), model.sample(seeds=[7, 8], labels=labels))


def test_what_numpy_saves_is_read_as_well(file):
    np.savez(file, z=np.zeros((2, 3)))
    assert read_latents(file, make(Plain(0))).points.dtype == torch.float32


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"w": np.zeros((2, 3))}, "holds w, not z"),
        ({"z": np.zeros((2, 4))}, r"This model needs float32 \(n, 3\)"),
        ({"z": np.zeros((0, 3))}, "This model needs"),
        ({"z": np.zeros(3)}, "This model needs"),
        ({"z": np.zeros((2, 3), np.int64)}, "int64"),
        ({"z": np.full((2, 3), np.nan)}, "not finite"),
        ({"z": np.array([[None] * 3])}, "not a file of latents"),
        ({"z": np.zeros((2, 3)), "labels": [0]}, "one per latent"),
        ({"z": np.zeros((2, 3)), "labels": [0, 3]}, "Classes are 0 to 2"),
    ],
)
def test_other_files_are_refused(file, arrays, words):
    np.savez(file, **arrays)
    with pytest.raises(UsageError, match=words):
        read_latents(file, make(Plain(3), 3))


def test_a_file_that_is_no_archive_or_missing_is_refused(file):
    with pytest.raises(RunError, match="There is no file"):
        read_latents(file, make(Plain(0)))
    file.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(UsageError, match="not a file of latents"):
        read_latents(file, make(Plain(0)))


def test_latents_are_used_as_they_are():
    model = ModelAtLatents(make(Styled()), Latents(torch.zeros(1, 5)))
    with pytest.raises(UsageError, match="used as they are"):
        model.sample(1, truncation=0.5)
    with pytest.raises(UsageError, match="no row 1"):
        model.sample(2)


def test_an_interpolation_passes_each_image_whole_with_its_own_class():
    model = make(Plain(3), 3)
    latents = Latents(torch.tensor([[1.0, 0, 0], [0, 5, 0], [0, 0, 1]]), [2, 0, 1])
    placed = ModelAtLatents(model, latents)
    walk = Interpolation(range(3), 6, labels=latents.labels, even=True)
    frames = torch.cat(list(Frames(placed, walk)))
    torch.testing.assert_close(frames[::2], placed.sample(3))


def test_styles_are_mixed_at_a_layer():
    model = make(Styled())
    mixed = style_mixing(model, [1, 2], [10, 11, 12], 1)
    images = ModelAtLatents(model, mixed).sample(6).unflatten(0, (2, 3))
    coarse, fine = model.sample(seeds=[1, 2]), model.sample(seeds=[10, 11, 12])
    torch.testing.assert_close(images[:, :, :, :1], coarse[:, None, :, :1].expand(-1, 3, -1, -1, -1))
    torch.testing.assert_close(images[:, :, :, 1:], fine[None, :, :, 1:].expand(2, -1, -1, -1, -1))


def test_mixed_styles_are_truncated():
    model = make(Styled())
    mixed = style_mixing(model, [1], [1], truncation=0.5)
    torch.testing.assert_close(ModelAtLatents(model, mixed).sample(1), model.sample(1, seed=1, truncation=0.5))


def test_styles_need_layers():
    with pytest.raises(UsageError, match="takes no w per layer"):
        style_mixing(make(Plain(0)), [0], [1])
    with pytest.raises(UsageError, match="has 4 layers: give 1 to 3"):
        style_mixing(make(Styled()), [0], [1], 4)
