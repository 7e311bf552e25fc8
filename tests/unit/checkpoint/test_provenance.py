from pathlib import Path

import pytest

from gancli.checkpoint.provenance import Provenance
from gancli.errors import CheckpointError

FACTS = {
    "arch": {"name": "dense", "distribution": "gancli", "version": "1", "options": {}},
    "image": {"channels": 1, "height": 8, "width": 8},
    "classes": [],
    "latent_dim": 4,
    "dataset": {"name": "mnist"},
    "step": 3,
}
WHERE = Path("model.safetensors")


def test_the_source_images_of_a_translator_are_among_its_facts():
    facts = Provenance.parse({**FACTS, "source": [3, 16, 8], "paired": True}, WHERE)
    assert (facts.source, facts.paired) == ((3, 16, 8), True)
    assert (Provenance.parse(FACTS, WHERE).source, Provenance.parse(FACTS, WHERE).paired) == (None, False)


@pytest.mark.parametrize("source", [[3, 16], [3, 16, 0], [3, 16, "8.5"], "16x16", 3])
def test_a_source_that_is_no_shape_is_refused_by_name(source):
    with pytest.raises(CheckpointError, match="does not say what is needed: source"):
        Provenance.parse({**FACTS, "source": source}, WHERE)
