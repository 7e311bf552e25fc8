from types import SimpleNamespace

import pytest
import torch

from gancli.config.schema import RunConfig
from gancli.errors import ConfigError
from gancli.gan.build import build_training
from gancli.plugin import ImageSpec


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
