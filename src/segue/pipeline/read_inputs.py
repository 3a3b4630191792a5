"""Images of a cohort's store, as a model takes them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int
from torch import Tensor

from segue.cohort import Store
from segue.engine.answer import Inputs
from segue.engine.model import Model
from segue.pipeline.common import covariate_values
from segue.progress import track

BATCH = 32


def read_inputs(
    model: Model, store: Store, rows: Int[np.ndarray, " image"], *, title: str, fractions: bool = False
) -> Iterator[tuple[Inputs, dict[str, Tensor]]]:
    """Batches of images, on the model's device; with each, what was read (`Store.read`), masks if they are wanted."""
    area, spacing = store.pixel_area(), store.spacing()
    covariates = covariate_values(store, model.space.covariates)
    parts = np.array_split(rows, -(-len(rows) // BATCH))
    for part in track(parts, total=len(parts), title=title):
        read = store.read(part, fractions=fractions)
        columns = (read["image"], area[part], covariates[part], spacing[part])
        yield Inputs(*(column.to(model.device) for column in columns)), read
