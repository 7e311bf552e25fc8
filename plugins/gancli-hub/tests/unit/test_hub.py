"""A stand-in for Hugging Face's hub: data sets and models by name."""

import shutil

import pyarrow.parquet as pq
import pytest
import torch

from gancli.config.schema import DataConfig
from gancli.data import load_images
from gancli.errors import CheckpointError, DatasetError, DownloadError
from gancli.models.loading import load
from gancli.models.parent import inherit
from gancli_hub import hub as of_hub


class DataHub:
    """As much of huggingface_hub as is used."""

    class errors:  # noqa: N801  (the module's name for them)
        class RepositoryNotFoundError(Exception):
            pass

        class RevisionNotFoundError(Exception):
            pass

        class HFValidationError(Exception):
            pass

        class HfHubHTTPError(Exception):
            pass

    def __init__(self, folder):
        self.folder = folder

    def HfApi(self):
        return self

    def list_repo_files(self, name, **_):
        if name == "no/body":
            raise self.errors.RepositoryNotFoundError
        if name == "no/net":
            raise self.errors.HfHubHTTPError("503 busy\nmore")
        if name == "no/name":
            raise LookupError("an error of whatever library the hub uses to ask")
        return sorted(str(file.relative_to(self.folder)) for file in self.folder.rglob("*.parquet"))

    def hf_hub_download(self, _, file, **__):
        return str(self.folder / file)


@pytest.fixture
def data_hub(monkeypatch, tmp_path, table):
    monkeypatch.delenv("GANCLI_OFFLINE", raising=False)
    for name in ("other/train", "default/train", "default/test"):
        (tmp_path / name).mkdir(parents=True)
        pq.write_table(table(label=[0, 1, 0, 1, 1]), tmp_path / name / "0000.parquet")
    monkeypatch.setattr(of_hub, "library", lambda: DataHub(tmp_path))


@pytest.mark.usefixtures("data_hub")
def test_a_data_set_of_the_hub_by_name(caplog):
    data = load_images(DataConfig(dataset="hf:owner/My_Set"))
    assert data.name == "hf-owner-my-set"
    assert data.images.images.shape == (5, 3, 10, 12)
    assert "huggingface.co/datasets/owner/My_Set" in caplog.text
    assert "default" in data.source


@pytest.mark.usefixtures("data_hub")
@pytest.mark.parametrize(("name", "error"), [("no/body", DatasetError), ("no/net", DownloadError), ("no/name", DownloadError)])
def test_F50_a_hub_that_does_not_answer_is_one_error(name, error):
    with pytest.raises(error) as caught:
        load_images(DataConfig(dataset=f"hf:{name}"))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("data_hub")
def test_offline_the_hub_is_not_asked(monkeypatch):
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    with pytest.raises(DownloadError, match="GANCLI_OFFLINE forbids it"):
        load_images(DataConfig(dataset="hf:owner/set"))


class FakeHub:
    """As much of huggingface_hub as is used."""

    class errors:  # noqa: N801  (the module's name for them)
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
    monkeypatch.setattr(of_hub, "library", lambda: fake)
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
    monkeypatch.setattr(of_hub, "library", None)  # is not even imported
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


def test_F50_a_hub_that_does_not_answer_for_a_model_is_one_error(hub):
    hub.reachable = False
    with pytest.raises(DownloadError, match="no route to host"):
        load(checkpoint="hf:user/name")
