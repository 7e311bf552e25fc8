import json
import re

import pytest

from gancli.errors import UsageError
from gancli_hub.folder import card, write_folder

HOSTILE = 'a: "b"\n---\n# <script>alert(1)</script> | `x` [y](http://z)'


@pytest.fixture
def facts():
    return {
        "arch": {"name": "dense", "distribution": "gancli", "version": "1", "options": {"width": 3}},
        "image": {"channels": 1, "height": 28, "width": 28},
        "classes": [],
        "latent_dim": 100,
        "dataset": {"name": "mnist", "licence": "CC BY-SA 3.0"},
        "run": "my-run",
        "step": 9380,
        "weights": "ema",
        "digest": "0" * 64,
        "gancli": "1",
    }


def written(facts, **given):
    return card(facts, **{"training": {}, "evaluation": {}, "others": ["generator.pt2"], **given})


def test_the_front_matter_is_yaml_of_one_line_values(facts):
    text = written(facts)
    _, front, body = text.split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in front.strip().splitlines())
    assert {key: json.loads(value) for key, value in fields.items()} == {
        "library_name": "gancli",
        "pipeline_tag": "unconditional-image-generation",
        "license": "unknown",
        "datasets": ["mnist"],
        "tags": ["gan", "image-generation", "dense"],
        "sdk": "static",
    }
    assert body.lstrip().startswith("# my-run\n")


def test_what_a_reader_has_to_know(facts):
    text = written(facts)
    for words in (
        "28 x 28 pixels in grey",
        "100 dimensions",
        "9,380 steps",
        "the EMA weights",
        "CC BY-SA 3.0",
        "arch.width | 3",
    ):
        assert words in text


def markup(text):
    """Everything in the card that Markdown reads as markup."""
    return re.findall(r"[`<>|\[\]*_]|^#+|^---", re.sub(r"\\.", "", text), re.MULTILINE)


@pytest.mark.parametrize("place", ["run", "licence", "class", "option", "dataset", "arch"])
def test_F22_names_stay_text(facts, place):
    changes = {
        "run": lambda name: facts.update(run=name),
        "licence": lambda name: facts["dataset"].update(licence=name),
        "class": lambda name: facts.update(classes=[name]),
        "option": lambda name: facts["arch"].update(options={name: name}),
        "dataset": lambda name: facts["dataset"].update(name=name),
        "arch": lambda name: facts["arch"].update(name=name),
    }
    bodies = []
    for name in ("harmless", HOSTILE):
        changes[place](name)
        _, front, body = written(facts).split("---\n", 2)
        assert all(json.loads(line.partition(": ")[2]) for line in front.strip().splitlines())
        bodies.append(body)
    assert bodies[0] != bodies[1]
    assert markup(bodies[0]) == markup(bodies[1])


def test_metrics_only_if_there_are_any(facts):
    assert "## Metrics" not in written(facts)
    figures = {
        "FD-mnist": {"value": 8.123456, "low": 7.5, "high": 9.0, "count": 10000},
        "KD": {"value": 0.5, "low": None, "high": None, "count": 100},
        "infinite": {"value": None, "low": None, "high": None, "count": 1},
    }
    text = written(facts, evaluation={"against": "test", "dataset": "mnist", "images": 10000, "figures": figures})
    assert "Of 10,000 images, against the test split of mnist" in text
    assert "| FD-mnist | 8.123 (7.5 to 9), 10,000 |\n| KD | 0.5, 100 |\n" in text
    assert "infinite" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("model-index: ")]
    (entry,) = json.loads(line.removeprefix("model-index: "))
    (result,) = entry["results"]
    assert (entry["name"], result["dataset"]) == ("my-run", {"name": "mnist", "type": "mnist", "split": "test"})
    assert [(one["type"], one["value"]) for one in result["metrics"]] == [("FD-mnist", 8.123456), ("KD", 0.5)]


def test_an_unknown_licence_is_said(facts):
    facts["dataset"]["licence"] = ""
    assert "Licence of the data: not known to gancli" in written(facts)


def test_F28_names_that_are_no_unicode_and_steer_no_terminal_are_written(facts):
    facts["classes"] = ["bad\udcff", "\x1b[31mred", "\u202egnp"]
    text = written(facts)
    assert text.encode()
    assert not set("\x1b\u202e") & set(text)
    assert r"bad\\udcff" in text


def test_a_translator_has_no_folder(translator, tmp_path):
    with pytest.raises(UsageError, match="Give a file"):
        write_folder(translator, tmp_path / "zebra")
    assert not list(tmp_path.iterdir())
