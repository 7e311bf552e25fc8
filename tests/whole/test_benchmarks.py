"""The programs of tests/benchmarks say what they measure; here is shown that it is true, as far as that takes no clock."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gancli.config.resolve import resolve
from gancli.randomness.seeds import normal_at
from gancli.runtime.graphs import GRAPHS
from gancli.training.setup import set_up

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "tests" / "benchmarks"
TENSORFLOW = Path(os.environ.get("BENCHMARK_TENSORFLOW", ROOT / ".venv-tensorflow" / "bin" / "python"))
PARAMETERS = {"generator": 1_486_352, "discriminator": 1_460_225}


@pytest.fixture
def program(monkeypatch):
    """``(name)`` -> a module of the benchmarks or of their peers."""
    for folder in (BENCHMARKS / "peers", BENCHMARKS):
        monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(BENCHMARKS)):
            del sys.modules[name]


@pytest.fixture
def game():
    """The article's, without dropout, whose masks no other program would draw."""
    torch.set_num_threads(1)
    config = resolve(files=[ROOT / "examples" / "article.toml"], assignments=["arch.dropout=0"], environment={}).config
    return set_up(config)


def test_the_peer_in_pytorch_plays_the_same_game(game, program, monkeypatch):
    peer = program("pytorch")
    theirs = peer.Training(torch.device("cpu"), dropout=0)
    for name in PARAMETERS:
        own = list(game.state.trained[name].network.parameters())
        for mine, source in zip(getattr(theirs, name).parameters(), own, strict=True):
            mine.data.copy_(source.data)
    turns = ("discriminator", "generator")
    addresses = ((f"latents of the {turn}'s turn", step) for step in range(6) for turn in turns)
    latents = (normal_at((128, 100), 1000, *address) for address in addresses)
    monkeypatch.setattr(peer, "noise", lambda _device: next(latents))
    for step in range(6):
        real = game.trainer.batches[step][0].flatten(1)
        report = game.step()
        ours = report["d_loss"].item(), report["g_loss"].item()
        assert theirs.step(real) == pytest.approx(ours, rel=1e-4), f"step {step}"
    assert ours[0] < 1.2, "the game was really played"


def test_the_peer_in_pytorch_has_the_articles_networks(program):
    training = program("pytorch").Training(torch.device("cpu"))
    sizes = {name: sum(p.numel() for p in getattr(training, name).parameters()) for name in PARAMETERS}
    assert sizes == PARAMETERS
    assert [m.p for m in training.discriminator if isinstance(m, torch.nn.Dropout)] == [0.3, 0.3, 0.3]


def test_the_products_are_those_of_the_step(game, program):
    listed = sum(product.flop for product in program("products").products(128))
    assert round(listed / 1e9, 2) == 4.09
    with FlopCounterMode(display=False) as counter:
        game.step()
    assert counter.get_total_flops() == listed


def test_each_product_is_done_in_its_shape(program):
    products = program("products")
    shapes = {"forward": (5, 3), "inputs' gradient": (5, 2), "weights' gradient": (3, 2)}
    for kind, shape in shapes.items():
        work = products.prepare(products.Product(kind, 5, inputs=2, outputs=3), torch.float32, torch.device("cpu"))
        assert work().shape == shape


@pytest.mark.slow
@pytest.mark.skipif(not TENSORFLOW.exists(), reason="no environment with TensorFlow: tests/benchmarks/training.py says how")
def test_the_peers_in_keras_play_the_same_game(program, tmp_path):
    training, worker = program("training"), program("worker")
    told = {"threads": 1, "digits": str(training.digits(tmp_path)), "device": "cpu"}
    pythons = {"pytorch.py": sys.executable, "keras_article.py": str(TENSORFLOW), "keras_function.py": str(TENSORFLOW)}
    with worker.Team() as team:
        for script, python in pythons.items():
            team[script] = worker.Worker(worker.PEERS / script, told, python=python)
        assert [peer.answer()["parameters"] for peer in team.values()] == [PARAMETERS] * 3
        for _ in range(2):
            answers = {script: peer.turn(steps=30) for script, peer in team.items()}
    training.refuse_other_losses({script: (answer["d_loss"], answer["g_loss"]) for script, answer in answers.items()})


def test_losses_that_differ_are_refused(program):
    training = program("training")
    training.refuse_other_losses({"a": (1.0, 0.8), "b": (1.1, 0.7), "c": (1.0, 0.8)})
    with pytest.raises(SystemExit, match=r"b ends with a loss of G of 0\.400, the others with 0\.800"):
        training.refuse_other_losses({"a": (1.0, 0.8), "b": (1.0, 0.4), "c": (1.0, 0.8)})
    with pytest.raises(SystemExit, match=r"b has .*7"):
        training.refuse_other_sizes({"gancli": {"parameters": {"generator": 8}}, "b": {"parameters": {"generator": 7}}})


STEPPER = f"""
import sys
sys.path.insert(0, {str(BENCHMARKS / "peers")!r})
import serving

now = [0.0]
serving.time.perf_counter = lambda: now[0]
serving.time.process_time = lambda: 2 * now[0]  # two threads
turns = serving.Turns()
print("a library says something")

class Others:
    def readline(self, line=sys.stdin.readline):
        now[0] += 100  # the turns of others
        return line()

def step():
    now[0] += 1
    with turns.off_the_clock():
        now[0] += 10
    turns.facts["clock"] = turns.clock

sys.stdin = Others()
serving.serve(step, turns, software="none")
"""


def test_a_worker_counts_only_its_own_turns(program, tmp_path):
    script = tmp_path / "stepper.py"
    script.write_text(STEPPER)
    worker = program("worker")
    with worker.Team(one=worker.Worker(script, {})) as team:
        assert team["one"].answer() == {"software": "none"}
        assert team["one"].turn(steps=3) == {"seconds": 3, "processor_seconds": 66, "steps": 3, "clock": 3}
        assert team["one"].turn(seconds=1.5) == {"seconds": 2, "processor_seconds": 44, "steps": 2, "clock": 5}
        assert team["one"].turn(steps=1) == {"seconds": 1, "processor_seconds": 22, "steps": 1, "clock": 6}
    assert team["one"]._process.returncode == 0


def test_a_worker_that_fails_is_named(program, tmp_path):
    (tmp_path / "broken.py").write_text("raise SystemExit(3)")
    worker = program("worker")
    broken = worker.Worker(tmp_path / "broken.py", {})
    with pytest.raises(SystemExit, match=r"broken.py ended with 3"):
        broken.answer()
    broken.close()


def test_ratios_are_taken_within_a_round(program):
    interleave = program("interleave")
    slowing, order = iter([1, 1, 2, 2, 4, 4]), []

    def taking(name, factor):
        def work():
            order.append(name)
            return factor * next(slowing)

        return work

    times = interleave.in_turn({"a": taking("a", 1), "b": taking("b", 3)}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"], "each begins in turn"
    assert interleave.ratio(times, "b", "a") == interleave.Spread(3, 3, 3), "a machine that slows down does so for both"
    assert interleave.Spread.of([7]) == interleave.Spread(7, 7, 7)
    assert f"{interleave.Spread.of([1, 2, 3, 4, 5]):.1f}" == "3.0 (2.0 to 4.0)"


def test_a_target_that_is_missed_says_so(program):
    report, interleave = program("report"), program("interleave")
    spread = interleave.Spread(2.5, 2.4, 2.7)
    rows = [report.Row.of("fast", spread, ".1f", at_least=2.6), report.Row.of("slow", spread, ".1f", at_most=2.5)]
    table = report.table([(row, "python x.py") for row in rows]).splitlines()
    assert table[2] == "| fast | 2.5 (2.4 to 2.7) | at least 2.6: **missed** | `python x.py` |"
    assert table[3] == "| slow | 2.5 (2.4 to 2.7) | at most 2.5 | `python x.py` |"


def test_quality_is_reached_at_the_first_measurement_that_is_good_enough(program):
    quality = program("quality")
    curve = [(30, 140.0), (60, 90.0), (90, 40.0), (120, 55.0)]
    assert quality.minutes_to(100, curve) == 1.0
    assert quality.minutes_to(50, curve) == 1.5
    assert quality.minutes_to(15, curve) is None
    assert quality.told([1.0, None, 2.0]) == "1.5 (1.0 to 2.0)"
    assert quality.told([1.0, None]) == "not reached"


def test_growth_is_the_slope_of_the_logarithms(program):
    growth = program("growth")
    assert growth.slope({n: 3 * n**2 for n in (1, 2, 8)}) == pytest.approx(2)
    assert growth.slope(dict.fromkeys((1, 2, 8), 5)) == pytest.approx(0)


def test_what_growth_measures_works_with_todays_defaults(program, tmp_path):
    growth = program("growth")
    smallest = [min(works.items())[1] for works in (growth.of_batches(), growth.of_numbers(tmp_path))]
    assert all(work() > 0 for work in smallest)


@pytest.mark.parametrize("name", ["training", "quality"])
def test_the_recipe_of_the_article_is_where_they_look_for_it(program, name):
    assert program(name).RECIPE.is_file()


def test_a_set_of_features_is_measured_against_itself(program):
    pytest.importorskip("efficientnet_lite_pytorch")
    features = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    found = program("judge").measure(features, features)
    assert found["fd"] == pytest.approx(0, abs=1e-3)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)


def test_one_command_runs_every_benchmark():
    listed = (BENCHMARKS / "__main__.py").read_text()
    programs = {path.stem for path in BENCHMARKS.glob("[!_]*.py") if "__main__" in path.read_text()}
    assert len(programs) > 10
    of_their_own = {"gpu", "collapse", "pack_mnist", "search", "few_shot", "translation"}  # a GPU's, a campaign, hours
    assert {name for name in programs if f'"{name}"' not in listed} <= of_their_own


def test_the_script_for_gpus_runs_at_toy_size_on_a_cpu(program, capsys, monkeypatch):
    pytest.importorskip("gancli_dcgan")
    monkeypatch.setitem(GRAPHS, "cpu", None)  # which the script sets
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert program("gpu").main(["--toy", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["dense", "dcgan", "dense", "dcgan"]
    assert [line.split()[2] for line in lines[-4:]] == ["eager", "eager", "captured", "captured"]
    assert all("images/s" in line for line in lines[-4:])
    assert [line.split()[0] for line in lines[-7:-4]] == ["eager", "captured", "gancli"]


def test_the_program_ends_in_one_line():
    done = subprocess.run([sys.executable, BENCHMARKS / "pack_mnist.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "Two folders are needed, not 0. Call it as: python tests/benchmarks/pack_mnist.py SOURCE TARGET\n",
    )
