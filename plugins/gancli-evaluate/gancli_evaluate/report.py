"""What an evaluation found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from gancli.text import html_table

if TYPE_CHECKING:
    from gancli_evaluate.estimate import Estimate, Histogram

TITLES = ("metric", "value", "interval", "N", "better")

# which values are better, by the first word of a metric; of distances lower ones, of all others higher ones
_BETTER = {"KL": "lower", "L1": "lower", "copying": "0.5; 1 is copied"}


@dataclass(frozen=True, slots=True)
class Report:
    """Metrics, each with its interval and N, and everything that they depend on."""

    subject: str  # what was evaluated, for people
    facts: dict[str, Any]  # about it: run, step, weights, seed, or the path of the images
    dataset: str
    against: str  # the split of the real images
    real_images: int  # how many of them were compared with
    extractor: dict[str, str]  # name and digest
    images: int  # how many were generated
    figures: dict[str, Estimate]  # by name, such as FD-mnist
    class_names: tuple[str, ...] = ()  # of the extractor's classes
    histogram: Histogram | None = None  # of these classes
    notes: tuple[str, ...] = ()  # sentences that the user should read

    def rows(self) -> list[tuple[str, ...]]:
        """Every metric as text, under :data:`TITLES`."""
        metrics = self.figures if self.histogram is None else {**self.figures, "KL of classes": self.histogram.kl}
        rows: list[tuple[str, ...]] = []
        for name, e in metrics.items():
            value, low, high = (f"{x:.4g}" if abs(x) >= 1 else f"{x:.4f}" for x in (e.value, e.low, e.high))
            better = "lower" if name.startswith(("FD", "KD")) else _BETTER.get(name.partition(" ")[0], "higher")
            rows.append((name, value, f"{low} to {high}", f"{e.count:,}", better))
        return rows

    def _repr_html_(self) -> str:
        return html_table(TITLES, self.rows())

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and ``evaluation.json``; what is infinite is null."""
        document = asdict(self)
        histogram, names = document.pop("histogram"), document.pop("class_names")
        if histogram is not None:
            shares = dict(zip(names, histogram.pop("shares"), strict=True))
            document["classes"] = {**histogram, "of": len(names), "shares": shares}
        return _finite({**document, "notes": list(self.notes)})  # type: ignore[no-any-return]


def _finite(value: Any) -> Any:  # noqa: ANN401  (JSON)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value
