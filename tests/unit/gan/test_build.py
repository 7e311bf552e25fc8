from types import SimpleNamespace

import pytest
import torch

from gancli.config.schema import RunConfig
from gancli.errors import ConfigError, PluginError
from gancli.gan.architectures.dense import Dense
from gancli.gan.build import assemble, build_training
from gancli.gan.losses import NonSaturating
from gancli.plugin import ImageSpec, LossTerm, Update


@pytest.mark.parametrize(
    ("supports", "hint"),
    [
        (lambda image: None if image.height == 32 else "Only 32x32.", True),
        (lambda image: None if image.classes else "It needs classes.", False),
    ],
)
def test_another_size_is_offered_only_where_the_size_is_the_reason(supports, hint):
    chosen = SimpleNamespace(plugin=SimpleNamespace(supports=lambda _, image: supports(image)), options=None)
    image, mean = ImageSpec(1, 20, 20), torch.zeros(1, 20, 20)
    with pytest.raises(ConfigError) as error:
        build_training(RunConfig(), image, torch.device("cpu"), mean, chosen)
    assert ("--image-size" in error.value.remedy) == hint
    assert supports(ImageSpec(1, 20, 20)) in error.value.remedy


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ([("a", ("generator", "discriminator")), ("b", ())], "'discriminator', which its update does not train"),
        ([("a", ("generator",)), ("a", ())], "has two loss terms named 'a'"),
    ],
)
def test_loss_terms_that_contradict_their_update_are_refused(terms, problem):
    class Wrong(Dense):
        def updates(self, *_):
            losses = tuple(LossTerm(name, lambda s: s.fake_logits, networks=networks) for name, networks in terms)
            return (Update(("generator",), losses),)

    options = Dense.Config()
    networks = Dense().build(options, ImageSpec(1, 8, 8), 4)
    with pytest.raises(PluginError, match=problem):
        assemble(Wrong(), options, NonSaturating(), networks, RunConfig().train)
