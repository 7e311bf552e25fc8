"""Every logger writes without a network."""

import socket
from importlib.util import find_spec

import pytest
from PIL import Image

from gancli.events import Alarm, EpochEnded, IntervalEnded, PreviewWritten, RunEnded, RunStarted
from gancli.plugins.registry import LOGGERS
from gancli.training.loggers import Background

NEEDED = {"tensorboard": "tensorboard", "trackio": "trackio", "mlflow": "mlflow"}


@pytest.fixture
def events(tmp_path):
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    preview = run / "000010.png"
    Image.new("L", (20, 20), 99).save(preview)
    settings = {"train.batch_size": 32, "log.to": ["x"], "train.minutes": None}
    return [
        RunStarted(run, "60 images", "dense", {"generator": 1}, "cpu", "fp32", 0, 3, 30, settings=settings),
        IntervalEnded(10, 1.0, 60, {"d_loss": 1.25, "cycle": 0.5}, 100.0, 1.0),
        EpochEnded(10, 1.0, 60, {"d_loss": 1.25}, 100.0, 1.0, {"diversity": 0.7, "fd_x": 3.0}, 1, 3, "fd_x"),
        PreviewWritten(10, preview),
        Alarm("collapse", 10, "All alike."),
        RunEnded(run, "done", 30, 3.0, 3.0, run),
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # other people's packages
@pytest.mark.parametrize("name", NEEDED)
def test_a_logger_works_without_a_network(name, events, monkeypatch, capsys):
    if find_spec(NEEDED[name]) is None:  # importing it here would fix where it writes to
        pytest.skip(f"{name} is not installed")
    connect = socket.socket.connect

    def refuse(self, address):
        if self.family != socket.AF_UNIX and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise OSError(f"network access to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("TRACKIO_DIR", raising=False)
    logger = Background(name, LOGGERS.load(name)())
    for event in events:
        logger(event)
    logger.close()
    assert logger.problem() == ""
    assert capsys.readouterr().out == ""
    run = events[0].run
    where = {"tensorboard": run / "tensorboard", "trackio": run.parent / ".trackio", "mlflow": run.parent / ".mlflow"}[name]
    assert any(path.is_file() for path in where.rglob("*"))
