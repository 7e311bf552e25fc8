"""``gancli dataset show``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gancli.cli import complete
from gancli.cli.options import argument, option, set_option
from gancli.cli.output import Output, refuse_existing
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.data import Loaded

_DATASET = argument("NAME|PATH", "A name, or a path.", autocompletion=complete.datasets)
_TIME = option(None, "Rehearse a few steps: how long a training takes here.", "--time")


def show(
    output: Output,
    dataset: Annotated[str, _DATASET],
    *,
    split: Annotated[str, option("train|test", "Split to look at.")] = "train",
    sheet: Annotated[Path | None, option("FILE.png", "Write 64 of the images as one PNG.")] = None,
    force: Annotated[bool, option(None, "Replace an existing sheet.", "--force")] = False,
    image_size: Annotated[str | None, option("N|HxW", "As for `train`.")] = None,
    assignments: Annotated[list[str] | None, set_option("As for `train`.")] = None,
    time: Annotated[bool, _TIME] = False,
) -> None:
    """Look at every image: what there is, what is broken, what a training would make of it."""
    from gancli.config.resolve import resolve
    from gancli.data.choice import choose
    from gancli.data.source import has_domains
    from gancli_reports.doctor import describe, write_sheet

    if sheet is not None:
        if sheet.suffix.lower() != ".png":
            raise UsageError(f"--sheet {sheet}: a sheet is a PNG.", "Give it a name that ends in .png.")
        refuse_existing(sheet, force=force, folders=True)
    flags = {"data.dataset": dataset} | ({} if image_size is None else {"data.image_size": image_size})
    resolved = resolve(assignments=assignments or (), flags=flags, has_domains=has_domains, choose=choose)
    chosen, train = resolved.reason, resolved.config.train
    if not chosen and (train.epochs or train.images):
        length = f"{train.epochs} epochs" if train.epochs else f"{train.images:,} images seen"
        chosen = f"By default: architecture {resolved.config.arch.name}, for {length}."
    with output.progress() as counter:
        data, facts = describe(resolved.config.data, split, lambda _, done, total: counter(done, total), chosen)
        if time:
            from gancli.training.setup import announcement, set_up

            training = set_up(resolved.config)
            seconds = training.expected_seconds()
    if sheet is not None:
        write_sheet(data, sheet)
    if output.as_json:
        more = ({"sheet": str(sheet)} if sheet else {}) | ({"seconds": seconds} if time else {})
        output.document(facts | more)
        return
    _show(output, data, facts, sheet)
    if time:
        output.note(*announcement(training, seconds))


def _show(output: Output, data: "Loaded", facts: dict[str, Any], sheet: Path | None) -> None:
    shown: dict[str, object] = {key: facts[key] for key in ("name", "source", "split")} | {
        "images": f"{facts['images']:,} of {data.images.spec()}, {facts['bytes'] / 1e6:,.1f} MB",
        "classes": len(facts["classes"]),
        "fingerprint": facts["fingerprint"],
        "licence": facts["licence"] or "unknown",
    }
    if sheet:
        shown["sheet"] = sheet
    if "files" in facts:
        sizes = facts["sizes"]
        smallest, median, largest = sizes["shorter_side"].values()
        shown |= {
            "files": f"{facts['files']:,} in a {facts['kind']}, {len(facts['broken']):,} broken",
            "formats": ", ".join(f"{name} {number:,}" for name, number in facts["formats"].items()),
            "modes": ", ".join(f"{name} {number:,}" for name, number in facts["modes"].items()),
            "colour": f"{facts['grey']:,} grey, {facts['transparent']:,} with transparency",
            "sizes": f"{sizes['different']:,}; shorter sides {smallest} to {largest}, median {median}",
            "commonest": ", ".join(f"{each['height']}x{each['width']} ({each['images']:,})" for each in sizes["commonest"][:3]),
        }
    advice = [("advice", text) for text in facts["advice"]]
    output.pairs([*shown.items(), *(("note", note) for note in facts["notes"]), *advice])
    tables: dict[tuple[str, ...], list[tuple[str, ...]]] = {
        ("class", "images", "%"): [(n, f"{k:,}", f"{100 * k / facts['images']:.1f}") for n, k in facts["classes"].items()],
        ("broken", "reason"): [(each["name"], each["reason"]) for each in facts.get("broken", ())],
        ("the same", "as"): [(name, first) for first, *others in facts.get("duplicates", ()) for name in others],
    }
    for titles, rows in tables.items():
        if rows:
            output.line()
            output.table(titles, rows)
