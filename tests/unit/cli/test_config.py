def test_show(cli):
    lines = [line.split() for line in cli("config", "show", "--epochs", "3", "-s", "arch.dropout=0.25").out.splitlines()]
    assert lines[0] == ["key", "value", "origin", "meaning"]
    assert ["train.epochs", "3", "--epochs"] in [line[:3] for line in lines]
    assert ["arch.dropout", "0.25", "-s"] in [line[:3] for line in lines]


def test_show_is_what_a_dry_run_shows(cli):
    options = ["--seed", "4", "--device", "cpu"]
    for more in ([], ["--json"]):
        assert cli("config", "show", *options, *more).out == cli("train", "--dry-run", *options, *more).out


def test_show_takes_the_environment(cli, monkeypatch):
    monkeypatch.setenv("GANCLI_TRAIN__SEED", "11")
    assert cli("config", "show", "--json").json["origins"]["train.seed"] == "GANCLI_TRAIN__SEED"


def test_F40_an_unknown_key(cli):
    result = cli("config", "show", "-s", "train.epoch=3")
    assert result.code == 2
    assert "Did you mean 'train.epochs'?" in result.err
