"""A translation of one's own in one file: colouring grey images, by a small pix2pix (Isola et al., 2017).

gancli train --dataset grey/ --to colour/ --paired --arch examples/colouring.py:Colouring
gancli translate photo.jpg -o coloured.png --arch examples/colouring.py:Colouring
"""

from dataclasses import replace

from pydantic import Field

from gancli.plugin import ArchConfig, Architecture, LossTerm, Networks


class ColouringConfig(ArchConfig):
    width: int = Field(32, ge=4, le=512, description="channels of the hidden layers")
    l1_weight: float = Field(100.0, ge=0, le=1e4, description="weight of |G(source) - target|")


class Colouring(Architecture[ColouringConfig]):
    api = 2
    translates = True  # the generator is called with z and source images
    summary = "Colours grey images, learning from pairs"
    Config = ColouringConfig
    defaults = {"model.latent_dim": 1, "train.batch_size": 8, "train.learning_rate": 2e-4, "augment.mode": "off"}

    def supports(self, config, image):
        return None if image.paired else "It learns from pairs: say --paired."

    def build(self, config, image, latent_dim):
        from torch import cat, nn

        def layers(inputs, outputs, stride):
            return nn.Sequential(
                nn.Conv2d(inputs, config.width, 3, stride, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(config.width, config.width, 3, stride, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(config.width, outputs, 3, padding=1),
            )

        class Generator(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = layers(image.source[0], image.channels, stride=1)

            def forward(self, z, source):
                return self.layers(source).tanh()

        class Discriminator(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = layers(image.channels + image.source[0], 1, stride=2)

            def forward(self, images, source):
                return self.layers(cat([images, source], 1)).flatten(1)  # one logit per patch

        return Networks(Generator(), Discriminator())

    def updates(self, config, objective, discriminator, generator):
        l1 = LossTerm("l1", lambda s: (s.fake - s.real).abs(), config.l1_weight)
        return discriminator, replace(generator, losses=(*generator.losses, l1))
