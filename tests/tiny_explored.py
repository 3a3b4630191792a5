"""An explorer of a small untrained model, with a cohort of images under any ids; it opens in a second."""

import tiny

from segue.cohort.case import Case
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.cohort.placement import scaled_axes
from segue.engine.model import Model
from segue.explorer.models import Explored
from segue.mechanisms.hvae import HVAEMechanism

NAME = "secret-clinic"


class Images:
    """A source of drawn images."""

    def __init__(self, ids) -> None:
        self.ids = list(ids)
        self.images = tiny.bars(len(self.ids), seed=3).numpy()

    def read(self, index: int) -> Case:
        return Case(self.ids[index], self.images[index], (1.0, 1.0), scaled_axes((1.0, 1.0)))

    def identity(self):
        return self.ids


def tiny_explored(ids=("patient 1", "patient 2", "patient 3"), opened=NAME) -> Explored:
    parents = tiny.bar_parents()
    net = tiny.hvae(context=parents.context_channels("map"))
    grid = Grid(tiny.SIZE, intensity=Intensity((-1.0, 1.0)), unit="mm2", pixel_area=1.0)
    marginal = parents.factual(tiny.bars(64, seed=99), tiny.torch.ones(64)).areas
    model = Model(HVAEMechanism(model=net, parents=parents, conditioning="map"), grid, marginal=marginal)
    return Explored(name=NAME, opened=opened, models={"no_cft": model}, judge=None, source=Images(ids))
