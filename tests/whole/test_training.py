import json
import shutil
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from gancli import events
from gancli.checkpoint.provenance import Provenance
from gancli.checkpoint.store import CheckpointStore
from gancli.config.resolve import resolve
from gancli.errors import (
    CheckpointError,
    ConfigError,
    DatasetError,
    DivergedError,
    MemoryExhaustedError,
    PluginError,
    RunBusyError,
    RunError,
    StorageError,
)
from gancli.gan.architectures.dense import Dense
from gancli.gan.trainer import Trainer
from gancli.metrics.probe import Probe
from gancli.plugin import Architecture, Networks
from gancli.runs import RunDirectory, find_run
from gancli.storage.disk import Storage
from gancli.storage.lock import run_lock
from gancli.training.metrics import read_rows
from gancli.training.run import resume, stored_config, train
from gancli.training.setup import set_up

BIG_STEP = "train.learning_rate=1"


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch):
    """Half of the time of such a run is its two plots; the plain one has them."""
    monkeypatch.setattr("gancli.training.session.plot_losses", lambda _, path: path.touch())


def start(config, tmp_path, name="a", **options):
    ended = train(config, runs_dir=tmp_path, name=name, **options)
    return RunDirectory(ended.run)


@pytest.fixture(scope="module")
def plain(configure, tmp_path_factory):
    """A finished run, not to be changed, what it told, and what was seen on the disk when it told of a checkpoint."""
    seen, saved = [], []
    run = RunDirectory(tmp_path_factory.mktemp("runs") / "a")

    def observe(event):
        seen.append(event)
        if isinstance(event, events.CheckpointSaved):
            saved.append((event.step, CheckpointStore(run.checkpoints).load().step, run.info()["step"]))

    train(configure(), runs_dir=run.path.parent, name="a", observe=observe)
    return SimpleNamespace(run=run, seen=seen, saved=saved)


@pytest.fixture
def finished(plain, tmp_path):
    """A copy of it, to go on from."""
    return RunDirectory(Path(shutil.copytree(plain.run.path, tmp_path / "finished")))


def test_a_run_leaves_what_it_promises(plain):
    run = plain.run
    assert {p.name for p in run.path.iterdir()} == {
        "run.json", "run.lock", "config.json", "metrics.jsonl", "times.jsonl", "losses.png", "samples", "checkpoints",
        "log.txt",
    }  # fmt: skip
    assert [p.name for p in run.previews()] == ["000000.png", "000009.png", "000018.png", "000027.png"]
    with Image.open(run.previews()[-1]) as picture:
        assert picture.size == (4 * 10 + 2, 4 * 10 + 2)
    with Image.open(run.losses_path) as plot:
        assert plot.size == (800, 600)
    info = run.info()
    assert (info["status"], info["step"], info["epochs"]) == ("done", 27, 3)
    assert info["arch"]["distribution"] == "gancli"
    assert find_run(None, run.path.parent).path == run.path
    stored = json.loads(run.config_path.read_text())
    assert (stored["arch"]["dropout"], stored["objective"]["r1_gamma"]) == (0.3, 0.3)
    log = run.log_path.read_text()
    for words in ("saved step=9", "saved step=27", "epoch=3/3"):
        assert words in log


def test_events_come_in_order(plain):
    kinds = [type(event) for event in plain.seen]
    assert kinds[0] is events.RunStarted
    assert kinds[-1] is events.RunEnded
    progress = [event for event in plain.seen if isinstance(event, events.Progress)]
    assert [event.fraction for event in progress] == pytest.approx([event.step / 27 for event in progress])
    assert {1, *range(4, 27, 4)} <= {event.step for event in progress}, "the first step, and every row of metrics"


def test_saved_is_said_when_it_can_be_loaded_and_the_run_says_how_far_it_is(plain):
    assert plain.saved == [(9, 9, 9), (18, 18, 18), (27, 27, 27)]


def test_that_pictures_are_augmented_and_that_a_run_is_too_short_is_told(plain):
    assert "300 images are few" in " ".join(plain.seen[0].notes)
    assert "augment.mode=off" in " ".join(plain.seen[0].notes)
    assert plain.seen[-1].warning.startswith("27 steps are too few.")


def test_metrics_hold_nothing_that_depends_on_the_clock(plain):
    rows = read_rows(plain.run.metrics_path)
    assert {row["kind"] for row in rows} == {"interval", "epoch"}
    keys = {"kind", "step", "epochs", "images_seen", "d_loss", "g_loss", "real_score", "fake_score", "r1", "diversity"}
    assert set().union(*rows) == keys | {"fd_random", "coverage_random", "augmentation"}


def test_previews_are_what_sample_draws(plain):
    from gancli import images
    from gancli.models.loading import load

    with Image.open(plain.run.previews()[-1]) as picture:
        preview = torch.tensor(list(picture.tobytes()))
    drawn = images.grid(images.to_bytes(load(plain.run.path).sample(16)))
    assert (preview - torch.tensor(list(drawn.tobytes()))).abs().max() <= 1


def test_an_existing_directory_is_never_written_into(configure, finished):
    before = finished.metrics_path.read_bytes()
    with pytest.raises(StorageError, match="exists already"):
        start(configure(), finished.path.parent, finished.name)
    assert finished.metrics_path.read_bytes() == before


def test_resuming_a_finished_run_changes_nothing(plain, finished, same_bits):
    ended = resume(finished)
    assert (ended.status, ended.from_step, ended.step, ended.warning) == ("done", 27, 27, "")
    same_bits(finished, plain.run)


def test_the_stored_configuration_repeats_the_run_exactly_and_another_seed_does_not(plain, configure, tmp_path, same_bits):
    same_bits(start(stored_config(plain.run), tmp_path), plain.run)
    other = start(configure("train.seed=1"), tmp_path, "b")
    with pytest.raises(AssertionError):
        same_bits(other, plain.run)


@pytest.mark.parametrize(
    ("stops", "objective"),
    [*((stops, "non-saturating") for stops in [(1,), (5, 8), (9, 1, 9), (26,)]), ((5, 8), "relativistic")],
)
def test_F03_an_interrupted_run_ends_as_one_that_never_stopped(configure, tmp_path, stop_after, same_bits, stops, objective):
    config = configure(f"objective.name={objective}", "checkpoint.every_steps=5")
    whole = start(config, tmp_path)
    parts = start(config, tmp_path, "parts", stop=stop_after(stops[0]))
    for steps in stops[1:]:
        assert resume(parts, stop=stop_after(steps)).status == "stopped"
    assert resume(parts).status == "done"
    same_bits(parts, whole)


def test_F03_a_run_of_the_defaults_real_size_ends_in_the_same_bits(tmp_path, stop_after, same_bits):
    """Everything as a newcomer has it, digits and networks, but for the length."""
    config = resolve(assignments=["train.images=512", "log.quality_every_images=512"], environment={}).config
    whole = start(config, tmp_path)
    parts = start(config, tmp_path, "parts", stop=stop_after(3))
    assert resume(parts).from_step == 3
    same_bits(parts, whole)


def test_whoever_waits_sees_every_step_go_by_and_metrics_stay_the_same(configure, tmp_path, monkeypatch):
    rows = []
    for patience in (0, 1e9):
        monkeypatch.setattr("gancli.training.session.PATIENCE_SECONDS", patience)
        seen = []
        run = start(configure(), tmp_path / str(patience), observe=seen.append)
        rows.append([row for row in read_rows(run.metrics_path) if row["kind"] == "interval"])
        shown = [event.step for event in seen if isinstance(event, events.Progress)]
        assert shown == (list(range(1, 28)) if patience == 0 else [1, *range(4, 27, 4)])
    assert rows[0] == rows[1]


def test_epochs_of_a_few_steps_are_one_row_in_100_steps(configure, tmp_path):
    seen = []
    run = start(configure("train.epochs=13", "log.quality_every_images=0"), tmp_path, observe=seen.append)
    assert [event.step for event in seen if isinstance(event, events.EpochEnded)] == [108, 117]  # 100 are passed; the end
    assert [row["step"] for row in read_rows(run.metrics_path) if row["kind"] == "epoch"] == [108, 117]


def test_a_conditional_run_resumes_exactly(configure, tmp_path, stop_after, same_bits):
    config = configure("model.conditional=true")
    whole = start(config, tmp_path)
    parts = start(config, tmp_path, "parts", stop=stop_after(13))
    resume(parts)
    same_bits(parts, whole)


def test_F03_the_strength_of_the_augmentation_survives_an_interruption(configure, tmp_path, stop_after, same_bits):
    config = configure("augment.adapt_images=500", "augment.target=0")
    whole = start(config, tmp_path)
    parts = start(config, tmp_path, "parts", stop=stop_after(6))
    resume(parts)
    strengths = [row["augmentation"] for row in read_rows(whole.metrics_path)]
    assert strengths == [row["augmentation"] for row in read_rows(parts.metrics_path)]
    assert len(set(strengths)) > 1
    same_bits(parts, whole)


def test_F30_a_stop_saves_the_very_step(configure, tmp_path, stop_after):
    run = start(configure(), tmp_path, stop=stop_after(5))
    assert CheckpointStore(run.checkpoints).latest() == 5
    assert run.info()["status"] == "stopped"
    assert [p.name for p in run.previews()] == ["000000.png", "000005.png"]


def test_rows_written_after_the_checkpoint_are_written_once(finished):
    """As after a kill: the metrics are ahead of the newest checkpoint."""
    run = finished
    whole = run.metrics_path.read_bytes()
    CheckpointStore(run.checkpoints).discard([27])
    resume(run)
    assert run.metrics_path.read_bytes() == whole


def test_a_longer_run_is_allowed_and_goes_on(finished):
    run = finished
    assert resume(run, changes={"train.epochs": 4}).step == 36
    assert stored_config(run).train.epochs == 4
    steps = [row["step"] for row in read_rows(run.metrics_path)]
    assert all(a <= b for a, b in pairwise(steps))


def test_a_run_that_is_made_longer_takes_up_its_steps_slowly_and_repeatably(configure, tmp_path, stop_after, same_bits):
    """The longer half begins with a step size of 0 and ends in the same bits, interrupted or not."""
    whole = start(configure(), tmp_path)
    resume(whole, changes={"train.epochs": 6})
    parts = start(configure(), tmp_path, "parts")
    resume(parts, changes={"train.epochs": 6}, stop=stop_after(4))
    resume(parts)
    same_bits(parts, whole)
    plan = CheckpointStore(whole.checkpoints).load().manifest.facts["plan"]
    assert plan == {"total_steps": 54, "extended_at": 27}


def test_a_changed_run_says_so_and_what_is_left_of_it_is_as_long_in_images(configure, tmp_path, stop_after, same_bits):
    """27 steps of 32 images; from step 4 on in steps of 16, of which the remaining images make 46."""
    changes = {"train.batch_size": 16, "train.learning_rate": 0.0001}
    run = start(configure(), tmp_path, stop=stop_after(4))
    resume(run, changes=changes, allow_changes=True, stop=stop_after(3))
    assert [c["key"] for c in run.info()["changes"]] == list(changes)
    ended = resume(run)
    facts = CheckpointStore(run.checkpoints).load().manifest.facts
    assert [(c["step"], c["images_seen"], c["key"], c["before"], c["now"]) for c in facts["changes"]] == [
        (4, 128, "train.batch_size", 32, 16),
        (4, 128, "train.learning_rate", 0.0025, 0.0001),
    ]
    assert ended.step == facts["plan"]["total_steps"] == 4 + 46
    assert facts["plan"]["extended_at"] == 0
    assert run.info()["changes"] == facts["changes"]
    other = start(configure(), tmp_path, "other", stop=stop_after(4))
    resume(other, changes=changes, allow_changes=True)
    same_bits(other, run)


def test_a_configuration_edited_by_hand_is_compared_with_the_checkpoint(configure, tmp_path, stop_after):
    run = start(configure(), tmp_path, stop=stop_after(4))
    run.config_path.write_text(run.config_path.read_text().replace('"learning_rate": 0.0025', '"learning_rate": 0.1'))
    with pytest.raises(ConfigError, match=r"train\.learning_rate: stored 0\.0025, requested 0\.1"):
        resume(run)


def test_what_a_plugin_prefers_today_does_not_reach_into_a_stored_run(finished, monkeypatch):
    run = finished
    stored = json.loads(run.config_path.read_text())
    del stored["arch"]["patch_size"]
    run.config_path.write_text(json.dumps(stored))
    monkeypatch.setattr(Dense, "defaults", {"arch.patch_size": 7})
    assert stored_config(run).arch.options["patch_size"] == 0
    assert resume(run, changes={"train.epochs": 4}).step == 36


def test_options_of_an_older_version_are_resumed_in_todays_form(configure, tmp_path, stop_after, monkeypatch):
    run = start(configure(), tmp_path, stop=stop_after(5))
    stored = json.loads(run.config_path.read_text())
    stored["arch"]["patch"] = stored["arch"].pop("patch_size")
    run.config_path.write_text(json.dumps(stored))
    names = {"patch": "patch_size"}
    renamed = lambda _, options, version: {names.get(key, key): value for key, value in options.items()}  # noqa: E731, ARG005  (one line where it is used)
    monkeypatch.setattr(Dense, "migrate", renamed)
    assert resume(run).step == 27


def test_a_setting_that_an_older_version_did_not_have_was_at_its_default(configure, tmp_path, stop_after):
    run = start(configure(), tmp_path, stop=stop_after(5))
    store = CheckpointStore(run.checkpoints)
    now = store.load()
    store.discard([5])
    older = {key: value for key, value in now.manifest.facts["config"].items() if key != "train.burn_in"}
    store.save(5, now.files, images_seen=160, facts={**now.manifest.facts, "config": older})
    assert resume(run).step == 27


def test_F15_a_checkpoint_that_does_not_say_enough_is_refused(configure, tmp_path, stop_after):
    run = start(configure(), tmp_path, stop=stop_after(4))
    store = CheckpointStore(run.checkpoints)
    saved = store.load()
    store.discard([4])
    facts = {name: value for name, value in saved.manifest.facts.items() if name not in {"config", "plan"}}
    store.save(4, saved.files, images_seen=128, facts=facts)
    with pytest.raises(CheckpointError, match="does not say its config and plan"):
        resume(run)


def test_the_history_of_a_run_is_kept(configure, tmp_path, stop_after):
    run = start(configure(), tmp_path, stop=stop_after(4), argv=["gancli", "train"])
    resume(run, argv=["gancli", "train", "--resume"])
    info = run.info()
    assert info["argv"] == ["gancli", "train"]
    assert [session["from_step"] for session in info["sessions"]] == [0, 4]


def test_the_last_epoch_gets_its_row_though_the_plan_cuts_it_short(configure, tmp_path):
    run = start(configure("train.images=480"), tmp_path)
    assert read_rows(run.metrics_path)[-1]["step"] == 15
    assert read_rows(run.metrics_path)[-1]["kind"] == "epoch"


def test_F06_too_little_room_leaves_no_directory_behind(configure, tmp_path, monkeypatch):
    monkeypatch.setattr(Storage, "free_bytes", lambda *_: 100)
    with pytest.raises(StorageError, match="A checkpoint needs"):
        start(configure(), tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_way_in_which_the_length_is_given_may_change(finished):
    run = finished
    assert resume(run, changes={"train.images": 32 * 30}).step == 30


def test_a_run_whose_previews_were_deleted_goes_on(configure, tmp_path, stop_after):
    run = start(configure(), tmp_path, stop=stop_after(5))
    shutil.rmtree(run.samples)
    assert resume(run).step == 27
    assert run.previews()


def test_previews_show_the_beginning(configure, tmp_path, monkeypatch, same_bits):
    plain = ("log.preview_every_epochs=null", "train.epochs=13")
    run = start(configure(*plain), tmp_path)
    assert [int(p.stem) for p in run.previews()] == [0, 10, 20, 50, 100, 108, 117]
    monkeypatch.setattr("gancli.training.session.PREVIEW_SECONDS", 0.0)
    monkeypatch.setattr("gancli.training.session.PREVIEW_FRACTION", 0.0)
    slow = start(configure(*plain), tmp_path, "slow")
    assert len(slow.previews()) == 118, "by the clock, however few steps were taken"
    same_bits(slow, run)


def test_loggers_get_every_event_and_one_that_fails_is_one_alarm(configure, tmp_path, monkeypatch):
    from gancli.plugin import Logger

    class Kept(Logger):
        def __init__(self):
            self.events, self.closed = [], False

        def log(self, event):
            self.events.append(event)

        def close(self):
            self.closed = True

    class Broken(Kept):
        def log(self, event):
            super().log(event)
            if isinstance(event, events.IntervalEnded):
                raise SystemExit("no room")

    kept, broken, seen = Kept(), Broken(), []
    monkeypatch.setattr("gancli.training.session.load_loggers", lambda _: {"kept": kept, "broken": broken})
    run = start(configure(), tmp_path, observe=seen.append)
    assert run.info()["status"] == "done"
    assert [type(event) for event in kept.events] == [
        type(event) for event in seen if not isinstance(event, events.Progress | events.Preparing)
    ]
    assert kept.events[0].settings["train.batch_size"] == 32
    assert [event.message for event in seen if isinstance(event, events.Alarm) and event.name == "logger"] == [
        "The logger 'broken' gets nothing more: SystemExit: no room. Training goes on without it."
    ]
    assert kept.closed
    assert broken.closed
    assert all(row.get("alarm") != "logger" for row in read_rows(run.metrics_path))


def test_what_would_change_the_model_is_refused_with_all_differences(finished):
    run = finished
    changes = {"train.batch_size": 16, "arch.dropout": 0.0, "train.epochs": 9}
    with pytest.raises(ConfigError) as caught:
        resume(run, changes=changes)
    assert "arch.dropout: stored 0.3, requested 0.0" in caught.value.problem
    assert "train.batch_size: stored 32, requested 16" in caught.value.problem
    assert "epochs" not in caught.value.problem


def test_other_pictures_are_refused(configure, tmp_path, digits):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (copy / name).write_bytes((digits / name).read_bytes())
    run = start(configure(f"data.dataset={copy}"), tmp_path)
    pixels = bytearray((copy / "train-images-idx3-ubyte").read_bytes())
    pixels[-1] ^= 255
    (copy / "train-images-idx3-ubyte").write_bytes(pixels)
    with pytest.raises(ConfigError, match="is not the one that this run was trained on"):
        resume(run, changes={"train.epochs": 4})


def test_images_that_were_moved_are_known_by_their_fingerprint(configure, tmp_path, digits, monkeypatch, stop_after):
    shutil.copytree(digits, tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    run = start(configure("data.dataset=./here"), tmp_path, stop=stop_after(3))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resume(run, stop=stop_after(1)).step == 4
    (tmp_path / "here").rename(tmp_path / "moved")
    with pytest.raises(DatasetError, match=r"does not exist\..*name their new place with --dataset"):
        resume(run, stop=stop_after(1))
    assert resume(run, changes={"data.dataset": "../moved"}, stop=stop_after(1)).step == 5
    assert resume(run, stop=stop_after(1)).step == 6
    with pytest.raises(ConfigError, match="is not the one that this run was trained on"):
        resume(run, changes={"data.dataset": "mnist"})


def test_F58_a_changed_environment_is_noted(configure, tmp_path, stop_after):
    run = start(configure(), tmp_path, stop=stop_after(3))
    notes = []
    resume(run, changes={"runtime.precision": "bf16"}, observe=lambda e: notes.extend(getattr(e, "notes", ())))
    assert any("precision was 'fp32', is 'bf16'" in note for note in notes)


def test_F58_another_number_of_threads_is_noted(configure, tmp_path, stop_after):
    run = start(configure("runtime.threads=1"), tmp_path, stop=stop_after(3))
    notes = []
    try:
        resume(run, changes={"runtime.threads": 2}, observe=lambda e: notes.extend(getattr(e, "notes", ())), stop=stop_after(1))
    finally:
        torch.set_num_threads(1)
    assert any("threads was 1, is 2" in note for note in notes)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (4, 2), (2, 1)])
def test_F57_a_batch_divided_otherwise_is_refused_or_noted_and_recorded(configure, tmp_path, stop_after, before, after):
    run = start(configure(f"train.accumulate={before}"), tmp_path, stop=stop_after(3))
    with pytest.raises(ConfigError, match=rf"accumulate={before}, not 1 process x train.accumulate={after}"):
        resume(run, changes={"train.accumulate": after})
    notes = []
    changes = {"train.accumulate": after, "runtime.allow_other_processes": True}
    resume(run, changes=changes, observe=lambda e: notes.extend(getattr(e, "notes", ())), stop=stop_after(1))
    assert any(f"from step 3 on 1 process x train.accumulate={after}" in note for note in notes)
    notes.clear()
    resume(run, observe=lambda e: notes.extend(getattr(e, "notes", ())))
    assert not any("may differ" in note for note in notes)
    assert "from step 3 on" in CheckpointStore(run.checkpoints).load(names=()).manifest.facts["inexact"]


def test_F57_the_division_that_gives_the_same_bits_is_named(configure, tmp_path, stop_after):
    run = start(configure("train.accumulate=2"), tmp_path, stop=stop_after(3))
    with pytest.raises(ConfigError, match=r"give -s train\.accumulate=2 for the same bits"):
        resume(run, changes={"train.accumulate": 4})


def test_F45_a_second_training_is_refused(configure, tmp_path, stop_after):
    run = start(configure(), tmp_path, stop=stop_after(3))
    with run_lock(run.lock_path), pytest.raises(RunBusyError):
        resume(run)
    resume(run)


def test_F13_a_corrupt_checkpoint_names_the_way_on_and_it_works(finished):
    run = finished
    newest = run.checkpoints / "step-000000027" / "optim.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"Step 18 is intact.*--from-step 18"):
        resume(run)
    assert resume(run, from_step=18).step == 27


def test_nothing_to_go_on_from_is_explained(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"config\.json"):
        resume(RunDirectory(tmp_path / "empty"))


@pytest.mark.filterwarnings("ignore:overflow")
def test_F34_a_diverged_run_commits_nothing_that_is_not_finite(configure, tmp_path, monkeypatch):
    from gancli.gan.trainer import Trainer

    honest = Trainer.step

    def poisoned(self, *schedule, **settled):
        report = honest(self, *schedule, **settled)
        if self.state.step == 15:
            with torch.no_grad():
                next(self.state.networks["generator"].parameters()).fill_(float("nan"))
        return report

    monkeypatch.setattr(Trainer, "step", poisoned)
    with pytest.raises(DivergedError, match=r"step 1[68].*not finite.*Step 9 is saved"):
        start(configure(), tmp_path)
    run = RunDirectory(tmp_path / "a")
    assert CheckpointStore(run.checkpoints).steps() == [9]
    assert run.info()["status"] == "failed"
    assert run.info()["error"]["exit_code"] == 7


def test_F35_an_alarm_is_raised_once_and_stops_nothing(configure, tmp_path):
    seen = []
    config = configure("objective.r1_gamma=0", "train.learning_rate=1e-7", "train.discriminator_learning_rate=0.05",
                       "arch.dropout=0.0", "train.betas=[0.5,0.9]", "train.epochs=36", "augment.mode=off")  # fmt: skip
    run = start(config, tmp_path, observe=seen.append)
    alarms = [event for event in seen if isinstance(event, events.Alarm)]
    names = [alarm.name for alarm in alarms]
    assert names
    assert len(names) == len(set(names))
    rows = [row for row in read_rows(run.metrics_path) if row["kind"] == "alarm"]
    assert [row["alarm"] for row in rows] == names
    assert run.info()["status"] == "done"


def test_old_checkpoints_go_and_the_newest_stay(configure, tmp_path):
    run = start(configure("checkpoint.every_steps=3", "checkpoint.keep=4"), tmp_path)
    assert CheckpointStore(run.checkpoints).steps() == [18, 21, 24, 27]


def test_the_quality_is_measured_when_enough_was_seen_and_at_the_end(configure, tmp_path):
    # epochs of 9 steps of 32 pictures end at 288, 576 and 864
    seen = {every: measured_at(configure(f"log.quality_every_images={every}"), tmp_path, every) for every in (1, 500, 9999, 0)}
    assert seen == {1: [9, 18, 27], 500: [18, 27], 9999: [27], 0: []}


def measured_at(config, tmp_path, name):
    run = start(config, tmp_path, f"every-{name}")
    return [row["step"] for row in read_rows(run.metrics_path) if "fd_random" in row]


def test_the_best_checkpoint_is_kept_and_is_what_is_drawn_with(configure, tmp_path, monkeypatch):
    from gancli.models.loading import load

    figures = iter([3.0, 1.0, 2.0, 4.0, 5.0, 900.0])  # of five epochs, and of a constant image
    monkeypatch.setattr(Probe, "measure", lambda self, _images: {self.column: next(figures)})
    seen = []
    run = start(configure("train.epochs=5", "log.quality_every_images=1", "checkpoint.keep=1"), tmp_path, observe=seen.append)
    store = CheckpointStore(run.checkpoints)
    assert store.steps() == [18, 45]
    assert store.best() == load(run.path).origin.step == load(run.path, checkpoint="best").origin.step == 18
    assert load(run.path, checkpoint="latest").origin.step == 45
    assert run.info()["best"] == {"step": 18, "figure": "fd_random", "value": 1.0}
    assert seen[-1].best == "step 18, fd_random 1.00"
    assert seen[-1].checkpoint == store.path(45)


def test_a_best_epoch_is_saved_though_none_was_due(configure, tmp_path):
    run = start(configure("checkpoint.every_steps=100", "log.quality_every_images=1", "train.epochs=2"), tmp_path)
    store = CheckpointStore(run.checkpoints)
    assert store.best() in store.steps()


def test_F03_the_best_is_the_same_after_interruptions(configure, tmp_path, stop_after, same_bits):
    config = configure("log.quality_every_images=1", "checkpoint.keep=1", "train.epochs=4")
    whole = start(config, tmp_path)
    parts = start(config, tmp_path, "parts", stop=stop_after(11))
    resume(parts, stop=stop_after(16))
    resume(parts)
    stores = [CheckpointStore(run.checkpoints) for run in (whole, parts)]
    same_bits(parts, whole)
    assert stores[0].best() == stores[1].best() is not None


def test_a_run_in_minutes_ends_on_time(configure, tmp_path):
    ended = train(configure("train.minutes=0.1"), runs_dir=tmp_path, name="a")
    assert 5.4 <= ended.elapsed_seconds < 10, "the last evaluation, checkpoint and plot included"
    manifest = CheckpointStore(ended.run / "checkpoints").load().manifest
    assert "minutes" in manifest.facts["inexact"]


@pytest.mark.parametrize(("shape", "words"), [("images", "generates"), ("logits", "logits of shape")])
def test_F38_networks_that_break_the_contract_are_refused_before_anything_is_written(
    configure, tmp_path, monkeypatch, shape, words
):

    honest = Dense.build

    def broken(self, config, image, latent_dim):
        networks = honest(self, config, image, latent_dim)
        extra = torch.nn.Unflatten(0, (-1, 1, 1))
        if shape == "images":
            return Networks(torch.nn.Sequential(networks.generator, extra), networks.discriminator)
        return Networks(networks.generator, torch.nn.Sequential(networks.discriminator, extra))

    monkeypatch.setattr(Dense, "build", broken)
    monkeypatch.setattr(Dense, "calibrate", Architecture.calibrate)
    with pytest.raises(PluginError, match=words):
        start(configure(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_networks_are_prepared_when_a_training_begins_with_their_first_weights_and_not_when_it_resumes(
    configure, tmp_path, monkeypatch
):
    weights = []

    def remember(_, networks, __):
        weights.append(next(networks.generator.parameters()).detach().clone())

    monkeypatch.setattr(Dense, "prepare", remember)
    run = start(configure("train.images=32"), tmp_path)
    resume(run, changes={"train.images": 64})
    assert len(weights) == 1
    start(configure("train.images=32", f"model.parent={run.path}"), tmp_path, "b")
    assert len(weights) == 2
    assert not torch.equal(*weights)  # those of the parent: new ones of this seed are the same


def test_what_is_wrong_with_the_input_leaves_nothing_behind(configure, tmp_path):
    from gancli.errors import GancliError

    with pytest.raises(GancliError):
        start(configure(f"data.dataset={tmp_path}/nowhere"), tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def test_a_run_from_before_a_setting_existed_had_its_default(configure):
    from gancli.config.resolve import flatten, refuse_changes

    new = flatten(configure())
    old = {key: value for key, value in new.items() if key not in {"data.fit", "data.image_size"}}
    refuse_changes(old, new, allowed=False)
    with pytest.raises(ConfigError, match=r'data\.fit: stored "crop", requested "pad"'):
        refuse_changes(old, {**new, "data.fit": "pad"}, allowed=False)


def test_advice_is_given_where_a_newcomer_needs_it(configure):
    from gancli.training.setup import advice, set_up

    few = advice(set_up(configure()))
    assert few == ("27 steps are few, since there are only 300 images: --minutes 10 trains longer.",)
    assert not advice(set_up(configure("train.images=300")))
    large = advice(set_up(configure("data.image_size=40x40", "data.channels=3")))
    assert "--arch dcgan" in large[0]


def test_the_time_is_said_before_the_start_and_the_rehearsal_leaves_no_trace(configure, tmp_path):
    from gancli.storage.tensors import digest_of
    from gancli.training.setup import set_up

    config = configure("train.images=2400", "train.epochs=null", "log.every_steps=50")
    one, other = set_up(config), set_up(config)
    assert one.expected_seconds(at_most=0.05) > 0
    for game in (one, other):
        game.step()
    for name, network in one.state.stored_networks().items():
        assert digest_of(network.state_dict()) == digest_of(other.state.stored_networks()[name].state_dict())
    assert one.state.counters() == other.state.counters()
    log = start(config, tmp_path).log_path.read_text()
    assert "2,400 images will be seen, which takes about 1 minute on this machine." in log


def test_a_step_that_does_not_fit_into_memory_is_taken_in_micro_batches(configure, tmp_path, monkeypatch):
    honest, least = Trainer.step, 4

    def step(self, *schedule, **settled):
        if self.micro_batches.count < least:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return honest(self, *schedule, **settled)

    monkeypatch.setattr(Trainer, "step", step)
    run = start(configure("train.images=2400", "train.epochs=null", "train.batch_size=8"), tmp_path)
    assert stored_config(run).train.accumulate == 4
    assert "A step of 8 images does not fit into memory: it is taken in 4 micro-batches" in run.log_path.read_text()

    least = 16  # more than are tried
    for size in (9, 32):
        with pytest.raises(MemoryExhaustedError, match=r"CUDA out of memory"):
            start(configure("train.images=2400", "train.epochs=null", f"train.batch_size={size}"), tmp_path, "odd")
        assert not (tmp_path / "odd").exists()


@pytest.mark.parametrize("setting", ["train.minutes=1", "train.images=300"])
def test_a_time_that_is_known_or_short_is_not_announced(configure, setting):
    from gancli.training.setup import set_up

    assert set_up(configure("train.epochs=null", setting)).expected_seconds() is None


def test_a_plot_or_preview_that_fails_is_an_alarm_and_never_ends_the_training(configure, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("latex was not able to process it\nand more")

    monkeypatch.setattr("gancli.training.session.plot_losses", fail)
    monkeypatch.setattr("gancli.images.to_png", fail)
    seen = []
    run = start(configure(), tmp_path, observe=seen.append)
    assert run.info()["status"] == "done"
    alarms = [(event.name, event.message) for event in seen if isinstance(event, events.Alarm)]
    reason = "could not be made, and the training goes on: latex was not able to process it"
    assert sorted(alarm for alarm in alarms if alarm[0] in {"plot", "preview"}) == [
        ("plot", f"The plot {reason}"),
        ("preview", f"The preview {reason}"),
    ]


@pytest.fixture
def fives(monkeypatch):
    """Dense networks that make sides of 5, 10, 15, ... only; the pictures are of 8x8."""

    def supports(_, __, image):
        return "Sides are multiples of 5." if image.height % 5 or image.width % 5 else None

    monkeypatch.setattr(Dense, "supports", supports)


@pytest.mark.usefixtures("fives")
def test_the_size_belongs_to_the_run(configure, tmp_path, stop_after):
    run = RunDirectory(train(configure(), runs_dir=tmp_path, name="a", stop=stop_after(5)).run)
    assert json.loads(run.config_path.read_text())["data"]["image_size"] == "10"
    assert resume(run).status == "done"
    assert set_up(stored_config(run)).image.shape == (1, 10, 10)
    from gancli.checkpoint.store import CheckpointStore

    facts = CheckpointStore(run.checkpoints).load().manifest.facts
    assert Provenance.parse(facts, run).config["data.image_size"] == "10"


def test_a_child_resumes_to_the_same_bits_without_its_parent_and_names_it(
    small_run, small_pictures, tmp_path, stop_after, same_bits
):
    from gancli.models.loading import load
    from gancli.models.parent import inherit
    from gancli_hub.folder import write_folder

    parent = Path(shutil.copytree(small_run, tmp_path / "parents" / "origin"))
    fixed = ["train.images=128", "train.batch_size=32", "checkpoint.every_steps=1", "runtime.device=cpu", "log.previews=4"]
    assignments = [*fixed, f"model.parent={parent}", f"data.dataset={small_pictures}"]
    config = resolve(assignments=assignments, environment={}, inherit=inherit(tmp_path)).config
    whole, half = start(config, tmp_path, "whole"), start(config, tmp_path, "half", stop=stop_after(2))
    shutil.rmtree(parent)
    resume(half)
    same_bits(half, whole)
    assert half.info()["parent"]["run"] == "origin"
    assert stored_config(half).model.parent.endswith("step-000000004")
    model = load(half.path)
    assert model.origin.provenance.parent.run == "origin"
    write_folder(model, tmp_path / "shared")
    words = "started from the weights (generator, discriminator, ema) of origin, step 4"
    card, facts = ((tmp_path / "shared" / name).read_text() for name in ("README.md", "config.json"))
    assert words in card
    assert str(parent) not in card + facts  # whoever gets the model has no use for this machine's folders
