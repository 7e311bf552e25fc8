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
    Translated = tuple[Tensor, list[Tensor], dict[str, Tensor]]

__all__ = [
    "cost",
    "cycle",
    "discriminates_back",
    "discriminates_pooled",
    "fools",
    "fools_back",
    "identity",
    "kept",
    "l1",
    "patch_nce",
    "translated_both",
    "translated_sources",
]


def l1(s: StepContext) -> Tensor:
    """|G(a) - b| of pairs (Isola et al., 2017, equation 3)."""
    return (s.fake - s.real).abs()


def _generator(s: StepContext) -> ResidualGenerator:
    return cast("ResidualGenerator", s.network("generator"))


def translated_sources(s: StepContext) -> Translated:
    """G(a), float32, the features of a on the way, and its changes."""
    images, features, changes = _generator(s).translate(s.conditions[-1])
    return images.float(), features, changes


def translated_both(s: StepContext) -> Translated:
    """G(a) and behind them G(b), in one pass, the features of a and b, and its changes."""
    images, features, changes = _generator(s).translate(torch.cat([s.conditions[-1], s.real]))
    return images.float(), features, changes


def fools(objective: Objective, translated: Callable[[StepContext], Translated]) -> Value:
    """What G minimises: D is to take G(a) for a target image."""

    def value(s: StepContext) -> Tensor:
        logits = s.discriminate(s.once(translated)[0][: len(s.real)])
        return objective.generator_loss(logits, s.real_logits if objective.generator_sees_real else torch.zeros_like(logits))

    return value


def patch_nce(translated: Callable[[StepContext], Translated], patches: int, temperature: float, *, identity: bool) -> Value:
    """PatchNCE: a patch of the translation is that of the same place in the source, and none of other places.

        -log exp(q k+ / t) / (exp(q k+ / t) + sum exp(q k- / t))

    over ``patches`` places of every layer (Park et al., 2020, equation 2), of a and, with ``identity``, of b.
    """

    def value(s: StepContext) -> Tensor:
        heads = cast("Heads", s.network("heads"))
        images, keys, _ = s.once(translated)
        n = len(images) if identity else len(s.real)
        queries = _generator(s).encode(images[:n])
        places = [torch.randperm(each[0, 0].numel(), device=each.device)[:patches] for each in keys]
        with torch.no_grad():
            targets = heads([each[:n] for each in keys], places)
        losses = []
        for query, target in zip(heads(queries, places), targets, strict=True):
            similarity = query @ target.transpose(1, 2) / temperature
            same = torch.arange(query.shape[1], device=query.device).expand(n, -1)
            losses.append(functional.cross_entropy(similarity.transpose(1, 2), same, reduction="none").mean(1))
        return torch.stack(losses).mean(0)

    return value


def kept(s: StepContext) -> Tensor:
    """|G(b) - b|."""
    return (s.once(translated_both)[0][len(s.real) :] - s.real).abs()


def cost(name: str, translated: Callable[[StepContext], Translated]) -> Value:
    """One of the changes that make G(a) and, if both are made together, G(b)."""

    def value(s: StepContext) -> Tensor:
        return s.once(translated)[2][name].float().view(-1, len(s.real)).sum(0)

    return value


def _back(s: StepContext) -> tuple[ResidualGenerator, PatchDiscriminator]:
    return (
        cast("ResidualGenerator", s.network("back")),
        cast("PatchDiscriminator", s.network("discriminator_back")),
    )


def translated_back(s: StepContext) -> Tensor:
    """F(b), which several terms of an update read: ``s.once(translated_back)``."""
    return _back(s)[0].translate(s.real)[0]


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
            fake = back.translate(s.real)[0]
        if discriminator.pool is not None:
            fake = discriminator.pool(fake)
        real_logits: Tensor = discriminator(s.conditions[-1])
        fake_logits: Tensor = discriminator(fake)
        return objective.discriminator_loss(real_logits.float(), fake_logits.float())

    return value


def cycle(s: StepContext) -> Tensor:
    """|F(G(a)) - a| + |G(F(b)) - b| (Zhu et al., 2017, equation 2)."""
    there = _back(s)[0].translate(s.fake)[0] - s.conditions[-1]
    back = _generator(s).translate(s.once(translated_back))[0] - s.real
    return there.abs().mean((1, 2, 3)) + back.abs().mean((1, 2, 3))


def identity(s: StepContext) -> Tensor:
    """|G(b) - b| + |F(a) - a| (Zhu et al., 2017, section 5.2)."""
    source = s.conditions[-1]
    if source.shape[1] != s.real.shape[1]:  # grey to colour, for instance: there is no identity
        return torch.zeros(len(source), device=source.device)
    here, there = _generator(s).translate(s.real)[0] - s.real, _back(s)[0].translate(source)[0] - source
    return here.abs().mean((1, 2, 3)) + there.abs().mean((1, 2, 3))
