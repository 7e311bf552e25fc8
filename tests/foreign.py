"""Networks as the field writes them, very small: each correct, and spoiled by tests in one place at a time."""

from dataclasses import replace

from gancli.plugin import ArchConfig, Architecture, LossTerm, Networks, Update

SIZE = 8


class _Foreign(Architecture[ArchConfig]):
    api = 2
    summary = "a network of another house"
    Config = ArchConfig

    def supports(self, config, image):  # noqa: ARG002  (the contract's signature)
        if (image.height, image.width) != (SIZE, SIZE):
            return "Only 8x8 images."
        return "There are no classes here." if image.classes else None


def plain_discriminator(image, *end):
    from torch import nn

    pixels = image.channels * SIZE * SIZE
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Flatten(0), *end)


class StyleGAN2(_Foreign):
    """Equalised learning rates, modulated convolutions, noise, minibatch standard deviation, path length."""

    defaults = {"train.real_fake_batch": "separate", "objective.name": "non-saturating"}  # noqa: RUF012  (as a plugin writes it)

    def updates(self, config, objective, discriminator, generator):  # noqa: ARG002  (the signature is given)
        def path_length(s):
            import torch

            g = s.network("generator")
            w = g.mapping(s.z)
            fake = g.synthesis(w)
            noise = torch.randn_like(fake) / SIZE
            (gradient,) = torch.autograd.grad((fake * noise).sum(), w, create_graph=True)
            return (gradient.square().sum(1).sqrt() - 0.1).square()  # PATH

        path = LossTerm("path_length", path_length, weight=2.0, every=4, second_order=True)
        return discriminator, replace(generator, losses=(*generator.losses, path))

    def build(self, config, image, latent_dim):  # noqa: ARG002, C901  (the signature is given)
        import torch
        from torch import nn
        from torch.nn.functional import conv2d, interpolate, leaky_relu, linear

        class Equal(nn.Module):
            """Weights N(0, 1), divided by sqrt(fan-in) when they are used (Karras et al., 2018)."""

            def __init__(self, inputs, outputs, bias=0.0, rate=1.0):
                super().__init__()
                self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
                self.bias = nn.Parameter(torch.full((outputs,), bias))
                self.gain = rate / inputs**0.5

            def forward(self, x):
                return linear(x, self.weight * self.gain, self.bias)

        class Modulated(nn.Module):
            def __init__(self, w_dim, inputs, outputs):
                super().__init__()
                self.style = Equal(w_dim, inputs, bias=1.0)
                self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
                self.noise = nn.Parameter(torch.zeros(()))
                self.bias = nn.Parameter(torch.zeros(outputs))

            def forward(self, x, w):
                style = self.style(w)
                size = (style.square() @ self.weight.square().sum((2, 3)).T + 1e-8).rsqrt()
                x = conv2d(x * style[..., None, None], self.weight, padding=1) * size[..., None, None]
                if self.training:
                    x = x + self.noise * torch.randn(x.shape[0], 1, *x.shape[2:])
                return leaky_relu(x + self.bias[:, None, None], 0.2) * 2**0.5

        class Generator(nn.Module):
            def __init__(self):
                super().__init__()
                self.map = nn.ModuleList([Equal(latent_dim, 8, rate=0.01), Equal(8, 8, rate=0.01)])
                self.constant = nn.Parameter(torch.randn(1, 8, 4, 4))
                self.first, self.second = Modulated(8, 8, 8), Modulated(8, 8, 8)
                self.to_image = Equal(8, image.channels)
                self.register_buffer("mean_w", torch.zeros(8))

            def mapping(self, z):
                w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
                for layer in self.map:
                    w = leaky_relu(layer(w), 0.2)
                if self.training:
                    self.mean_w.lerp_(w.detach().mean(0), 0.01)  # MEAN
                return w

            def synthesis(self, w):
                w = w.unsqueeze(1).expand(-1, 2, -1) if w.dim() == 2 else w
                x = self.first(self.constant.expand(w.shape[0], -1, -1, -1), w[:, 0])
                x = self.second(interpolate(x, scale_factor=2.0), w[:, 1])
                return self.to_image(x.movedim(1, -1)).movedim(-1, 1)

            def forward(self, z):
                return self.synthesis(self.mapping(z))

        class Discriminator(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = Equal(image.channels * SIZE * SIZE, 16)
                self.last = Equal(17, 1)

            def forward(self, images):
                x = leaky_relu(self.first(images.flatten(1)), 0.2)
                groups = x.unflatten(0, (min(4, len(x)), -1))  # minibatch standard deviation
                spread = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean(1)
                x = torch.cat([x, spread.repeat(groups.shape[0])[:, None]], 1)
                return self.last(x).squeeze(1)

        return Networks(Generator(), Discriminator())


class BigGAN(_Foreign):
    """Spectral norm in both, conditional batch norm, self-attention behind a gain of zero, projection."""

    def supports(self, config, image):  # noqa: ARG002  (the signature is given)
        return None if image.classes and image.height == SIZE else "Only 8x8 images with classes."

    def build(self, config, image, latent_dim):  # noqa: ARG002  (the signature is given)
        import torch
        from torch import nn
        from torch.nn.utils.parametrizations import spectral_norm as sn

        class ConditionalNorm(nn.Module):
            def __init__(self, channels):
                super().__init__()
                self.norm = nn.BatchNorm2d(channels, affine=False)
                self.gain, self.bias = nn.Embedding(image.classes, channels), nn.Embedding(image.classes, channels)
                nn.init.ones_(self.gain.weight)
                nn.init.zeros_(self.bias.weight)

            def forward(self, x, labels):
                shape = (labels.shape[0], -1, 1, 1)
                return self.norm(x) * self.gain(labels).reshape(shape) + self.bias(labels).reshape(shape)

        class Attention(nn.Module):
            def __init__(self, channels):
                super().__init__()
                self.query, self.key, self.value = (sn(nn.Conv2d(channels, channels, 1, bias=False)) for _ in range(3))
                self.gamma = nn.Parameter(torch.zeros(1))

            def forward(self, x):
                query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
                # ATTENTION
                attended = value @ (query.transpose(1, 2) @ key).softmax(1)
                return x + self.gamma * attended.reshape(x.shape)

        class Generator(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = sn(nn.Linear(latent_dim, 8 * 16))
                self.norm, self.attention = ConditionalNorm(8), Attention(8)
                self.last = sn(nn.ConvTranspose2d(8, image.channels, 4, 2, 1))

            def forward(self, z, labels):
                # LABELS
                x = self.norm(self.first(z).unflatten(1, (8, 4, 4)), labels).relu()
                return self.last(self.attention(x)).tanh()

        class Discriminator(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = sn(nn.Conv2d(image.channels, 8, 4, 2, 1))
                self.attention, self.last = Attention(8), sn(nn.Linear(8, 1))
                self.classes = sn(nn.Embedding(image.classes, 8))

            def forward(self, images, labels):
                features = self.attention(self.first(images).relu()).relu().sum((2, 3))
                return self.last(features).squeeze(1) + (self.classes(labels) * features).sum(1)

        return Networks(Generator(), Discriminator())


class Pix2Pix(_Foreign):
    """A U-Net from source images, a patch discriminator, and an L1 term."""

    defaults = {"objective.name": "non-saturating", "objective.r1_gamma": 0, "train.real_fake_batch": "separate"}  # noqa: RUF012  (as a plugin writes it)

    def supports(self, config, image):  # noqa: ARG002  (the signature is given)
        return None if image.source and image.height == SIZE else "Only 8x8 images from source images."

    def updates(self, config, objective, discriminator, generator):  # noqa: ARG002  (the signature is given)
        def l1(s):
            return (s.fake - s.real).abs()  # L1

        return discriminator, replace(generator, losses=(*generator.losses, LossTerm("l1", l1, weight=100.0)))

    def build(self, config, image, latent_dim):  # noqa: ARG002  (the signature is given)
        import torch
        from torch import nn

        channels = image.source[0]

        class UNet(nn.Module):
            def __init__(self):
                super().__init__()
                self.down = nn.Conv2d(channels, 8, 4, 2, 1)
                self.middle = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.ReLU())
                self.up = nn.ConvTranspose2d(16, image.channels, 4, 2, 1)

            def forward(self, z, source):  # noqa: ARG002  (pix2pix has no latents; its noise is dropout)
                # SOURCE
                x = self.down(source).relu()
                return self.up(torch.cat([x, self.middle(x)], 1)).tanh()

        class Patches(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(
                    nn.Conv2d(image.channels + channels, 8, 4, 2, 1),
                    nn.BatchNorm2d(8),
                    nn.LeakyReLU(0.2),
                    nn.Conv2d(8, 1, 3),
                    nn.Flatten(),
                )

            def forward(self, images, source):
                return self.layers(torch.cat([images, source], 1))

        return Networks(UNet(), Patches())


class WeightNorm(_Foreign):
    def build(self, config, image, latent_dim):  # noqa: ARG002  (the signature is given)
        from torch import nn
        from torch.nn.utils.parametrizations import weight_norm

        generator = nn.Sequential(
            weight_norm(nn.Linear(latent_dim, 16)),
            nn.ReLU(),
            # ORTHOGONAL
            weight_norm(nn.Linear(16, image.channels * SIZE * SIZE)),
            nn.Unflatten(1, image.shape),
        )
        return Networks(generator, plain_discriminator(image))


class Buffers(_Foreign):
    """A buffer made in the first forward pass, one that is not stored, and one that is."""

    def build(self, config, image, latent_dim):  # noqa: ARG002  (the signature is given)
        import torch
        from torch import nn

        pixels = image.channels * SIZE * SIZE

        class Generator(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = nn.Linear(latent_dim, pixels)
                self.register_buffer("kernel", torch.tensor([1.0, 2.0, 1.0]) / 4, persistent=False)
                self.register_buffer("grid", None, persistent=False)
                self.register_buffer("moving", torch.full((1,), 0.5))

            def forward(self, z):
                if self.grid is None:
                    self.grid = torch.linspace(-1, 1, SIZE)
                x = self.first(z).reshape(-1, *image.shape)
                if self.training:
                    self.moving.lerp_(x.detach().std(), 0.1)
                x = x * (1 + self.moving) + self.grid
                kernel = self.kernel.reshape(1, 1, 1, 3).expand(image.channels, -1, -1, -1)
                return nn.functional.conv2d(x, kernel, padding=(0, 1), groups=image.channels).tanh()

        return Networks(Generator(), plain_discriminator(image))


class Projected(_Foreign):
    """Frozen random features under several heads, and an encoder that is trained with the generator."""

    def updates(self, config, objective, discriminator, generator):  # noqa: ARG002  (the signature is given)
        def code(s):
            from torch.nn.functional import mse_loss

            return mse_loss(s.network("encoder")(s.fake), s.z, reduction="none")

        def clip(networks):
            for weight in networks["discriminator"].parameters():
                weight.clamp_(-0.5, 0.5)

        term = LossTerm("code", code, weight=0.5)
        return replace(discriminator, repeats=2, after=clip), Update(("generator", "encoder"), (*generator.losses, term))

    def build(self, config, image, latent_dim):  # noqa: ARG002  (the signature is given)
        from torch import nn

        pixels = image.channels * SIZE * SIZE
        features = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 12), nn.BatchNorm1d(12), nn.LeakyReLU(0.2))

        class Heads(nn.Module):
            def __init__(self):
                super().__init__()
                self.heads = nn.Linear(12, 4)

            def forward(self, images):
                return self.heads(features(images))

        class Encoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.code = nn.Linear(pixels, latent_dim)
                # ENCODER

            def forward(self, images):
                return self.code(images.flatten(1))

        generator = nn.Sequential(nn.Linear(latent_dim, pixels), nn.Tanh(), nn.Unflatten(1, image.shape))
        return Networks(generator, Heads(), {"features": features, "encoder": Encoder()})


class SelfConditioned(_Foreign):
    """The discriminator labels images without classes; the generator takes its class from z."""

    def build(self, config, image, latent_dim):  # noqa: ARG002  (the signature is given)
        from torch import nn

        pixels = image.channels * SIZE * SIZE

        class Generator(nn.Module):
            def __init__(self):
                super().__init__()
                self.dense = nn.Linear(latent_dim, pixels)
                self.classes = nn.Embedding(2, pixels)

            def forward(self, z, labels=None):
                x = self.dense(z)
                share = (z[:, :1] * 10).sigmoid() if labels is None else labels[:, None].float()
                both = x[:, None] + self.classes.weight
                return both[:, 0].lerp(both[:, 1], share).tanh().unflatten(1, image.shape)

        class Discriminator(nn.Module):
            def __init__(self):
                super().__init__()
                self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 16), nn.LeakyReLU(0.2))
                self.last, self.classes = nn.Linear(16, 1), nn.Embedding(2, 16)

            def label(self, images):
                return (images.mean((1, 2, 3)) > 0).long()

            def forward(self, images, *labels):
                found = labels[0] if labels else self.label(images)  # LABEL
                features = self.hidden(images)
                return self.last(features).squeeze(1) + (features * self.classes(found)).sum(1)

        return Networks(Generator(), Discriminator())
