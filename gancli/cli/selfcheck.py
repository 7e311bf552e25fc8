"""``gancli selfcheck``: does a killed training resume bit-exact on this machine?"""

from dataclasses import asdict
from typing import Annotated

import typer

from gancli.cli.options import Json, arch_option, set_option
from gancli.cli.output import Output
from gancli.errors import CheckpointError


def selfcheck(
    context: typer.Context,
    *,
    arch: Annotated[str, arch_option("The networks to check.")] = "dense",
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Device to run on.")] = "auto",
    kills: Annotated[int, typer.Option("--kills", min=1, max=20, help="Number of kills.")] = 3,
    assignments: Annotated[list[str] | None, set_option("Any setting of the training.")] = None,
    json: Json = False,
) -> None:
    """Check that a killed training resumes bit-exact: train, kill -9, resume, compare. Takes less than a minute."""
    from gancli.training.selfcheck import selfcheck as check

    output = Output.of(context)
    verdict = check([f"arch.name={arch}", f"runtime.device={device}", *(assignments or ())], kills=kills, tell=output.note)
    if not verdict.exact:
        raise CheckpointError(
            f"A killed training of '{arch}' did not resume bit-exact: {', '.join(verdict.differences)}.",
            "The architecture may keep state outside its parameters and buffers, or use a random generator of its own.",
        )
    exact = (
        f"exact: killed {verdict.kills} times (after steps {', '.join(map(str, verdict.steps))}), resumed, and ended in "
        f"the same bits, SHA-256 {verdict.digest[:16]}, in {verdict.seconds:.0f} s"
    )
    output.result(exact, asdict(verdict) if json else None)
