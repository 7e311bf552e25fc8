import json
import re
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.config.resolve import (
    DEFAULT_IMAGES,
    choose_arch,
    flatten,
    known_keys,
    load_objective,
    resolve,
)
from gancli.config.schema import LENGTHS, RunConfig, checked
from gancli.errors import ConfigError, DatasetError, GancliError, PluginError
from gancli.plugin import Dataset
from gancli.plugins.registry import DATASETS, OBJECTIVES

KEY = "train.batch_size"
OTHER_OBJECTIVES = [name for name in OBJECTIVES.names() if name != "non-saturating"]


@pytest.fixture
def write(tmp_path):
    """``(name, content)`` -> the path of a file."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        return path

    return write


@pytest.fixture
def architecture(write):
    """``(defaults)`` -> ``arch.name`` of a file architecture with these defaults and one option, ``width``."""

    def architecture(defaults):
        source = f"""
            from gancli.plugin import ArchConfig, Architecture
            from pydantic import Field

            class Config(ArchConfig):
                width: int = Field(4, ge=1, le=64, description="units")

            class Mine(Architecture):
                api = 1
                summary = "mine"
                Config = Config
                defaults = {defaults!r}

                def build(self, config, image, latent_dim):
                    raise NotImplementedError

                def migrate(self, config, from_version):
                    return {{key: value for key, value in config.items() if key != "depth"}}
        """
        return f"{write('mine.py', source)}:Mine"

    return architecture


@pytest.fixture
def dataset(monkeypatch):
    """``(defaults)``: the data set ``mnist`` prefers these."""

    def dataset(wishes):
        class Wishing(Dataset):
            api = 1
            summary = "wishing"
            defaults = wishes

            def load(self, split="train"):
                raise NotImplementedError

        monkeypatch.setattr(type(DATASETS), "load", lambda self, name: Wishing if self is DATASETS else original(self, name))

    original = type(DATASETS).load
    return dataset


def quiet(**given):
    """Resolve without the environment of whoever runs the tests."""
    return resolve(**{"environment": {}, **given})


def refused(**given):
    with pytest.raises(ConfigError) as caught:
        quiet(**given)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


# -- where a value comes from --


def test_without_a_word_everything_is_a_default():
    resolved = quiet()
    assert resolved.config.train.epochs == 18
    assert resolved.origins["train.epochs"] == "data set mnist"
    assert quiet(flags={"data.dataset": "./pictures"}).config.train.images == DEFAULT_IMAGES
    assert set(resolved.origins) == set(flatten(resolved.config)), "every value has an origin, the plugins' options too"
    chosen = {key for key, origin in resolved.origins.items() if origin != "default"}
    assert all(resolved.origins[key].startswith(("data set ", "architecture ", "objective ")) for key in chosen)


def test_every_layer_wins_over_the_ones_below(write, architecture, dataset, monkeypatch):
    dataset({KEY: 11})
    arch = f"arch.name={architecture({KEY: 12})}"
    hinge = OBJECTIVES.load("hinge")
    monkeypatch.setattr(hinge, "defaults", {KEY: 13})
    goal = "objective.name=hinge"
    file, later = write("a.toml", f"[train]\n{KEY.split('.')[1]} = 15"), write("b.json", '{"train": {"batch_size": 16}}')
    environment = {"GANCLI_TRAIN__BATCH_SIZE": "14"}
    layers = [
        ({}, 11, "data set mnist"),
        ({"assignments": [arch]}, 12, f"architecture {arch.removeprefix('arch.name=')}"),
        ({"assignments": [arch, goal]}, 13, "objective hinge"),
        ({"environment": environment, "assignments": [arch, goal]}, 14, "GANCLI_TRAIN__BATCH_SIZE"),
        ({"environment": environment, "files": [file], "assignments": [arch, goal]}, 15, "a.toml"),
        ({"environment": environment, "files": [file, later], "assignments": [arch, goal]}, 16, "b.json"),
        ({"environment": environment, "files": [file], "assignments": [arch, goal, f"{KEY}=17"]}, 17, "-s"),
        ({"files": [file], "assignments": [arch, goal, f"{KEY}=17"], "flags": {KEY: 18}}, 18, "--batch-size"),
    ]
    for given_layers, value, origin in layers:
        resolved = quiet(**given_layers)
        assert (resolved.config.train.batch_size, resolved.origins[KEY]) == (value, origin)


def test_the_environment_is_the_processs_own(monkeypatch):
    monkeypatch.setenv("GANCLI_TRAIN__SEED", "7")
    assert resolve().config.train.seed == 7
    assert resolve(environment={}).config.train.seed == 0


def test_other_variables_of_gancli_are_no_settings():
    environment = {"GANCLI_RUN": "x", "GANCLI_PLUGINS": "", "GANCLI_OFFLINE": "1", "XGANCLI_TRAIN__SEED": "7", "PATH": "/"}
    assert quiet(environment=environment) == quiet()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data.dataset=mnist", "mnist"),
        ('data.dataset="mnist"', "mnist"),
        (" data.dataset = mnist ", "mnist"),
        ("data.labels=a=b", "a=b"),
    ],
)
def test_an_assignment_is_json_or_else_text(text, value):
    assert value in {quiet(assignments=[text]).config.data.dataset, quiet(assignments=[text]).config.data.labels}


def test_of_two_assignments_the_later_wins():
    assert quiet(assignments=["train.seed=1", "train.seed=2"]).config.train.seed == 2


# -- length --


@pytest.mark.parametrize("key", LENGTHS)
def test_a_length_drops_the_others_from_below(write, key):
    file = write("a.toml", "[train]\nepochs = 3\n")
    resolved = quiet(files=[file], assignments=[f"{key}=5"])
    assert {name: flatten(resolved.config)[name] for name in LENGTHS} == {name: 5 if name == key else None for name in LENGTHS}
    assert {resolved.origins[name] for name in LENGTHS} == {"-s"}, "who said how long also said how not"


def test_two_lengths_in_one_place_exclude_each_other(write):
    expected = r"train.epochs \({0}\) and train.minutes \({1}\) exclude each other\. Say how long in one way"
    file = write("a.toml", "[train]\nepochs = 3\nminutes = 1.5\n")
    assert re.match(expected.format("a.toml", "a.toml"), refused(files=[file]))
    assert re.match(expected.format("--epochs", "--minutes"), refused(flags={"train.epochs": 1, "train.minutes": 2}))


def test_a_length_that_is_taken_back_leaves_the_default():
    resolved = quiet(assignments=["train.minutes=null", "train.epochs=null"])
    assert (resolved.config.train.images, resolved.origins["train.images"]) == (DEFAULT_IMAGES, "default")


def test_a_preferred_length_gives_way_to_the_users(architecture):
    name = f"arch.name={architecture({'train.epochs': 3})}"
    assert quiet(assignments=[name]).config.train.epochs == 3
    config = quiet(assignments=[name, "train.images=100"]).config
    assert (config.train.epochs, config.train.images) == (None, 100)


# -- what plugins prefer --


def test_wishes_for_one_objective_are_dropped_when_another_is_chosen(architecture):
    name = f"arch.name={architecture({'objective.name': 'hinge', 'objective.r1_gamma': 7.0, 'train.batch_size': 9})}"
    preferred = quiet(assignments=[name]).config
    assert (preferred.objective.name, preferred.objective.options["r1_gamma"]) == ("hinge", 7.0)
    other = quiet(assignments=[name, "objective.name=wasserstein"])
    assert (other.config.objective.name, other.config.objective.options["r1_gamma"]) == ("wasserstein", 0.0)
    assert other.config.train.batch_size == 9, "wishes that fit any objective stay"
    assert other.origins["objective.r1_gamma"] == "default"


@pytest.mark.parametrize("name", OTHER_OBJECTIVES)
def test_wishes_without_a_name_are_for_the_default_objective(architecture, name):
    arch = f"arch.name={architecture({'objective.real_label': 0.9})}"
    assert quiet(assignments=[arch]).config.objective.options["real_label"] == 0.9
    assert "real_label" not in quiet(assignments=[arch, f"objective.name={name}"]).config.objective.options


def test_a_data_sets_wishes_for_one_architecture_are_dropped_when_another_is_chosen(architecture, dataset):
    dataset({"arch.name": "dense", "arch.dropout": 0.3, "train.seed": 5})
    assert quiet().config.arch.options["dropout"] == 0.3
    other = quiet(assignments=[f"arch.name={architecture({})}"]).config
    assert other.arch.options == {"width": 4}
    assert other.train.seed == 5


def test_a_preference_that_is_wrong_names_the_plugin(architecture):
    name = architecture({"train.lerning_rate": 1})
    message = refused(assignments=[f"arch.name={name}"])
    assert message == f"Unknown key 'train.lerning_rate' (from architecture {name}). Did you mean 'train.learning_rate'?"


# -- F40: what is wrong is named, with the value, what is allowed, and the nearest --

TYPO = "'train.bach_size'"
NEAREST = "Did you mean 'train.batch_size'?"


def test_F40_an_unknown_key_is_named_with_the_nearest_in_every_layer(write):
    toml, js = write("a.toml", "[train]\nbach_size = 3"), write("a.json", '{"train": {"bach_size": 3}}')
    assert refused(files=[toml]) == f"Unknown key {TYPO} (from a.toml). {NEAREST}"
    assert refused(files=[js]) == f"Unknown key {TYPO} (from a.json). {NEAREST}"
    assert refused(assignments=["train.bach_size=3"]) == f"Unknown key {TYPO} (from -s). {NEAREST}"
    assert refused(flags={"train.bach_size": 3}) == f"Unknown key {TYPO} (from --bach-size). {NEAREST}"
    assert (
        refused(environment={"GANCLI_TRAIN__BACH_SIZE": "3"}) == f"Unknown key {TYPO} (from GANCLI_TRAIN__BACH_SIZE). {NEAREST}"
    )


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("seed", "train.seed"),
        ("trian.seed", "train.seed"),
        ("train.seed.x", "train.seed"),
        ("arch.droput", "arch.dropout"),
        ("objective.r1_gama", "objective.r1_gamma"),
        ("device", "runtime.device"),
    ],
)
def test_F40_the_nearest_key_is_found_in_any_section(key, nearest):
    assert refused(assignments=[f"{key}=1"]) == f"Unknown key '{key}' (from -s). Did you mean '{nearest}'?"


def test_F40_where_nothing_is_near_the_list_is_named():
    assert (
        refused(assignments=["xyzzy=1"]) == "Unknown key 'xyzzy' (from -s). See `gancli config show --arch dense` for the keys."
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("train.seed=-1", "train.seed = -1 (from -s) is not allowed: it should be greater than or equal to 0."),
        ('train.seed="3"', 'train.seed = "3" (from -s) is not allowed: it should be a valid integer.'),
        ("train.seed=true", "train.seed = true (from -s) is not allowed: it should be a valid integer."),
        ("train.seed=1.0", "train.seed = 1.0 (from -s) is not allowed: it should be a valid integer."),
        ("train.seed=[1]", "train.seed = [1] (from -s) is not allowed: it should be a valid integer."),
        ("train.seed=null", "train.seed = null (from -s) is not allowed: it should be a valid integer."),
        ("train.seed=9223372036854775808", "it should be less than or equal to 9223372036854775807."),
        (f"train.seed={'9' * 5000}", "it should be a valid integer."),
        ("train.learning_rate=NaN", "train.learning_rate = NaN (from -s) is not allowed: it should be a finite number."),
        ("train.learning_rate=1e999", "train.learning_rate = Infinity (from -s) is not allowed: it should be a finite number."),
        ("train.learning_rate=0", "it should be greater than 0."),
        ("train.learning_rate=fast", 'train.learning_rate = "fast" (from -s) is not allowed: it should be a valid number.'),
        ("train.betas=[0.5]", "train.betas.1 = [0.5] (from -s) is not allowed: Field required."),
        ("train.betas=[0.5, 1]", "train.betas.1 = 1 (from -s) is not allowed: it should be less than 1."),
        ("train.real_fake_batch=both", "it should be 'joint' or 'separate'."),
        ("runtime.device=gpu", 'runtime.device = "gpu" (from -s) is not allowed. device: auto, cpu, cuda, cuda:N or mps.'),
        ("model.conditional=1", "it should be a valid boolean."),
        ("model.conditional=yes", "it should be a valid boolean."),
        ("data.labels=5", "it should be a valid string."),
        ("arch.dropout=1", "arch.dropout = 1 (from -s) is not allowed: it should be less than 1."),
        ("arch.dropout=Infinity", "it should be a finite number."),
        ("arch.generator_widths=[16, 0]", "arch.generator_widths.1 = 0 (from -s) is not allowed"),
        ("objective.r1_gamma=-1", "it should be greater than or equal to 0."),
        (f"arch.dropout={'[' * 9000}", "it should be a valid number."),
        ("arch.name=5", "arch.name = 5 is not a name. Give a name as text."),
        ("arch.name=", 'arch.name = "" is not a name.'),
        ("data.dataset=[]", "data.dataset = [] is not a name."),
        ("objective.name={}", "objective.name = {} is not a name."),
        ("train.seed", "'-s train.seed' sets nothing. Write -s section.key=value, for instance"),
        ("=3", "sets nothing"),
        ("", "sets nothing"),
    ],
)
def test_F40_a_value_that_is_not_allowed_is_named_with_what_is(text, reason):
    assert reason in refused(assignments=[text])


def test_F40_the_meaning_of_the_key_is_told():
    assert refused(assignments=["arch.dropout=2"]).endswith(
        "dropout: probability that a hidden unit of the discriminator is dropped, in training."
    )
    assert "epochs: length of the run in passes over the data." in refused(flags={"train.epochs": 0})


def test_F40_of_several_faults_the_first_is_told_and_the_others_are_counted():
    assert refused(assignments=["train.epochs=0", "log.previews=0", "train.seed=-1"]).endswith(" 2 more are not allowed.")


@pytest.mark.parametrize(
    ("key", "near"), [("arch.name=dnse", "dense"), ("objective.name=hing", "hinge"), ("data.dataset=mnits", "mnist")]
)
def test_F40_an_unknown_plugin_is_named_with_the_nearest(key, near):
    with pytest.raises((PluginError, DatasetError), match=f"Did you mean '{near}'"):
        quiet(assignments=[key])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", '{"train": {"seed": 1, "seed": 2}}', "not valid JSON: the key 'seed' occurs twice"),
        ("a.json", '{"train": {"seed": 1}, "train": {}}', "not valid JSON: the key 'train' occurs twice"),
        ("a.toml", "[train]\nseed = 1\nseed = 2", "not valid TOML"),
        ("a.toml", "[train]\nseed = 1\n[train]\nepochs = 2", "not valid TOML"),
        ("a.toml", "[train\nseed = 1", "not valid TOML"),
        ("a.json", "", "not valid JSON"),
        ("a.json", '{"train": {"seed": 1},}', "not valid JSON"),
        ("a.json", "[" * 100_000, "not valid JSON"),
        ("a.toml", "x = " + "[" * 100_000, "not valid TOML"),
        ("a.json", b"\xff\xfe{\0}\0", "is encoded in UTF-16"),
        ("a.toml", b"\x00\x01\x02", "not valid TOML"),
        ("a.toml", b"#" * (1 << 20) + b"\n", "is larger than 1 MiB"),
        ("a.json", "[1, 2]", "holds [1, 2] outside of a section. Write keys under [section]."),
        ("a.json", "3", "holds 3 outside of a section"),
        ("a.json", '{"seed": 3}', 'a.json\' holds "seed" = 3 outside of a section. Write keys under [train].'),
        ("a.toml", "xyzzy = 3", "outside of a section. Write keys under [section]."),
        ("a.json", '{"train": null}', "= null outside of a section. Write keys under [train]."),
        ("a.json", '{"trian": {}}', "Unknown section \"trian\" in .* Did you mean 'train'?"),
        ("a.json", json.dumps({"train": {"k" * 100_000: 1}}), "Unknown key 'train.kkk"),
        ("a.json", json.dumps({"k" * 100_000: 1}), "outside of a section"),
        (
            "a.toml",
            "[train]\nseed = 2020-01-01",
            'train.seed = "2020-01-01" (from a.toml) is not allowed: it should be a valid integer',
        ),
        ("a.toml", "[train]\nseed = 0x" + "f" * 5000, "cannot be stored"),
        ("a.toml", "[train]\nlearning_rate = nan", "it should be a finite number"),
        ("a.toml", "[train.seed]\nx = 1", 'train.seed = {"x": 1} (from a.toml) is not allowed'),
        ("a.json", '{"data": {"labels": "\\ud800"}}', "not valid Unicode"),
    ],
)
def test_F40_a_broken_file_is_named_with_what_is_wrong(write, name, content, reason):
    message = refused(files=[write(name, content)])
    assert re.search(".*".join(map(re.escape, reason.split(".*"))), message)


@pytest.mark.parametrize("path", ["none.toml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    message = refused(files=[Path(path)])
    assert message.startswith((f"There is no file '{path}'.", f"'{path}' cannot be read: "))


def test_an_empty_toml_file_sets_nothing(write):
    assert quiet(files=[write("a.toml", "")]) == quiet()


@given(st.binary(max_size=200))
def test_F40_no_content_of_a_file_is_a_bug(tmp_path_factory, content):
    for name in ("a.toml", "a.json"):
        path = tmp_path_factory.mktemp("config") / name
        path.write_bytes(content)
        with suppress(ConfigError, PluginError):
            quiet(files=[path])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(st.sampled_from(known_keys()), JSON)
def test_F40_no_value_of_any_key_is_a_bug(key, value):
    with suppress(ConfigError, DatasetError, PluginError):  # each a sentence
        assert flatten(quiet(flags={key: value}).config).keys() >= {key}


# -- round trips --


@given(
    seed=st.integers(0, 2**63 - 1),
    rate=st.floats(0, 1, exclude_min=True),
    betas=st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=2),
    length=st.sampled_from([{"train.epochs": 3}, {"train.images": 7}, {"train.minutes": 0.1}]),
    widths=st.lists(st.integers(1, 65536), min_size=1, max_size=4),
    objective=st.sampled_from(OBJECTIVES.names()),
)
def test_what_was_resolved_resolves_to_itself(tmp_path_factory, seed, rate, betas, length, widths, objective):
    flags = {
        "train.seed": seed,
        "train.learning_rate": rate,
        "train.betas": betas,
        "arch.generator_widths": widths,
        "objective.name": objective,
        **length,
    }
    config = quiet(flags=flags).config
    assert config.train.seed == seed
    assert config.train.learning_rate == rate
    assert quiet(flags=flatten(config)).config == config
    stored = tmp_path_factory.mktemp("run") / "config.json"
    stored.write_text(json.dumps(config.model_dump(mode="json")))
    assert quiet(files=[stored]).config == config


def test_a_stored_configuration_owes_nothing_to_what_plugins_prefer_today(write, architecture):
    name = architecture({"train.seed": 1, "objective.name": "hinge"})
    stored = quiet(assignments=[f"arch.name={name}"]).config
    file = write("config.json", json.dumps(stored.model_dump(mode="json")))
    assert architecture({"train.seed": 2, "objective.name": "wasserstein", "train.minutes": 9}) == name
    again = quiet(files=[file])
    assert again.config == stored
    assert set(again.origins.values()) == {"config.json"}


def test_what_is_stored_is_migrated_and_what_is_typed_is_not(write, architecture):
    old = {"arch": {"name": architecture({}), "width": 7, "depth": 3}}
    given = {"files": [write("config.json", json.dumps(old))], "made_by": "0.1", "environment": {}}
    assert resolve(**given).config.arch.options == {"width": 7}
    assert resolve(**given, assignments=["arch.width=9"]).config.arch.options == {"width": 9}
    with pytest.raises(ConfigError, match=r"Unknown key 'arch.depth' \(from -s\)"):
        resolve(**given, assignments=["arch.depth=3"])


def test_flat_keys_come_section_by_section():
    sections = [key.partition(".")[0] for key in flatten(quiet().config)]
    assert list(dict.fromkeys(sections)) == list(RunConfig.model_fields)


# -- plugins' own options --


def test_known_keys_are_those_of_a_whole_configuration():
    assert known_keys() == sorted(flatten(quiet().config))


def test_the_plugins_come_with_their_options():
    config = quiet(assignments=["arch.dropout=0.5", "objective.name=hinge", "objective.r1_gamma=3"]).config
    arch = choose_arch(config)
    assert (type(arch.plugin).__name__, arch.options.dropout) == ("Dense", 0.5)
    assert load_objective(config).r1_gamma == 3


def test_F40_options_from_elsewhere_are_checked_too():
    with pytest.raises(ConfigError, match=r"Unknown key 'arch\.droput'\. Did you mean 'arch\.dropout'\?"):
        checked("arch", type(choose_arch(quiet().config).options), {"droput": 1})


def test_every_key_has_a_description():
    document = RunConfig.model_json_schema()
    for section, rule in document["properties"].items():
        for key, about in document["$defs"][rule["$ref"].rpartition("/")[2]]["properties"].items():
            assert about["description"], f"{section}.{key}"


def test_a_byte_order_mark_before_a_file_is_passed_over(write):
    for name, content in (("a.toml", b"[train]\r\nseed = 3\r\n"), ("a.json", b'{"train": {"seed": 3}}')):
        assert quiet(files=[write(name, b"\xef\xbb\xbf" + content)]).config.train.seed == 3


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ('"rmsprop"', {"name": "rmsprop", "alpha": 0.99, "eps": 1e-8, "momentum": 0.0}),
        ('{"name": "sgd", "momentum": 0.9}', {"name": "sgd", "momentum": 0.9, "nesterov": False, "weight_decay": 0.0}),
        ("null", None),
    ],
)
def test_an_optimiser_is_a_name_or_a_name_with_options(given, stored):
    config = resolve(assignments=[f"train.optimizer={given}"], environment={}).config
    assert flatten(config)["train.optimizer"] == stored


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("adan", "There is no optimiser 'adan'"),
        ('{"name": "sgd", "momentum": 2}', "train.optimizer.momentum = 2"),
        ('{"name": "sgd", "beta": 0.9}', "Unknown key 'train.optimizer.beta'"),
        ("3", "train.optimizer = 3"),
    ],
)
def test_F40_an_optimiser_that_is_not_one_is_refused(given, words):
    with pytest.raises(GancliError, match=words):
        resolve(assignments=[f"train.optimizer={given}"], environment={})


def test_the_recipes_in_the_examples_are_read():
    root = Path(__file__).parents[3]
    for path in sorted((root / "examples").glob("*.toml")):
        assert resolve(files=[path], environment={}).config.data.dataset == "mnist"


def test_the_file_that_made_a_parent_is_given_again_wherever_it_lies_and_is_never_imported_by_itself(tmp_path):
    def inherit(address):
        return {"arch.name": f"{tmp_path}/gone/my_arch.py:Tiny", "arch.width": 9, "model.parent": address}

    fixed = {"environment": {}, "inherit": inherit}
    with pytest.raises(PluginError, match=r"made by the file '.*my_arch\.py:Tiny'\. Give it again with --arch"):
        resolve(assignments=["model.parent=x"], **fixed)
    here = Path(__file__).parents[3] / "examples" / "my_arch.py"
    config = resolve(assignments=["model.parent=x", f"arch.name={here}:Tiny"], **fixed).config
    assert (config.arch.name, config.arch.options["width"]) == (f"{here}:Tiny", 9)
