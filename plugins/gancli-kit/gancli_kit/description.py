"""Checks of what a plugin says about itself, before anything is built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.config.schema import checked
from gancli.errors import ConfigError
from gancli.plugin import API, Asset, ImageSpec, Purpose
from gancli.plugins.registry import check_asset, understood
from gancli_kit.checks import Rules, fail, skip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gancli_kit.subject import ArchitectureSubject, Subject

LOADING = Rules()  # of everything that an entry point names
IDENTITY = Rules()  # of every plugin that is a class
OPTIONS = Rules()  # of every plugin that has options
PREFERENCES = Rules()  # of every plugin that has defaults
ANSWERS = Rules()  # of architectures

_LONGEST_SUMMARY = 140
_LIGHT_SECONDS = 120
# images about which every architecture has to have an answer
_ODD = (ImageSpec(1, 1, 1), ImageSpec(1, 28, 28), ImageSpec(3, 17, 31), ImageSpec(3, 64, 64, 10), ImageSpec(4, 1024, 8))

_PROBE = """
import sys, traceback
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            own = [f for f in traceback.extract_stack()[:-1] if "importlib" not in f.filename]
            print("TORCH", own[-1].filename, own[-1].lineno, sep="\\t", file=sys.stderr)
sys.meta_path.insert(0, Watch())
from gancli.plugins.listing import KINDS
from gancli.plugins.registry import ARCHITECTURES
registry = next(each for each in KINDS if each.group == sys.argv[2])
plugin = registry.load(sys.argv[1])
if registry is ARCHITECTURES:
    from gancli.plugin import ImageSpec
    plugin.Config.model_json_schema()
    plugin().supports(plugin.Config(), ImageSpec(1, 28, 28))
"""


@LOADING.check()
def resolves(subject: Subject[Any]) -> None:
    """It is found, imported, and a plugin of its kind
    Why: Nobody can use what cannot be imported; a broken import is all that users ever see of a plugin.
    Fix: Let the entry point name the class itself (`module:Class`), derive it from its base in gancli.plugin, and import
    nothing that your distribution does not depend on.
    """
    _ = subject.imported


@IDENTITY.check(needs="resolves")
def api(subject: Subject[Any]) -> None:
    """It was written for a version of the contract that this gancli supports
    Why: The version tells users which of the two to update when the contract changes, instead of a traceback.
    Fix: State `api = 2` in the class.
    """
    found = getattr(subject.imported, "api", None)
    if not understood(found):
        raise fail(f"api = {found!r}; this gancli speaks api {API}.")


@IDENTITY.check(needs="api")
def complete(subject: Subject[Any]) -> None:
    """It has a summary of one line, and all that its kind must have
    Why: Listings and every training read them.
    Fix: Give the class `summary = "..."` and what is abstract in its base (an architecture: `Config` and `build`);
    `defaults`, if any, is a dict.
    """
    summary = subject.plugin.summary
    if not summary.strip() or summary != " ".join(summary.split()) or len(summary) > _LONGEST_SUMMARY:
        raise fail(f"The summary is {summary!r:.120}, not one line of 1 to {_LONGEST_SUMMARY} characters.")


@IDENTITY.check(needs="complete")
def light(subject: Subject[Any]) -> None:
    """Loading and describing it imports no torch
    Why: Listings, help and completion would take seconds instead of a fraction of one, for every user who has it.
    Fix: Import torch, and the modules that import it, inside the method that needs them, such as build().
    """
    command = [sys.executable, "-c", _PROBE, subject.name, subject.registry.group]  # a process where nothing is imported yet
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(  # noqa: S603  (ourselves)
        command, capture_output=True, text=True, check=False, env=environment, timeout=_LIGHT_SECONDS
    )
    if found := next((line for line in done.stderr.splitlines() if line.startswith("TORCH\t")), None):
        _, file, line = found.split("\t")
        raise fail(f"torch is imported by {file}, line {line}.")
    if done.returncode:
        problem = (done.stderr.strip() or "no message").splitlines()[-1]
        raise fail(f"In a fresh process it fails: {problem}")


@OPTIONS.check(needs="complete")
def options_described(subject: Subject[Any]) -> None:
    """Every option has a default and a description
    Why: They are the help text, the JSON Schema and the error messages; and the plugin's name alone has to work.
    Fix: Write each option as `name: type = Field(default, ge=..., le=..., description="...")`.
    """
    for name, field in subject.options_model.model_fields.items():
        if name == "name":
            raise fail("An option is called 'name', which is taken by the plugin's own name.")
        if field.is_required():
            raise fail(f"The option '{name}' has no default.")
        if not (field.description or "").strip():
            raise fail(f"The option '{name}' has no description.")


@OPTIONS.check(needs="options-described")
def options_round_trip(subject: Subject[Any]) -> None:
    """Options survive being stored as JSON
    Why: config.json and every checkpoint hold them as JSON; a run could not be resumed or sampled.
    Fix: Use types that JSON has: int, float, bool, str, Literal, tuples of these.
    """
    first = subject.options_model()
    if checked(subject.section, subject.options_model, first.model_dump(mode="json")) != first:
        raise fail(f"{first!r} is not what is read from its own JSON.")
    subject.options_model.model_json_schema()


@OPTIONS.check(needs="options-described")
def options_strict(subject: Subject[Any]) -> None:
    """Unknown options are refused, and options do not change
    Why: A typo would silently train something else.
    Fix: Leave `model_config` as ArchConfig has it (frozen, extra='forbid').
    """
    config = subject.options_model.model_config
    if config.get("extra") != "forbid" or not config.get("frozen"):
        raise fail(f"model_config is {config}: unknown options are accepted, or options change after they were validated.")


@PREFERENCES.check(needs="complete")
def defaults(subject: Subject[Any]) -> None:
    """Its training defaults are known keys with allowed values
    Why: Every training with it would end in an error message about a setting that the user never made.
    Fix: Use keys that `gancli config show` lists, as in {'train.learning_rate': 2e-4}.
    """
    subject.resolve()


@ANSWERS.check(needs="options-round-trip")
def migrate(subject: ArchitectureSubject) -> None:
    """Options of today are left as they are when they are migrated
    Why: It is called for every checkpoint that is loaded, today's included.
    Fix: Change only what an older version wrote, and return a dict.
    """
    stored = subject.plugin.Config().model_dump(mode="json")
    migrated = subject.plugin().migrate(dict(stored), subject.entry.version)
    try:
        same = checked("arch", subject.plugin.Config, migrated) == subject.plugin.Config()
    except (ConfigError, TypeError) as error:
        raise fail(f"Today's own options come out as {migrated!r:.200}, which are refused: {error}") from error
    if not same:
        raise fail(f"Today's own options {stored} come out as {migrated!r:.200}.")


@ANSWERS.check(needs="options-round-trip")
def reasons(subject: ArchitectureSubject) -> None:
    """supports() answers None or a sentence, for any size
    Why: The answer is the error message that a user gets.
    Fix: Return None, or a full sentence with the value and what would work: 'The sides are 30x30; 28 or 32 work.'
    """
    for image in (*subject.specs(), *_ODD):
        reason = subject.plugin().supports(subject.config, image)
        if reason is not None and not _is_sentence(reason):
            raise fail(f"For {image}, classes {image.classes}, supports() answers {reason!r:.200}.")


@ANSWERS.check(needs="options-round-trip")
def purpose(subject: ArchitectureSubject) -> None:
    """What it is for is stated in a way that gancli can choose by
    Why: Users who name no architecture get the one of the highest rank that is for their images.
    Fix: `purpose = Purpose('a clause that says why', rank=..., sides=(32, 256))`, or None.
    """
    stated = subject.plugin.purpose
    if stated is None:
        return
    if not isinstance(stated, Purpose) or not stated.why or stated.why.endswith("."):
        raise fail(f"purpose is {stated!r:.200}, not a gancli.plugin.Purpose whose reason is a clause without a full stop.")
    if stated.sides[0] > stated.sides[1] or min(stated.resized_to) < stated.sides[0] or not stated.channels:
        raise fail(f"{stated!r:.400} applies to no images.")


@ANSWERS.check(needs="options-round-trip")
def assets(subject: ArchitectureSubject) -> None:
    """Pretrained weights are described, and the files here are the right ones
    Why: A user who lacks the file sees how to get it, and no other file is ever read in its place.
    Fix: Return Asset(name, Path, sha256 of 64 hex digits, origin) each, with the origin as a sentence.
    """
    refuse_assets(subject.plugin().assets(subject.config))


def refuse_assets(assets: Iterable[Asset]) -> None:
    """Skip the check where a file is missing; fail where one is not described as it should be, or another one."""
    for asset in assets:
        if not isinstance(asset, Asset) or not isinstance(asset.path, Path):
            raise fail(f"assets() holds {asset!r:.200}, not a gancli.plugin.Asset with a pathlib.Path.")
        if not re.fullmatch(r"[0-9a-f]{64}", asset.sha256):
            raise fail(f"The SHA-256 of '{asset.name}' is {asset.sha256!r:.80}, not 64 hex digits.")
        if not _is_sentence(asset.origin):
            raise fail(f"The origin of '{asset.name}' is {asset.origin!r:.200}, not a sentence.")
        if not asset.path.is_file():
            raise skip(f"The file of '{asset.name}' is not here: '{asset.path}'. {asset.origin}")
        check_asset(asset)


def _is_sentence(text: object) -> bool:
    return isinstance(text, str) and " " in text.strip() and text.rstrip().endswith((".", "!", "?"))
