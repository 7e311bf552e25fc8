"""Loggers of gancli's trainings: thin, and offline unless their own environment variables say otherwise.

``tensorboard`` and ``wandb`` write into the run, ``trackio`` and ``mlflow`` into ``.trackio/`` and ``.mlflow/`` beside the
runs; ``TRACKIO_SPACE_ID``, ``WANDB_MODE=online`` and ``MLFLOW_TRACKING_URI`` lead elsewhere.
"""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any

from gancli.errors import PluginError
from gancli.plugin import Alarm, EpochEnded, Event, IntervalEnded, Logger, PreviewWritten, RunStarted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MLflow", "TensorBoard", "Trackio", "WeightsAndBiases"]

PROJECT = "gancli"


def _require(extra: str, *modules: str) -> None:
    """Refuse to start without a package of an extra."""
    for name in modules or (extra,):
        if sys.modules.get(name, ...) is None or find_spec(name) is None:
            remedy = f'In a clone of gancli: pip install "./plugins/gancli-loggers[{extra}]"'
            raise PluginError(f"{name} is not installed.", remedy)


def _scalars(event: IntervalEnded | EpochEnded) -> Mapping[str, float]:
    """Means of an interval and the speed; of an epoch what was measured at its end."""
    if isinstance(event, EpochEnded):
        return event.evaluation
    return {**event.metrics, "images_per_second": event.images_per_second}


class TensorBoard(Logger):
    """Event files for TensorBoard: ``tensorboard --logdir runs``."""

    api = 2
    summary = "TensorBoard event files"

    def __init__(self) -> None:
        _require("tensorboard")
        self._writer: Any = None

    def log(self, event: Event) -> None:
        """Scalars, previews, and the settings as text."""
        match event:
            case RunStarted():
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(event.run / "tensorboard"))
                listed = "\n".join(f"    {key} = {value}" for key, value in event.settings.items())
                self._writer.add_text("settings", listed, event.step)
            case IntervalEnded() | EpochEnded():
                for name, value in _scalars(event).items():
                    self._writer.add_scalar(name, value, event.step)
            case PreviewWritten():
                import numpy as np
                from PIL import Image

                with Image.open(event.path) as image:
                    self._writer.add_image("preview", np.asarray(image.convert("RGB")), event.step, dataformats="HWC")
            case Alarm():
                self._writer.add_text("alarm", event.message, event.step)

    def close(self) -> None:
        """Flush."""
        if self._writer is not None:
            self._writer.close()


class Trackio(Logger):
    """Trackio, a local dashboard: ``trackio show --project gancli``. Its functions are those of Weights & Biases."""

    api = 2
    summary = "Trackio, a local dashboard"
    module = "trackio"

    def __init__(self) -> None:
        _require(self.module)
        self._run: Any = None

    def log(self, event: Event) -> None:
        """Scalars, previews and settings. What is printed meanwhile is dropped: stdout is for results."""
        with redirect_stdout(StringIO()):
            match event:
                case RunStarted():
                    self._run = self._started(event)
                case IntervalEnded() | EpochEnded():
                    self._run.log(dict(_scalars(event)), step=event.step)
                case PreviewWritten():
                    preview = import_module(self.module).Image(str(event.path))
                    self._run.log({"preview": preview}, step=event.step)

    def close(self) -> None:
        """Write what is still waiting."""
        if self._run is not None:
            with redirect_stdout(StringIO()):
                self._run.finish()

    def _started(self, event: RunStarted) -> object:
        os.environ.setdefault("TRACKIO_DIR", str(event.run.parent.absolute() / ".trackio"))
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import trackio

        return trackio.init(PROJECT, name=event.run.name, config=dict(event.settings), resume="allow", embed=False)


class WeightsAndBiases(Trackio):
    """Weights & Biases, offline unless ``WANDB_MODE=online``."""

    summary = "Weights & Biases, offline unless WANDB_MODE=online"
    module = "wandb"

    def _started(self, event: RunStarted) -> object:
        import wandb

        quiet = wandb.Settings(silent=True, console="off")
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        name, settings = event.run.name, dict(event.settings)
        return wandb.init(project=PROJECT, name=name, dir=event.run, config=settings, mode=mode, settings=quiet)


class MLflow(Logger):
    """MLflow, in a database beside the runs unless ``MLFLOW_TRACKING_URI`` says otherwise."""

    api = 2
    summary = "MLflow, in a database beside the runs unless MLFLOW_TRACKING_URI is set"

    def __init__(self) -> None:
        _require("mlflow", "mlflow", "sqlalchemy")
        self._client: Any = None
        self._id = ""

    def log(self, event: Event) -> None:
        """Scalars, previews as artifacts, and settings as parameters."""
        match event:
            case RunStarted():
                os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
                from mlflow import MlflowClient

                home = event.run.parent.absolute() / ".mlflow"
                home.mkdir(exist_ok=True)
                self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}")
                found = self._client.get_experiment_by_name(PROJECT)
                experiment = found.experiment_id if found else self._client.create_experiment(PROJECT, home.as_uri())
                self._id = self._client.create_run(experiment, run_name=event.run.name).info.run_id
                for key, value in event.settings.items():
                    self._client.log_param(self._id, key, value)
            case IntervalEnded() | EpochEnded():
                for name, value in _scalars(event).items():
                    self._client.log_metric(self._id, name, value, step=event.step)
            case PreviewWritten():
                self._client.log_artifact(self._id, str(event.path), "previews")

    def close(self) -> None:
        """End the run."""
        if self._id:
            self._client.set_terminated(self._id)
