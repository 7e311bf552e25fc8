"""The configuration: its schema, the layers that set its values, and the merge of these into one validated object."""

from gancli.config.schema import DataConfig, RunConfig

__all__ = ["DataConfig", "RunConfig"]
