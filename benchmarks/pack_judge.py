"""The fixed judge of `segue benchmark`, in half precision, from a run: python -m benchmarks.pack_judge RUN."""

import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from segue.files import whole_file
from segue.leaderboard.row import JUDGE


def pack(run: Path) -> None:
    """Write the run's judge into the package."""
    tensors = {name: one.half().contiguous() for name, one in load_file(run / "judge" / "model.safetensors").items()}
    with whole_file(JUDGE) as partial:
        save_file(tensors, partial)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
    print(JUDGE)
