"""The pytest classes, as plugin authors derive from them; the built-in architecture passes its own kit."""

import subprocess
import sys
from pathlib import Path

import pytest

from gancli_kit import (
    ArchitectureContract,
    ContractWarning,
    DatasetContract,
    ExporterContract,
    ObjectiveContract,
    OptimizerContract,
)
from gancli_kit.checks import Check, Checklist, fail, flag, skip
from gancli_kit.contract import ARCHITECTURE_CHECKS
from gancli_kit.kinds import CHECKS

ROOT = Path(__file__).parents[4]


@pytest.mark.slow
class TestDense(ArchitectureContract):
    architecture = "dense"
    options = {"generator_widths": [32], "discriminator_widths": [32]}  # noqa: RUF012  (as an author writes it)


@pytest.mark.slow
class TestOneFile(ArchitectureContract):
    architecture = str(ROOT / "examples" / "my_arch.py") + ":Tiny"
    images = ("1x28x28",)


class TestHinge(ObjectiveContract):
    objective = "hinge"


class TestRMSprop(OptimizerContract):
    optimizer = "rmsprop"
    options = {"momentum": 0.5}  # noqa: RUF012  (as a plugin writes it)


class TestRounded(ExporterContract):
    exporter = str(ROOT / "examples" / "my_exporter.py") + ":Rounded"


class TestRings(DatasetContract):
    dataset = str(ROOT / "examples" / "my_data.py") + ":Rings"


def test_there_is_one_test_per_check():
    for kind, checks in (
        (TestDense, ARCHITECTURE_CHECKS),
        (TestHinge, CHECKS["gancli.objectives"][1]),
        (TestRMSprop, CHECKS["gancli.optimizers"][1]),
        (type("TestData", (DatasetContract,), {"dataset": "mnist"}), CHECKS["gancli.datasets"][1]),
    ):
        tests = [name for name in dir(kind) if name.startswith("test_")]
        assert sorted(tests) == sorted(f"test_{check.id.replace('-', '_')}" for check in checks)


@pytest.mark.parametrize("checks", [ARCHITECTURE_CHECKS, *(checks for _, checks in CHECKS.values())])
def test_a_check_is_told_in_full_and_comes_after_what_it_needs(checks):
    seen = set()
    for check in checks:
        assert set(check.needs) <= seen
        assert check.id not in seen
        assert check.title
        assert check.why.endswith(".")
        assert check.fix.endswith((".", ")", "'"))
        seen.add(check.id)


def probe(verdict=None):
    def run(_):
        if verdict:
            raise verdict

    return run


def check_of(name, verdict=None, needs=()):
    return Check(name, "title", "It matters.", "Mend it.", probe(verdict), needs)


def test_outcomes_and_what_depends_on_them():
    checks = (
        check_of("good"),
        check_of("bad", fail("It is 5.")),
        check_of("odd", flag("It is 6.")),
        check_of("absent", skip("There is none.")),
        check_of("wrong", ValueError("first\nsecond")),
        check_of("leaves", SystemExit(0)),
        check_of("after-bad", needs=("good", "bad")),
        check_of("after-odd", needs=("odd",)),
    )
    found = {check.id: (result.outcome, result.detail) for check, result in Checklist(checks, None).results()}
    assert found == {
        "good": ("passed", ""),
        "bad": ("failed", "It is 5."),
        "odd": ("flagged", "It is 6."),
        "absent": ("skipped", "There is none."),
        "wrong": ("failed", "ValueError: first second"),
        "leaves": ("failed", "SystemExit: 0"),
        "after-bad": ("skipped", "'bad' has to pass first."),
        "after-odd": ("passed", ""),
    }


def test_ctrl_c_is_the_users():
    with pytest.raises(KeyboardInterrupt):
        check_of("slow", KeyboardInterrupt()).run(None)


def test_a_check_is_run_once_and_leaves_random_numbers_and_stdout_alone(capsys):
    import torch

    calls = []

    def look(_):
        calls.append(torch.rand(()).item())
        print("noise")

    before = torch.get_rng_state()
    checks = Checklist((Check("one", "t", "w", "f", look),), None)
    checks.result("one")
    checks.result("one")
    assert len(calls) == 1
    assert torch.equal(before, torch.get_rng_state())
    assert capsys.readouterr().out == ""
    Checklist((Check("one", "t", "w", "f", look),), None).result("one")
    assert calls[0] == calls[1], "a check is the same every time"


def test_a_failure_of_the_class_says_why_and_how_to_mend_it(spoil):
    broken = type("TestBroken", (ArchitectureContract,), {"architecture": spoil(("api = 1", "api = 7"))})
    with pytest.raises(AssertionError, match=r"api = 7; this gancli speaks api 2\.\n\nWhy it matters: .*\nHow to fix it: "):
        broken().test_api()
    with pytest.raises(pytest.skip.Exception, match="'api' has to pass first"):
        broken().test_builds()


@pytest.mark.slow
def test_a_flag_of_the_class_is_a_warning(spoil):
    source = spoil(("# FEATURES", "features = features + features.mean(0)"))
    mixing = type("TestMixing", (ArchitectureContract,), {"architecture": source})
    with pytest.warns(ContractWarning, match="a logit depends on the other images"):
        mixing().test_one_by_one()


@pytest.mark.slow
def test_batch_normalisation_goes_with_an_objective_that_allows_it(spoil, judge):
    mixing = ("# FEATURES", "features = features + features.mean(0)")
    allowed = ('"train.learning_rate": 1e-3', '"objective.r1_gamma": 0, "train.real_fake_batch": "separate"')
    assert judge(spoil(mixing, allowed), without={"export-onnx"}) == {}


def test_the_kit_needs_no_pytest_to_be_imported():
    script = "import sys; import gancli_kit.contract; sys.exit('pytest' in sys.modules or '_pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
