"""Every way in which gancli fails on purpose, with the exit code that it ends in.

    GancliError                      1   base class: never raised itself
    ├── UsageError                   2   the command line asks for something impossible
    ├── ConfigError                  2   a configuration value is unknown, mistyped or out of range
    ├── DatasetError                 3   a data set or image is missing, unreadable or broken
    ├── RunError                     4   a run or checkpoint is missing
    │   └── CheckpointError          4   a checkpoint is corrupt, foreign or unsafe
    ├── RunBusyError                 5   another process writes to this run
    ├── StorageError                 6   disk full, read-only, no permission, already there
    ├── DivergedError                7   training produced NaN or infinity
    ├── PluginError                  8   a plugin is missing, broken or incompatible
    ├── ExportError                  9   an export failed or does not match the generator
    ├── DownloadError               10   a download is refused, short or has the wrong hash
    ├── MemoryExhaustedError        11   the device is out of memory
    ├── PeerLostError               12   another process of the same training is gone
    └── Stopped            129/130/143   SIGHUP, Ctrl-C or SIGTERM: the work was left in order

A message says what is wrong (with the value), what would be right, and what to do. It is printed on one line on
stderr, without a traceback; anything that is not a :class:`GancliError` is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class GancliError(Exception):
    """Base of every expected failure.

    Args:
        problem: what is wrong, naming the offending value. A full sentence.
        remedy: what would be right and what to do next. One or more full sentences, or empty.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} {remedy}".rstrip())

    def as_json(self) -> dict[str, object]:
        """The same failure for scripts: ``{"kind", "exit_code", "problem", "remedy"}``."""
        return {
            "kind": type(self).__name__,
            "exit_code": self.exit_code,
            "problem": self.problem,
            "remedy": self.remedy,
        }


class UsageError(GancliError):
    """The command line asks for something impossible."""

    exit_code = 2


class ConfigError(GancliError):
    """A configuration value is unknown, mistyped or out of range."""

    exit_code = 2


class DatasetError(GancliError):
    """A data set or image is missing, unreadable or broken."""

    exit_code = 3


class RunError(GancliError):
    """A run or checkpoint is missing."""

    exit_code = 4


class CheckpointError(RunError):
    """A checkpoint is corrupt, foreign or unsafe."""


class RunBusyError(GancliError):
    """Another process writes to this run."""

    exit_code = 5


class StorageError(GancliError):
    """The disk is full or read-only, permission is missing, or the target is already there."""

    exit_code = 6


class DivergedError(GancliError):
    """Training produced NaN or infinity."""

    exit_code = 7


class PluginError(GancliError):
    """A plugin is missing, broken or incompatible."""

    exit_code = 8


class ExportError(GancliError):
    """An export failed, or what was exported does not match the generator."""

    exit_code = 9


class DownloadError(GancliError):
    """A download is refused, short or has the wrong hash."""

    exit_code = 10


class MemoryExhaustedError(GancliError):
    """The device is out of memory."""

    exit_code = 11


class PeerLostError(GancliError):
    """Another process of the same training is gone."""

    exit_code = 12


class Stopped(GancliError):  # noqa: N818  (a request that was honoured, not an error of the program)
    """A signal asked to stop, and the work was left in order. ``exit_code`` is 128 + the signal's number."""

    def __init__(self, signal_number: int, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # the one class whose code is known per instance


_SYNONYMS = {
    "learning-rate": "lr learningrate step-size stepsize alpha eta g-lr d-lr",
    "batch-size": "batch bs batchsize minibatch mini-batch batches n-batch",
    "image-size": "resolution res size imgsize img-size imsize height width load-size crop-size",
    "objective": "loss losses criterion gan-mode gan-loss loss-type gan-type",
    "processes": "gpus ngpus n-gpus num-gpus nproc nproc-per-node world-size",
    "device": "gpu gpu-id gpu-ids cuda cpu mps no-cuda accelerator",
    "output": "out o outfile out-file outdir out-dir output-dir output-file dest destination save "
    "save-path target filename to-file",
    "runs-dir": "outdir out-dir output-dir logdir log-dir results results-dir result-dir save-dir "
    "workdir checkpoint-dir checkpoints-dir output out experiment-dir",
    "count": "num number n amount how-many samples n-samples num-samples n-images num-images "
    "nimages num-imgs images batch batch-size",
    "frames": "steps n-frames num-frames length",
    "images": "steps iterations iters n-iter n-iters niter kimg nimg total-kimg max-steps num-steps total-steps n-steps",
    "epochs": "epoch num-epochs n-epochs nepochs max-epochs num-train-epochs n-epoch",
    "minutes": "time hours duration seconds max-time time-limit",
    "class": "label labels category y classes cls target-class digit",
    "conditional": "cond conditional-gan cgan labels label class classes",
    "run": "model network pkl run-id experiment",
    "checkpoint": "model ckpt pth pkl network weight file load restore pretrained snapshot",
    "arch": "model network net networks architecture architectures archs backbone models",
    "latent-dim": "z-dim zdim nz latent latents latent-size z noise noise-dim latent-space",
    "dataset": "data dataroot data-root data-dir datadir data-path dataset-path input input-dir "
    "images-dir img-dir train-dir folder dir path datasets source",
    "precision": "amp fp16 bf16 half mixed-precision dtype fp32",
    "seed": "random-seed rng manual-seed random-state randomseed",
    "seeds": "seed-list",
    "truncation": "trunc psi truncation-psi",
    "weights": "ema use-ema no-ema raw",
    "columns": "nrow cols ncols ncol rows nrows grid",
    "grid": "rows cols columns",
    "fps": "framerate frame-rate speed rate",
    "keyframes": "points waypoints anchors",
    "scale": "zoom upscale enlarge",
    "name": "exp experiment experiment-name exp-name run-name title tag project",
    "resume": "continue restart load restore resume-from resume-run continue-train resume-training",
    "force": "overwrite replace clobber yes f",
    "yes": "force overwrite no-confirm",
    "config": "cfg conf settings yaml config-file options opts",
    "set": "opt option param override hyperparameters",
    "dry-run": "dry check simulate plan print-config",
    "quiet": "silent no-progress",
    "debug": "verbose trace traceback v",
    "json": "as-json format output-format",
    "threads": "workers num-workers nworkers cpus num-threads jobs n-jobs",
    "betas": "beta beta1 beta2 b1 b2 adam-betas momentum",
    "deterministic": "reproducible determinism cudnn-deterministic",
    "r1_gamma": "gamma r1 r1-gamma",
    "gradient_penalty": "gp lambda-gp gp-weight",
    "ema_halflife_images": "ema ema-decay ema-kimg ema-halflife",
    "every_steps": "save-every save-interval snap save-freq checkpoint-every log-every log-interval",
    "keep": "max-checkpoints save-total-limit",
    "train": "fit learn start training resume continue finetune fine-tune",
    "sample": "generate gen draw create make infer inference synthesize synthesise predict",
    "interpolate": "walk morph interp interpolation latent-walk animate film video gif lerp slerp",
    "evaluate": "eval test fid kid score metrics metric validate measure evaluation benchmark",
    "export": "convert save onnx deploy download",
    "runs": "history experiments models checkpoints ls list compare report rm",
    "plugin": "plugins extension extensions",
    "env": "info doctor diagnose environment system versions",
    "list": "ls all dir names",
    "show": "describe info inspect view get cat print display",
    "rm": "delete remove del erase",
    "new": "create init scaffold template",
    "check": "test validate verify lint",
    "non-saturating": "bce vanilla gan ns standard minimax",
    "wasserstein": "wgan wgan-gp wgangp w",
    "least-squares": "lsgan ls mse",
    "relativistic": "ragan rgan rsgan rpgan r3gan",
    "dense": "mlp linear fc",
    "dcgan": "cnn conv convolutional",
    "fashion-mnist": "fashion fmnist fashionmnist",
}
"""What people who come from other tools type for each of gancli's names."""

# least share of common letters of a slip of the pen: `trian` has .8, `generate` and `interpolate` .63
_ALIKE = 0.75
_LONGEST_LIST = 20
_LONGEST_NAME = 300  # likeness takes the square of the length
_SECTIONS = frozenset(("data", "arch", "objective", "model", "train", "augment", "runtime", "checkpoint", "log"))
"""Of the configuration: what stands before the dot of a key. The dot of a file's name is its own."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is meant: itself in another case or spelling, a synonym, a beginning, a near likeness.

    Options, settings and plain names alike: ``--lr`` among ``--learning-rate`` ..., ``train.lr`` among ``train.seed`` ...

    >>> nearest("--lr", ["--help", "--learning-rate"]), nearest("trian", ["train", "runs"])
    ('--learning-rate', 'train')
    >>> nearest("generate", ["interpolate"]) is None
    True
    """
    from difflib import SequenceMatcher

    names = {full: _bare(full) for full in sorted(known)}
    keys = all("." in full and full.partition(".")[0] in _SECTIONS for full in names)
    typed = _bare(name.rpartition(".")[2] if keys else name)
    if not typed or len(name) > _LONGEST_NAME:
        return None
    section = name.rpartition(".")[0]
    ordered = sorted(names, key=lambda full: (full.rpartition(".")[0] != section, len(full)))
    for full in ordered:
        if names[full] == typed:
            return full
    for target, words in _SYNONYMS.items():
        if typed in words.split() and _bare(target) in names.values():
            return next(full for full in ordered if names[full] == _bare(target))
    if len(typed) > 2:  # noqa: PLR2004  (two letters begin too much)
        begun = [full for full in ordered if names[full].startswith(typed)]
        begun += [full for full in ordered if typed in names[full].split("-")]
        if begun:
            return begun[0]
    likeness = {
        full: max(
            float(sorted(typed) == sorted(names[full])),  # letters in the wrong order
            SequenceMatcher(None, typed, names[full]).ratio(),
            SequenceMatcher(None, name.lstrip("-"), full.lstrip("-")).ratio(),
        )
        for full in ordered
    }
    best = max(ordered, key=lambda full: likeness[full], default=None)
    return best if best is not None and likeness[best] >= _ALIKE else None


def _bare(name: str) -> str:
    """``--learning-rate`` and ``train.learning_rate`` as ``learning-rate``."""
    section, _, key = name.partition(".")
    name = key if key and section in _SECTIONS else name
    return name.lstrip("-").replace("_", "-").casefold()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"Did you mean 'dense'?"`` for the :func:`nearest` name, else the list of them if it is short, else nothing.

    >>> did_you_mean("dens", ["dense", "dcgan"])
    "Did you mean 'dense'?"
    >>> did_you_mean("xyz", ["dense", "dcgan"])
    'Known: dcgan, dense.'
    """
    names = sorted(set(known))
    meant = nearest(name, names)
    if meant is not None:
        return f"Did you mean '{meant}'?"
    return f"Known: {', '.join(names)}." if 0 < len(names) <= _LONGEST_LIST else ""
