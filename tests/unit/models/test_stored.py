import shutil

import pytest
import torch

from gancli.errors import CheckpointError, DownloadError, PluginError
from gancli.models import stored
from gancli.models.loading import load
from gancli.models.parent import inherit
from gancli.models.stored import BUNDLED, weights_path


class FakeHub:
    """As much of huggingface_hub as is used."""

    class errors:  # noqa: N801
        class RepositoryNotFoundError(Exception):
            pass

        class RevisionNotFoundError(Exception):
            pass

        class HFValidationError(Exception):
            pass

    def __init__(self, folder):
        self.folder, self.asked, self.reachable = folder, [], True

    def HfApi(self):
        return self

    def list_repo_files(self, name, revision):
        if not self.reachable:
            raise OSError("no route to host")
        if name == "no/body":
            raise self.errors.RepositoryNotFoundError
        if revision not in {"main", "v1"}:
            raise self.errors.RevisionNotFoundError
        return [path.name for path in self.folder.iterdir()]

    def hf_hub_download(self, name, file, *, revision, local_dir):
        self.asked.append((name, file, revision))
        local_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / file, local_dir / file)


@pytest.fixture
def hub(monkeypatch, tmp_path, small_run):
    monkeypatch.delenv("GANCLI_OFFLINE", raising=False)
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "hub"
    folder.mkdir()
    shutil.copy(max((small_run / "checkpoints").glob("step-*")) / "ema.safetensors", folder / "generator.safetensors")
    (folder / "config.json").write_text("{}")
    (folder / "evil.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04pickle")
    fake = FakeHub(folder)
    monkeypatch.setattr(stored, "hub", lambda: fake)
    return fake


def test_a_model_of_the_hub_is_loaded_and_nothing_else_of_it_is_fetched(hub, small_run):
    expected = load(small_run).sample(2)
    for model in (load(checkpoint="hf:user/name"), load("hf:user/name@v1")):
        torch.testing.assert_close(model.sample(2), expected)
    assert hub.asked == [
        ("user/name", file, revision) for revision in ("main", "v1") for file in ("config.json", "generator.safetensors")
    ]


def test_a_checkpoint_of_the_hub_is_loaded_and_trained_from(hub, small_run, tmp_path):
    checkpoint = load(small_run).origin.checkpoint
    shutil.rmtree(hub.folder)
    shutil.copytree(checkpoint, hub.folder)
    torch.testing.assert_close(load("hf:user/run").sample(1), load(small_run).sample(1))
    assert inherit(tmp_path)("hf:user/run")["arch.generator_widths"] == [32]
    assert {file for _, file, _ in hub.asked} >= {"manifest.json", "discriminator.safetensors"}


def test_what_was_fetched_once_is_there_offline(hub, monkeypatch, caplog):
    first = load(checkpoint="hf:user/name")
    hub.reachable = False
    torch.testing.assert_close(load(checkpoint="hf:user/name").sample(1), first.sample(1))
    assert "no route to host" in caplog.text
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    monkeypatch.setattr(stored, "hub", None)  # is not even imported
    torch.testing.assert_close(load(checkpoint="hf:user/name").sample(1), first.sample(1))
    with pytest.raises(DownloadError, match="GANCLI_OFFLINE forbids it"):
        load(checkpoint="hf:user/other")


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("hf:no/body", CheckpointError, "There is no model 'no/body'"),
        ("hf:user/name@v9", CheckpointError, "revision 'v9'"),
        ("hf:name", CheckpointError, "not the address of a model"),
        ("hf:user/../..", CheckpointError, "not the address of a model"),
        ("hf:user/name@../../x", CheckpointError, "not the address of a model"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_is_not_on_the_hub_is_one_error(address, error, words):
    with pytest.raises(error, match=words) as caught:
        load(checkpoint=address)
    assert "\n" not in str(caught.value)


def test_a_repository_without_a_model_of_gancli_is_refused(hub):
    (hub.folder / "generator.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no model of gancli"):
        load(checkpoint="hf:user/name")


def test_F50_a_hub_that_does_not_answer_is_one_error(hub):
    hub.reachable = False
    with pytest.raises(DownloadError, match="no route to host"):
        load(checkpoint="hf:user/name")


def test_without_the_extra_the_command_is_named(monkeypatch, tmp_path):
    import sys

    monkeypatch.delenv("GANCLI_OFFLINE", raising=False)
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PluginError, match="The extra 'hf' brings it"):
        load(checkpoint="hf:user/name")


def test_the_model_in_the_package_generates_digits():
    from gancli.metrics.extractors import DigitExtractor

    assert BUNDLED["mnist"].stat().st_size < 1_000_000
    model = load(checkpoint="mnist")
    assert model.class_names == tuple("0123456789")
    images = model.sample(100)
    assert images.dtype == torch.float32
    _, classes = DigitExtractor()(images)
    assert (classes == torch.arange(100) % 10).float().mean() > 0.9
    assert weights_path("mnist") == BUNDLED["mnist"]
