import pytest
import torch

from gancli.config.schema import RuntimeConfig
from gancli.errors import ConfigError
from gancli.runtime.device import Runtime, cpu_has_fast_bf16, pick_device, translate_memory_error


def test_auto_finds_a_device():
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused_with_a_way_on():
    with pytest.raises(ConfigError, match=r"'cuda' is not available.*--device auto"):
        pick_device("cuda")
    with pytest.raises(ConfigError, match="cuda:7"):
        Runtime.select(RuntimeConfig(device="cuda:7"))


def test_precision_is_a_choice():
    assert Runtime.select(RuntimeConfig(device="cpu", precision="fp32")).precision == "fp32"
    assert Runtime.select(RuntimeConfig(device="cpu", precision="bf16")).precision == "bf16"
    assert Runtime.select(RuntimeConfig(device="cpu", precision="auto")).bf16 == cpu_has_fast_bf16()


def test_a_cache_that_torch_cannot_have_is_named_with_the_variable(monkeypatch):
    def refused(_):
        raise NotADirectoryError(20, "Not a directory", "/some/cache")

    monkeypatch.setattr(torch, "use_deterministic_algorithms", refused)
    with pytest.raises(ConfigError, match=r"/some/cache.*TORCHINDUCTOR_CACHE_DIR"):
        Runtime.select(RuntimeConfig(device="cpu"))


def test_threads_are_set():
    before = torch.get_num_threads()
    try:
        Runtime.select(RuntimeConfig(device="cpu", threads=1))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_autocast_multiplies_in_bfloat16_only_when_asked_for():
    runtime = Runtime(torch.device("cpu"), bf16=True)
    a = torch.ones(2, 2)
    with runtime.autocast():
        assert (a @ a).dtype == torch.bfloat16
    with runtime.autocast(enabled=False):
        assert (a @ a).dtype == torch.float32
    with Runtime(torch.device("cpu")).autocast():
        assert (a @ a).dtype == torch.float32


def test_the_networks_seed_has_an_address():
    runtime = Runtime(torch.device("cpu"))
    drawn = []
    for turn, step, share in (("a", 3, 0), ("a", 3, 0), ("b", 3, 0), ("a", 4, 0), ("a", 3, 1)):
        runtime.seed_networks(0, turn, step, share)
        drawn.append(tuple(torch.rand(4).tolist()))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 4


def test_F44_out_of_memory_becomes_advice():
    explained = translate_memory_error(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert explained is not None
    assert explained.exit_code == 11
    assert "--batch-size" in explained.remedy
    assert translate_memory_error(MemoryError()) is not None


def test_another_error_stays_what_it_is():
    assert translate_memory_error(RuntimeError("shapes cannot be multiplied")) is None


def test_what_a_result_depends_on_is_written_down():
    described = Runtime(torch.device("cpu")).describe()
    assert {"device", "precision", "threads", "torch", "python", "platform"} <= described.keys()
    assert Runtime(torch.device("cpu")).inexactness() == ""
