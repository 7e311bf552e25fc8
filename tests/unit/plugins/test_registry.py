import os
import sys
from pathlib import Path

import pytest

from gancli.errors import PluginError
from gancli.plugin import Architecture
from gancli.plugins import installation
from gancli.plugins.distributions import read
from gancli.plugins.installation import install_command
from gancli.plugins.registry import ARCHITECTURES, DATASETS, OBJECTIVES

ARCHITECTURE = (Path(__file__).parents[2] / "good_plugin.py").read_text()


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    """What is installed is read once per process; every test here installs something else."""
    monkeypatch.delenv("GANCLI_PLUGINS", raising=False)
    read.cache_clear()
    yield
    read.cache_clear()


def refused(name, kind=ARCHITECTURES):
    with pytest.raises(PluginError) as caught:
        kind.load(name)
    assert caught.value.exit_code == 8
    return str(caught.value)


def test_gancli_finds_its_own_as_it_finds_others():
    assert "dense" in ARCHITECTURES.names()
    assert {"hinge", "least-squares", "non-saturating", "relativistic", "wasserstein"} <= set(OBJECTIVES.names())
    assert "mnist" in DATASETS.names()
    assert ARCHITECTURES.find("gancli/dense") == ARCHITECTURES.find("dense")


def test_a_third_partys_is_found_described_and_loaded(install):
    install("My_Plug.In", "mine", ARCHITECTURE)
    entry = ARCHITECTURES.find("good")
    assert (entry.qualified, entry.version, entry.summary) == ("my-plug-in/good", "1.2", "About My_Plug.In")
    assert not entry.is_file
    assert issubclass(ARCHITECTURES.load("my-plug-in/good"), Architecture)


def test_F36_nothing_is_imported_by_looking(install):
    install("bomb", "bomb_module", "raise SystemExit('imported')")
    assert "good" in ARCHITECTURES.names()
    assert "bomb/good" in [entry.qualified for entry in ARCHITECTURES.entries()]
    assert ARCHITECTURES.find("good").distribution == "bomb"
    assert "bomb_module" not in sys.modules


def test_F36_an_unknown_name_gets_the_nearest(install):
    install("mine", "mine_module", ARCHITECTURE, name="marvel")
    assert refused("marvle") == (
        "There is no architecture 'marvle'. Did you mean 'marvel'? Choose a known one, or install the plugin that provides it."
    )
    assert "Known: " in refused("zzz")
    assert "There is no objective 'dense'" in refused("dense", OBJECTIVES)


def test_F36_one_of_the_projects_own_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(installation.OFFICIAL, ("gancli.architectures", "absent"), "gancli-absent")
    command = install_command("./plugins/gancli-absent")
    assert refused("absent").endswith(f"gancli-absent provides it. In a clone of gancli: {command}")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise SystemExit", "SystemExit"),
        ("raise ValueError('see ../data...')", "ValueError: see ../data"),
        ("Bad = 1", "AttributeError: module 'broken_module' has no attribute 'Good'"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_F36_a_broken_import_is_explained_and_stays_its_own(install, source, reason):
    install("broken", "broken_module", source)
    message = refused("good")
    assert message.startswith(f"The architecture 'good' cannot be loaded: {reason}")
    assert message.endswith("It comes from broken 1.2; update or uninstall that, or see the traceback with --debug.")
    assert ".." not in message.replace("../data", "")
    assert issubclass(ARCHITECTURES.load("dense"), Architecture)


def test_ctrl_c_while_a_plugin_loads_is_the_users(install):
    install("slow", "slow_module", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        ARCHITECTURES.load("good")


def test_F36_print_at_import_stays_off_stdout(install, capsys):
    install("loud", "loud_module", "print('HELLO')\n" + ARCHITECTURE)
    ARCHITECTURES.load("good")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "HELLO" in captured.err


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("Good = 5", "is 5, not a subclass of gancli.plugin.Architecture"),
        ("class Good: pass", "is <class 'odd_module.Good'>, not a subclass of gancli.plugin.Architecture"),
        ("from gancli.gan.losses import Hinge as Good", "Hinge'>, not a subclass of gancli.plugin.Architecture"),
        ("from gancli.gan.architectures.dense import Dense\nGood = Dense()", "not a subclass of gancli.plugin.Architecture"),
        ("Good = 'x' * 10_000", "not a subclass of gancli.plugin.Architecture"),
        (ARCHITECTURE.replace("api = 1", ""), "has api = None; this gancli speaks api 2. Update odd 1.2."),
        (ARCHITECTURE.replace("api = 1", "api = 0"), "has api = 0; this gancli speaks api 2. Update odd 1.2."),
        (ARCHITECTURE.replace("api = 1", "api = 3"), "has api = 3; this gancli speaks api 2. Update gancli."),
        (ARCHITECTURE.replace("api = 1", "api = '1'"), "has api = '1'; this gancli speaks api 2. Update odd 1.2."),
        (ARCHITECTURE.replace('summary = "good"', ""), "has no summary"),
        (ARCHITECTURE.replace("Config = ArchConfig", ""), "has no Config that derives from gancli.plugin.ArchConfig"),
        (ARCHITECTURE.replace("Config = ArchConfig", "Config = dict"), "has no Config that derives from"),
        (ARCHITECTURE.replace("def build", "def built"), "does not define build"),
        (ARCHITECTURE.replace("api = 1", "api = 1; defaults = None"), "has defaults that are not a mapping"),
    ],
)
def test_F36_what_is_no_plugin_of_this_contract_is_refused(install, source, reason):
    install("odd", "odd_module", source)
    message = refused("good")
    assert reason in message
    assert "odd 1.2" in message or "Update gancli." in message
    assert len(message) < 500


def test_F36_an_abstract_objective_is_refused(install):
    source = "from gancli.plugin import Objective\nclass Good(Objective):\n    api = 1\n    summary = 'x'\n"
    install("odd", "odd_module", source, group="gancli.objectives")
    assert "does not define discriminator_loss, generator_loss" in refused("good", OBJECTIVES)


def test_F36_a_name_that_two_claim_is_asked_for_by_distribution(install):
    install("one", "one_module", ARCHITECTURE)
    install("two", "two_module", ARCHITECTURE)
    assert refused("good") == "The architecture 'good' is claimed by one and two. Say which: one/good or two/good."
    assert ARCHITECTURES.load("two/good").__module__ == "two_module"
    assert ARCHITECTURES.names().count("good") == 1


def test_of_a_distribution_in_two_places_the_first_on_the_path_counts(install, tmp_path):
    info = install("one", "one_module", ARCHITECTURE)
    again = tmp_path / "again" / info.name
    again.mkdir(parents=True)
    (again / "METADATA").write_bytes((info / "METADATA").read_bytes())
    (again / "entry_points.txt").write_text("[gancli.architectures]\ngood = one_module:Good\nremoved = one_module:Removed\n")
    sys.path.append(str(again.parent))
    try:
        assert ARCHITECTURES.find("good").distribution == "one"
        assert "removed" not in ARCHITECTURES.names()
    finally:
        sys.path.remove(str(again.parent))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("entry_points.txt", b"[gancli.architectures]\nthis is no entry point\n"),
        ("entry_points.txt", b"\xff\xfe\x00\x01"),
        ("METADATA", b"\xff\xfe\x00\x01"),
        ("METADATA", b""),
        ("METADATA", b"Metadata-Version: 2.1\nVersion: 1\n"),
        ("METADATA", b"Metadata-Version: 2.1\nName: damaged\n"),
    ],
)
def test_F36_damaged_metadata_break_no_other_plugin(install, file, content):
    install("fine", "fine_module", ARCHITECTURE, name="fine")
    (install("damaged", "damaged_module", ARCHITECTURE) / file).write_bytes(content)
    assert "fine" in ARCHITECTURES.names()
    assert not any(entry.is_file for entry in ARCHITECTURES.entries())
    assert "There is no architecture 'good'" in refused("good")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("entry_points.txt", b"\xff\xfe\x00\x01", "UnicodeDecodeError: "),
        ("METADATA", b"Metadata-Version: 2.1\nName: damaged\n", "ValueError: METADATA has no Version"),
    ],
)
def test_F36_damaged_metadata_are_reported(install, file, content, reason):
    (install("damaged", "damaged_module") / file).write_bytes(content)
    read.cache_clear()
    ((place, found),) = read()[1].items()
    assert Path(place).name == "damaged-1.2.dist-info"
    assert found.startswith(reason)


def test_F36_a_distribution_without_metadata_breaks_no_other_plugin(install):
    (install("damaged", "damaged_module", ARCHITECTURE) / "METADATA").unlink()
    assert "dense" in ARCHITECTURES.names()


@pytest.mark.parametrize(
    ("allowed", "seen"),
    [
        ("", set()),
        (" ", set()),
        ("one", {"one/a"}),
        ("ONE, two", {"one/a"}),
        ("one,Two_Dist", {"one/a", "two-dist/b"}),
        ("three", set()),
    ],
)
def test_the_environment_restricts_third_parties(install, monkeypatch, allowed, seen):
    install("one", "one_module", ARCHITECTURE, name="a")
    install("two-dist", "two_module", ARCHITECTURE, name="b")
    monkeypatch.setenv("GANCLI_PLUGINS", allowed)
    entries = ARCHITECTURES.entries()
    assert {entry.qualified for entry in entries if entry.distribution in {"one", "two-dist"}} == seen
    assert "gancli/dense" in [entry.qualified for entry in entries]
    if not seen:
        assert "Plugins are restricted by GANCLI_PLUGINS." in refused("a")


def test_F36_what_made_a_model_is_found_by_its_distribution_and_nothing_else(install, monkeypatch):
    install("one", "one_module")
    install("two", "two_module")
    assert ARCHITECTURES.find_maker("good", "Two", "0.9").qualified == "two/good"
    monkeypatch.setenv("GANCLI_PLUGINS", "one")
    with pytest.raises(PluginError) as caught:
        ARCHITECTURES.find_maker("good", "two", "0.9")
    assert str(caught.value) == (
        "The architecture 'two/good' 0.9, which made this model, is switched off by GANCLI_PLUGINS. "
        "Add two to GANCLI_PLUGINS, or unset it."
    )


# -- one file, no package --


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(ARCHITECTURE)
    return path


def test_a_file_is_loaded_and_known_by_its_hash(file):
    entry = ARCHITECTURES.find(f"{file}:Good")
    assert entry.is_file
    assert entry.version.startswith("sha256:")
    assert ARCHITECTURES.load(f"{file}:Good").summary == "good"


def test_a_relative_path_is_resolved(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    loaded = ARCHITECTURES.find("./mine.py:Good")
    monkeypatch.chdir("/")
    assert ARCHITECTURES.load_entry(loaded).summary == "good"


def test_a_file_runs_once_and_again_when_it_has_changed(file, capsys, monkeypatch):
    """Same length, same second: Python's own cache of compiled files would not notice."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for answer in ("one", "two"):
        file.write_text(f"print('{answer}')\n" + ARCHITECTURE.replace('"good"', f'"{answer}"'))
        os.utime(file, (0, 0))
        assert [ARCHITECTURES.load(f"{file}:Good").summary for _ in range(3)] == [answer] * 3
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "one\ntwo\n")
    assert not (file.parent / "__pycache__").exists(), "nothing is written beside the user's file"


def test_a_file_that_fails_is_tried_again(file):
    file.write_text("import os\nif 'GANCLI_TEST_READY' not in os.environ: raise ValueError('not yet')\n" + ARCHITECTURE)
    assert "ValueError: not yet" in refused(f"{file}:Good")
    os.environ["GANCLI_TEST_READY"] = "1"
    try:
        assert ARCHITECTURES.load(f"{file}:Good").summary == "good"
    finally:
        del os.environ["GANCLI_TEST_READY"]


def test_F26_a_file_that_changes_after_it_was_found_is_not_run(file):
    entry = ARCHITECTURES.find(f"{file}:Good")
    file.write_text("raise SystemExit('other')")
    with pytest.raises(PluginError, match="was changed while it was read"):
        ARCHITECTURES.load_entry(entry)


@pytest.mark.parametrize("name", ["./none.py:Good", "~nobody-at-all/x.py:Good", "./folder.py:Good", "a\0b.py:Good"])
def test_F28_a_file_that_is_not_there_is_refused(name, tmp_path, monkeypatch):
    (tmp_path / "folder.py").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "A plugin in a file is given as FILE.py:CLASS" in refused(name)


@pytest.mark.parametrize("attribute", ["", "Nothing", "Good.build"])
def test_a_class_that_is_not_in_the_file_is_named(file, attribute):
    message = refused(f"{file}:{attribute}")
    missing = f"There is no class '{attribute}'" if attribute else "does not name a class"
    assert missing in message
    assert str(file) in message
