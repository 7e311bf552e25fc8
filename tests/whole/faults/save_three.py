"""Save steps 1, 2 and 3 into the directory that is given, and say "saved N" after each. For strace; needs no torch."""

from __future__ import annotations

import sys
from pathlib import Path

from gancli.checkpoint.store import CheckpointStore
from gancli.errors import StorageError


def main() -> int:
    """Exit with the code of the first failure."""
    store = CheckpointStore(Path(sys.argv[1]))
    for step in (1, 2, 3):
        try:
            store.save(step, {"weights.safetensors": bytes([step]) * 1000}, images_seen=step, facts={})
            print(f"saved {step}", flush=True)
            store.prune(2)
        except StorageError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
