"""The loss terms of :mod:`gancli_translate`, per image. a is a source image, b a target image, G(a) a translation."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from gancli.plugin import Objective, StepContext
    from gancli_translate.networks import Heads, PatchDiscriminator, ResidualGenerator

    Value = Callable[[StepContext], Tensor]

__all__ = ["cycle", "discriminates_back", "discriminates_pooled", "fools_back", "identity", "l1", "patch_nce"]


def l1(s: StepContext) -> Tensor:
    """|G(a) - b| of pairs (Isola et al., 2017, equation 3)."""
    return (s.fake - s.real).abs()


def patch_nce(patches: int, temperature: float, *, identity: bool) -> Value:
    """PatchNCE: a patch of the translation is that of the same place in the source, and none of other places.

        -log exp(q k+ / t) / (exp(q k+ / t) + sum exp(q k- / t))

    over ``patches`` places of every layer (Park et al., 2020, equation 2). With ``identity`` b is translated instead of a.
    """

    def value(s: StepContext) -> Tensor:
        generator = cast("ResidualGenerator", s.network("generator"))
        heads = cast("Heads", s.network("heads"))
        source = s.real if identity else s.conditions[-1]
        translated = generator.translate(s.real) if identity else s.fake
        queries = generator.encode(translated)
        with torch.no_grad():
            keys = generator.encode(source)
        places = [torch.randperm(each[0, 0].numel(), device=each.device)[:patches] for each in keys]
        losses = []
        for query, key in zip(heads(queries, places), heads(keys, places), strict=True):
            similarity = query @ key.detach().transpose(1, 2) / temperature
            n, p, _ = similarity.shape
            same = torch.arange(p, device=query.device).expand(n, -1)
            losses.append(functional.cross_entropy(similarity.transpose(1, 2), same, reduction="none").mean(1))
        return torch.stack(losses).mean(0)

    return value


def _back(s: StepContext) -> tuple[ResidualGenerator, PatchDiscriminator]:
    return (
        cast("ResidualGenerator", s.network("back")),
        cast("PatchDiscriminator", s.network("discriminator_back")),
    )


def translated_back(s: StepContext) -> Tensor:
    """F(b), which several terms of an update read: ``s.once(translated_back)``."""
    return _back(s)[0].translate(s.real)


def fools_back(objective: Objective) -> Value:
    """What F minimises: D_A is to take F(b) for a source image."""

    def value(s: StepContext) -> Tensor:
        _, discriminator = _back(s)
        logits = discriminator(s.once(translated_back)).float()
        real = discriminator(s.conditions[-1]).float() if objective.generator_sees_real else torch.zeros_like(logits)
        return objective.generator_loss(logits, real)

    return value


def discriminates_pooled(objective: Objective) -> Value:
    """What D minimises, on translations of which some are of earlier steps."""

    def value(s: StepContext) -> Tensor:
        discriminator = cast("PatchDiscriminator", s.network("discriminator"))
        if discriminator.pool is None:
            return objective.discriminator_loss(s.real_logits, s.fake_logits)
        return objective.discriminator_loss(s.discriminate(s.real), s.discriminate(discriminator.pool(s.fake)))

    return value


def discriminates_back(objective: Objective) -> Value:
    """What D_A minimises."""

    def value(s: StepContext) -> Tensor:
        back, discriminator = _back(s)
        with torch.no_grad():
            fake = back.translate(s.real)
        if discriminator.pool is not None:
            fake = discriminator.pool(fake)
        real_logits: Tensor = discriminator(s.conditions[-1])
        fake_logits: Tensor = discriminator(fake)
        return objective.discriminator_loss(real_logits.float(), fake_logits.float())

    return value


def cycle(s: StepContext) -> Tensor:
    """|F(G(a)) - a| + |G(F(b)) - b| (Zhu et al., 2017, equation 2)."""
    back, _ = _back(s)
    generator = cast("ResidualGenerator", s.network("generator"))
    there = (back.translate(s.fake) - s.conditions[-1]).abs().mean((1, 2, 3))
    return there + (generator.translate(s.once(translated_back)) - s.real).abs().mean((1, 2, 3))


def identity(s: StepContext) -> Tensor:
    """|G(b) - b| + |F(a) - a| (Zhu et al., 2017, section 5.2)."""
    back, _ = _back(s)
    generator = cast("ResidualGenerator", s.network("generator"))
    source = s.conditions[-1]
    if source.shape[1] != s.real.shape[1]:  # grey to colour, for instance: there is no identity
        return torch.zeros(len(source), device=source.device)
    return (generator.translate(s.real) - s.real).abs().mean((1, 2, 3)) + (back.translate(source) - source).abs().mean(
        (1, 2, 3)
    )
