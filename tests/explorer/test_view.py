"""The HTML, read back: what it says of an exported model, of volumes, and of names that are not to be trusted."""

from html.parser import HTMLParser

import numpy as np
import pytest
import small_study
import tiny
import torch

from segue.causal.parents import Parents
from segue.cli import main
from segue.cohort.case import Case
from segue.cohort.grid import Grid
from segue.engine.model import Model
from segue.explorer import download
from segue.explorer.asking import ask
from segue.explorer.models import Chosen, Explored, explored
from segue.explorer.panel import panel, sliders
from segue.explorer.view import view
from segue.mechanisms.hvae import HVAEMechanism

pytestmark = pytest.mark.xdist_group("explorer")
VOLUME = (8, 32, 4)


class Page(HTMLParser):
    """Elements with their attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def volumes() -> Explored:
    """An untrained model of volumes, two halves of one bright structure."""
    x = tiny.bars(8, seed=0)[..., None].expand(-1, -1, -1, -1, VOLUME[2]).clone()
    parents = Parents(segmentor=tiny.Tones(0.5), variables=tiny.variables("bar"))
    marginal = parents.factual(x, torch.full((8,), 2.0)).areas
    net = tiny.hvae(context=parents.fit(marginal).context_channels("map"), size=VOLUME)
    grid = Grid(VOLUME, intensity=(-1.0, 1.0), unit="mm3", pixel_area=2.0)
    model = Model(HVAEMechanism(model=net, parents=parents, conditioning="map"), grid, marginal=marginal)
    return Explored(name="volumes", opened="volumes", models={"no_cft": model}, judge=None, source=None)


def a_volume(id="v") -> Chosen:
    image = tiny.bars(1, seed=5)[0, ..., None].expand(-1, -1, -1, VOLUME[2]).numpy().copy()
    return Chosen(Case(id, image, (1.0, 1.0, 2.0), np.diag([1.0, 1, 2, 1])), f"image, _ = model.read({id!r})")


def test_volumes_are_asked_shown_by_slice_and_downloaded_whole():
    opened, chosen = volumes(), a_volume()
    answer = ask(opened, chosen.case, {"bar@left": "+50%"}, ["no_cft"])
    pages = [view(opened, chosen, answer, index=index) for index in (0, None)]
    assert all(len(Page(page).all("img")) == 4 for page in pages)  # factual, counterfactual and over it, difference
    names = {one.name for one in download.files(opened, chosen, answer)}
    assert "v_no_cft.nii.gz" in names and "v_no_cft.png" not in names
    assert "mm³" in Page(pages[0]).text


def test_a_name_is_text_never_markup():
    opened, chosen = volumes(), a_volume('<img src=x onerror="alert(1)">')
    page = Page(view(opened, chosen, ask(opened, chosen.case, {}, ["no_cft"])))
    assert all("onerror" not in attributes for attributes in page.all("img"))
    assert any('onerror="alert(1)"' in attributes["alt"] for attributes in page.all("img"))


def test_sliders_start_where_the_image_is_and_reach_beyond_the_training_data():
    opened = volumes()
    factual = ask(opened, a_volume().case, {}, ["no_cft"]).factual
    for i, slider in enumerate(sliders(opened.first, factual)):
        values = opened.first.space.marginal[:, i]
        assert slider.trained == (values.min(), values.max())
        assert slider.low == 0 and slider.high > values.max()
        assert slider.start == pytest.approx(factual[slider.name], abs=slider.step)
    page = Page(panel(opened.first, factual))
    ranges = [a for a in page.all("input") if a["type"] == "range"]
    assert [a["aria-label"] for a in ranges] == ["bar, left", "bar, right"]


def test_an_exported_model_says_that_it_has_no_judge(tmp_path):
    run = small_study.trained()[1]
    assert main(["export", str(run), "--out", str(tmp_path / "out"), "--examples", "2"]) == 0
    opened = explored(str(tmp_path / "out"))
    assert opened.judge is None and opened.source.ids == ["example 1", "example 2"]
    chosen = opened.choose(1)
    page = Page(view(opened, chosen, ask(opened, chosen.case, {"lumen@mid": "+20%"}, list(opened.models))))
    assert "has no judge" in page.text and "judge" not in [a.get("class") for a in page.all("th")]
    assert chosen.code == "image = model.examples()[1 : 2]"
