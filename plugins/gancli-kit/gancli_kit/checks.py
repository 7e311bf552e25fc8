"""What a check of the conformance kit is, and how a list of them is run."""

from __future__ import annotations

import inspect
import re
import sys
import time
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial, wraps
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gancli.errors import GancliError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Outcome = Literal["passed", "failed", "flagged", "skipped"]
Probe = TypeVar("Probe", bound="Callable[..., None]")

_LONGEST_DETAIL = 300
_PARTS = re.compile(r"(.+?)\nWhy: (.+?)\nFix: (.+)", re.DOTALL)


class ContractWarning(UserWarning):
    """The contract is kept, and yet something deserves a look."""


class Verdict(Exception):  # noqa: N818  (how a check ends, which may be in order)
    """How a check ends before its end: ``detail`` says where and why, with the value."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome: Outcome = outcome


fail = partial(Verdict, "failed")  # to be raised: the contract is broken
flag = partial(Verdict, "flagged")  # something is allowed and suspicious
skip = partial(Verdict, "skipped")  # there is nothing to look at


@dataclass(frozen=True, slots=True)
class Result:
    """How a check went."""

    id: str  # of the check
    outcome: Outcome  # "failed" breaks the contract, "flagged" does not
    detail: str = ""  # what is wrong, or why it was skipped; empty if it passed
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the contract."""

    id: str  # a short slug
    title: str  # what is true when it passes
    why: str  # what goes wrong for users otherwise
    fix: str  # what the plugin's author has to do
    probe: Callable[[Any], None]  # raises fail(), flag(), skip() or nothing; any other exception is a failure too
    needs: tuple[str, ...] = ()  # checks without which this one says nothing; if one of them has failed, it is skipped

    def run(self, subject: object) -> Result:
        """Run it once: with the same random numbers every time, and without a trace in those of the caller."""
        import torch

        outcome: Outcome = "failed"
        detail, start = "", time.perf_counter()
        try:
            with warnings.catch_warnings(), redirect_stdout(sys.stderr), torch.random.fork_rng([]):
                warnings.simplefilter("ignore")  # those of the code under test are its own business
                torch.manual_seed(0)
                self.probe(subject)
                outcome = "passed"
        except Verdict as verdict:
            outcome, detail = verdict.outcome, str(verdict)
        except GancliError as error:
            detail = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (whatever the code under test may raise)
            text = shorten(str(error), _LONGEST_DETAIL, placeholder=" ...")
            detail = f"{type(error).__name__}: {text}".rstrip(": ")
        return Result(self.id, outcome, detail, time.perf_counter() - start)


class Rules(list[Check]):
    """Checks in the order in which they are written down.

    A check is a function of the subject. Its name is the id (``free_logits`` is ``free-logits``); its docstring says
    what is true when it passes, why that matters, and how to fix what fails::

        @RULES.check(needs="loads")
        def classes(subject: DatasetSubject) -> None:
            '''Every label has a name of its own.
            Why: `sample --class` counts on them.
            Fix: Number the classes from 0.
            '''
    """

    def check(self, needs: str = "", each: str = "") -> Callable[[Probe], Probe]:
        """Add a function of the subject. ``needs`` are ids, with spaces between them.

        With ``each`` it is run for each of these cases of the subject, and what it finds names the case.
        """

        def add(probe: Probe) -> Probe:
            @wraps(probe)
            def every(subject: object) -> None:
                cases, skipped = getattr(subject, each), []
                for case in cases:
                    try:
                        probe(subject, case)
                    except Verdict as verdict:
                        if verdict.outcome != "skipped":
                            raise Verdict(verdict.outcome, f"For {case}, {verdict}") from verdict
                        skipped.append(verdict)
                if cases and len(skipped) == len(cases):  # one that had nothing to look at hides no other
                    raise skipped[0]

            parts = _PARTS.fullmatch(inspect.cleandoc(probe.__doc__ or ""))
            if parts is None:
                raise ValueError(f"The docstring of {probe.__name__} has no title, 'Why:' and 'Fix:'.")
            title, why, fix = (" ".join(part.split()) for part in parts.groups())
            id_ = probe.__name__.rstrip("_").replace("_", "-")
            self.append(Check(id_, title, why, fix, every if each else probe, tuple(needs.split())))
            return probe

        return add


@dataclass
class Checklist:
    """Checks of one subject. Each is run at most once, after those that it needs."""

    checks: Sequence[Check]  # in an order in which every check comes after those that it needs
    subject: Any  # what is checked
    _results: dict[str, Result] = field(default_factory=dict)

    def results(self) -> Iterator[tuple[Check, Result]]:
        """Every check with its result, one by one as they come."""
        for check in self.checks:
            yield check, self.result(check.id)

    def result(self, check_id: str) -> Result:
        """The result of one check."""
        if check_id not in self._results:
            check = next(check for check in self.checks if check.id == check_id)
            needed = [self.result(each) for each in check.needs]
            found = next((each for each in needed if each.outcome in {"failed", "skipped"}), None)
            if found is None:
                self._results[check_id] = check.run(self.subject)
            else:
                reason = found.detail if found.outcome == "skipped" else f"'{found.id}' has to pass first."
                self._results[check_id] = Result(check_id, "skipped", reason)
        return self._results[check_id]
