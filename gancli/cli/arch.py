"""``gancli arch``: the architectures to choose from."""

from dataclasses import replace
from typing import Annotated

from gancli.cli import complete
from gancli.cli.commands import new_group
from gancli.cli.options import argument, option, set_option
from gancli.cli.output import Output
from gancli.errors import ConfigError

group = new_group("List and describe architectures.")

_NAME = argument("NAME", "A name, or FILE.py:CLASS.", autocompletion=complete.architectures)
_BUILD = option(None, "Build the networks, and print their layers and parameters.", "--build")
_IMAGE = option("CxHxW", "With --build: the shape of the images.")


@group.command("list")
def list_(output: Output) -> None:
    """List the installed architectures, plugins included."""
    from gancli.plugins.registry import ARCHITECTURES

    output.plugins(ARCHITECTURES)


@group.command()
def show(
    output: Output,
    name: Annotated[str, _NAME],
    *,
    build: Annotated[bool, _BUILD] = False,
    image: Annotated[str, _IMAGE] = "1x28x28",
    assignments: Annotated[list[str] | None, set_option("Build with an option, such as -s arch.channels=64.")] = None,
) -> None:
    """Show an architecture's options: types, defaults, ranges and meanings."""
    from gancli.config.resolve import resolve
    from gancli.plugins.listing import architecture, options, parse_image

    described = architecture(name)
    if build or assignments:
        spec, resolved = parse_image(image), resolve(flags={"arch.name": name}, assignments=assignments or ())
        plugin, chosen = resolved.arch.plugin, resolved.arch.options
        if reason := plugin.supports(chosen, spec):
            spec = replace(spec, source=spec.shape)  # it may translate images
            if plugin.supports(chosen, spec):
                raise ConfigError(f"The architecture '{name}' cannot generate images of {spec}.", reason)
        built = plugin.build(chosen, spec, resolved.config.model.latent_dim)
        networks = {"generator": built.generator, "discriminator": built.discriminator, **built.others}
        described["parameters"] = {role: sum(x.numel() for x in network.parameters()) for role, network in networks.items()}
        described["layers"] = {role: str(network) for role, network in networks.items()}
    if output.as_json:
        output.document(described)
        return
    provider = f"{described['distribution']} {described['version']}" if described["distribution"] else described["target"]
    output.pairs([("name", name), ("summary", described["summary"]), ("provided by", provider)])
    output.pairs([(f"sets {key}", value) for key, value in described["defaults"].items()])
    output.line()
    output.table(("key", "type", "default", "range", "meaning"), options(described["schema"], "arch"))
    for network, parameters in described.get("parameters", {}).items():
        output.line()
        output.line(f"{network}: {parameters:,} parameters")
        for line in described["layers"][network].splitlines():
            output.line(line)
