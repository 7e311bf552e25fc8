"""The pictures of a data set, counted. Loads them, and so torch."""

from __future__ import annotations

from typing import Any

from gancli.config import DataConfig

__all__ = ["pictures"]


def pictures(dataset: str, split: str = "train") -> dict[str, Any]:
    """Number, size, classes and their balance, fingerprint, licence and source.

    Raises:
        GancliError: there is no such data set, or it cannot be read.
    """
    from gancli.data import load_images

    loaded = load_images(DataConfig(dataset=dataset), split)
    images = loaded.images
    count, channels, height, width = images.images.shape
    return {
        "name": loaded.name,
        "source": loaded.source,
        "split": split,
        "images": count,
        "channels": channels,
        "height": height,
        "width": width,
        "classes": _balance(images.class_names, images.labels),
        "bytes": images.images.nbytes,
        "fingerprint": loaded.fingerprint,
        "licence": loaded.licence,
        "notes": list(images.notes),
    }


def _balance(names: tuple[str, ...], labels: Any) -> dict[str, int]:  # noqa: ANN401  (a tensor, or None)
    if labels is None:
        return {}
    return dict(zip(names, labels.bincount(minlength=len(names)).tolist(), strict=True))
