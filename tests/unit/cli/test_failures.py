"""What people who come from other tools type, and what they are told: help, or nothing, never a wrong guess."""

from importlib.util import find_spec
from pathlib import Path

import pytest

COMMANDS = {
    "generate": "sample",
    "gen": "sample",
    "draw": "sample",
    "infer": "sample",
    "walk": "interpolate",
    "video": "interpolate",
    **({"eval": "evaluate", "fid": "evaluate"} if find_spec("gancli_evaluate") else {}),
    "convert": "export",
    "fit": "train",
    "trian": "train",
    "resume": "train",
    **({"compare": "runs", "history": "runs"} if find_spec("gancli_reports") else {}),
    "plugins": "plugin",
    "datasets": "dataset",
    "info": "env",
    "foo": None,
    "quux": None,
}
TRAIN = {
    "--lr": "--learning-rate",
    "--learning_rate": "--learning-rate",
    "--batch": "--batch-size",
    "--bs": "--batch-size",
    "--batch_size": "--batch-size",
    "--resolution": "--image-size",
    "--size": "--image-size",
    "--img-size": "--image-size",
    "--loss": "--objective",
    "--gpu": "--device",
    "--cuda": "--device",
    "--out": "--runs-dir",
    "--outdir": "--runs-dir",
    "--data": "--dataset",
    "--dataroot": "--dataset",
    "--model": "--arch",
    "--network": "--arch",
    "--labels": "--conditional",
    "--cond": "--conditional",
    "--epoch": "--epochs",
    "--iterations": "--images",
    "--steps": "--images",
    "--kimg": "--images",
    "--nz": "--latent-dim",
    "--z-dim": "--latent-dim",
    "--amp": "--precision",
    "--fp16": "--precision",
    "--continue": "--resume",
    "--cfg": "--config",
    "--workers": "-s runtime.threads=VALUE",
    "--beta1": "-s train.betas=VALUE",
    "--dropout": "-s arch.dropout=VALUE",
    "--gamma": "-s objective.r1_gamma=VALUE",
    "--zzz": None,
    "--x": None,
}
SAMPLE = {
    "--num": "--count",
    "--number": "--count",
    "--samples": "--count",
    "--label": "--class",
    "--out": "--output",
    "--outdir": "--output",
    "--model": "--run",
    "--network": "--run",
    "--ckpt": "--checkpoint",
    "--trunc": "--truncation",
    "--psi": "--truncation",
    "--overwrite": "--force",
    "--nrow": "--columns",
    "--steps": None,
    "--lr": None,
}


def suggested(message):
    return message.partition("Did you mean '")[2].partition("'")[0] or None


@pytest.mark.parametrize(("typed", "meant"), COMMANDS.items())
def test_a_command(cli, typed, meant):
    result = cli(typed)
    assert (result.code, suggested(result.err)) == (2, meant)


@pytest.mark.parametrize(
    ("command", "typed", "meant"),
    [("train", *pair) for pair in TRAIN.items()] + [("sample", *pair) for pair in SAMPLE.items()],
)
def test_an_option(cli, command, typed, meant):
    result = cli(command, typed, "4")
    assert (result.code, suggested(result.err)) == (2, meant)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("train --gpus 2", "--processes"),
        ("train my-photos", "Did you mean --dataset my-photos?"),
        ("sample runs/x", "Did you mean --run runs/x?"),
        ("sample v0.1", "Did you mean --run v0.1?"),
        ("sample grid.png", "Did you mean -o grid.png?"),
        ("interpolate g.onnx", "Did you mean --checkpoint g.onnx?"),
        ("export g.onnx", "Did you mean -o g.onnx?"),
        ("env x", "Leave it out."),
        ("train --dataset my-fotos", "no file or folder of that name. Did you mean 'my-photos'?"),
        ("train --dataset nothing/like/it --dry-run", "does not exist"),
        ("train --dataset https://example.org/x.zip --dry-run", "is a web address"),
        ("train --dataset MNITS --dry-run", "Did you mean 'mnist'?"),
        ("train --arch dens --dry-run", "Did you mean 'dense'?"),
        ("train --objective wgan --dry-run", "Did you mean 'wasserstein'?"),
        ("train -s train.lr=1 --dry-run", "Did you mean 'train.learning_rate'?"),
        ("train -s lr=1 --dry-run", "Did you mean 'train.learning_rate'?"),
        ("train -s train.accumulate=3 --dry-run", "cannot be divided evenly into 3 micro-batches"),
        ("train -c nosuch.toml --dry-run", "There is no file 'nosuch.toml'."),
        ("train -c run.yaml --dry-run", "is YAML, which is not supported"),
        ("train -c yaml.toml --dry-run", "is YAML, which is not supported"),
        ("train -c wide.toml --dry-run", "UTF-16"),
        ("train --arch dcgan --image-size 30 --dry-run", "cannot make images of 30x30"),
        ("train --device tpu --dry-run", "auto, cpu, cuda, cuda:N or mps."),
        ("train --dataset shapes.py --dry-run", "such as 'shapes.py:Shapes'"),
        ("train --allow-changes", "--allow-changes needs a run to resume"),
        ("sample --checkpoint nosuch.onnx", "There is no file or folder 'nosuch.onnx'."),
        ("sample --checkpoint nosuch.safetensors", "There is no file or folder 'nosuch.safetensors'."),
        ("sample -o nosuch/x.png", "'nosuch'"),
        ("plugin new x --kind data", "Did you mean 'dataset'?"),
        ("help trian", "Did you mean 'train'?"),
    ],
)
def test_the_right_cause_is_named_before_slow_work(cli, line, hint):
    Path("my-photos").mkdir()
    Path("run.yaml").write_text("train:\n  epochs: 3\n")
    Path("yaml.toml").write_text("# mine\ntrain:\n  epochs: 3\n")
    Path("wide.toml").write_text("[train]\n", encoding="utf-16")
    Path("shapes.py").write_text("class Shapes(DatasetPlugin):\n    pass\n\n\nclass Other:\n    pass\n")
    result = cli(*line.split())
    assert result.code != 0
    assert hint in result.err
    assert result.err.count("\n") == 1
    for strange in ("Errno", "argument(s)", "^(", "Traceback"):
        assert strange not in result.err


def test_a_configuration_that_begins_with_a_byte_order_mark(cli):
    Path("run.toml").write_bytes(b"\xef\xbb\xbf[train]\r\nimages = 300\r\n")
    assert cli("train", "-c", "run.toml", "--dry-run", "--json").json["config"]["train"]["images"] == 300


def test_what_config_show_prints_is_a_configuration(cli):
    chosen = ("--arch", "DENSE", "--objective", "Hinge", "--dataset", "Fashion-MNIST", "--epochs", "3")
    Path("run.toml").write_text(cli("config", "show", *chosen, "--toml").out)
    shown = cli("config", "show", *chosen, "--json").json["config"]
    assert cli("config", "show", "-c", "run.toml", "--json").json["config"] == shown
    assert (shown["arch"]["name"], shown["objective"]["name"]) == ("dense", "hinge")
    assert shown["data"]["dataset"] == "fashion-mnist"


def test_every_setting_has_a_meaning(cli):
    titles, *rows = cli("config", "show").out.splitlines()
    start = titles.index("meaning")
    assert len(rows) > 40
    assert [row for row in rows if not row[start:].strip()] == []
