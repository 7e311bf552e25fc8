import pytest


@pytest.fixture
def where(at_trained, pictures, tmp_path):
    runs = ("--runs-dir", tmp_path / "runs", "--device", "cpu", "--batch-size", "16")
    return ("--from", (at_trained / "plain").absolute(), "--dataset", pictures, "--epochs", "1", *runs)


def test_a_training_that_starts_from_another_one(cli, where, tmp_path, without_training):
    shown = cli("train", *where, "--dry-run", "--json").json
    assert "--from" in str(shown)
    with without_training():
        result = cli("train", *where, "--name", "child")
        resumed = cli("train", "--resume", "child", "--runs-dir", tmp_path / "runs", "--epochs", "2")
    assert result.code == 0
    assert "Starts from the weights of plain, step 8" in result.err
    assert '"run": "plain"' in (tmp_path / "runs" / "child" / "run.json").read_text()
    assert resumed.code == 0
    assert "Starts from" not in resumed.err
    other = cli("train", "--resume", "child", "--runs-dir", tmp_path / "runs", "--from", "mnist")
    assert (other.code, "model.parent" in other.err) == (2, True)


def test_a_parent_that_does_not_fit_or_is_not_there_is_one_error(cli, where, tmp_path):
    unfit = cli("train", *where, "-s", "arch.generator_widths=[9]", "--name", "unfit")
    assert (unfit.code, unfit.err.count("error:")) == (2, 1)
    assert not (tmp_path / "runs" / "unfit").exists()
    nobody = cli("train", *where[2:], "--from", "nobody")
    assert (nobody.code, nobody.err.count("\n")) == (4, 1)
