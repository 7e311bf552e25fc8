"""A sound architecture of the smallest size, which tests spoil in one place at a time."""

from pydantic import Field

from gancli.plugin import ArchConfig, Architecture, Networks

# TOP


class Options(ArchConfig):
    width: int = Field(6, ge=1, description="units of the hidden layer")
    # OPTIONS


class Sound(Architecture[Options]):
    api = 1
    summary = "One hidden layer each"
    Config = Options
    defaults = {"train.learning_rate": 1e-3}  # noqa: RUF012  (as a plugin writes it)
    # CLASS

    def supports(self, config, image):  # noqa: ARG002  (the contract's signature)
        return "Only 28x28 pictures and no larger ones." if image.height != 28 else None

    def build(self, config, image, latent_dim):
        import torch
        from torch import nn

        pixels = image.channels * image.height * image.width

        class Generator(nn.Module):
            def __init__(self):
                super().__init__()
                self.classes = nn.Embedding(max(1, image.classes), config.width)
                self.first = nn.Linear(latent_dim, config.width)
                self.last = nn.Linear(config.width, pixels)
                self.register_buffer("shift", torch.zeros(config.width))
                # GENERATOR

            def forward(self, z, labels=None):
                if labels is None:
                    labels = torch.zeros(z.shape[0], dtype=torch.int64)
                hidden = (self.first(z) + self.classes(labels) + self.shift).relu()
                # HIDDEN
                images = self.last(hidden).tanh().reshape(-1, *image.shape)
                # IMAGES
                return images  # noqa: RET504  (tests put something in between)

        class Discriminator(nn.Module):
            def __init__(self):
                super().__init__()
                self.classes = nn.Embedding(max(1, image.classes), config.width)
                self.first = nn.Linear(pixels, config.width)
                self.last = nn.Linear(config.width, 1)
                # DISCRIMINATOR

            def forward(self, images, labels=None):
                if labels is None:
                    labels = torch.zeros(len(images), dtype=torch.int64)
                features = self.first(images.flatten(1)).relu()
                # FEATURES
                logits = self.last(features).squeeze(1) + (self.classes(labels) * features).sum(1)
                # LOGITS
                return logits  # noqa: RET504  (tests put something in between)

        networks = Networks(Generator(), Discriminator())
        # NETWORKS
        return networks  # noqa: RET504  (tests put something in between)
