"""The HTML, read back: what it says of an exported model, of volumes, and of names that are not to be trusted."""

import re
from dataclasses import replace
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
from segue.cohort.intensity import Intensity
from segue.engine.model import Model
from segue.engine.verdict import Doubt, Verdict
from segue.errors import InputError
from segue.explorer import download
from segue.explorer.asking import ask
from segue.explorer.handlers import Handlers
from segue.explorer.markup import asset
from segue.explorer.models import Chosen, Explored, explored
from segue.explorer.panel import panel, sliders
from segue.explorer.view import table, table_rows, verdicts_shown, view
from segue.mechanisms.hvae import HVAEMechanism
from segue.text import in_digits, typeset

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
    grid = Grid(VOLUME, intensity=Intensity((-1.0, 1.0)), unit="mm3", pixel_area=2.0)
    model = Model(HVAEMechanism(model=net, parents=parents, conditioning="map"), grid, marginal=marginal)
    return Explored(name="volumes", opened="volumes", models={"no_cft": model}, judge=None, source=None)


def a_volume(id="v") -> Chosen:
    image = tiny.bars(1, seed=5)[0, ..., None].expand(-1, -1, -1, VOLUME[2]).numpy().copy()
    return Chosen(Case(id, image, (1.0, 1.0, 2.0), np.diag([1.0, 1, 2, 1])), f"image, _ = model.read({id!r})")


def test_volumes_are_asked_shown_by_slice_and_downloaded_whole():
    opened, chosen = volumes(), a_volume()
    answer = ask(opened, chosen.case, {"bar@left": "+50%"}, ["no_cft"])
    pages = [view(opened, chosen, answer, place=place) for place in ((0, 0, 0), None)]
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
    answer = ask(opened, a_volume().case, {}, ["no_cft"])
    factual = answer.factual
    for i, slider in enumerate(sliders(opened.first, factual, 2.0)):
        values = opened.first.space.marginal[:, i]
        assert slider.trained == (values.min(), values.max())
        assert slider.low == 0 and slider.high > values.max()
        assert slider.start == pytest.approx(factual[slider.name], abs=slider.step)
    page = Page(panel(opened.first, a_volume(), answer))
    ranges = [a for a in page.all("input") if a["type"] == "range"]
    assert [a["aria-label"] for a in ranges] == ["bar, left", "bar, right"]


def test_an_exported_model_says_that_it_has_no_judge(tmp_path):
    run = small_study.trained()[1]
    assert main(["export", str(run), "--out", str(tmp_path / "out"), "--examples", "2"]) == 0
    opened = explored(str(tmp_path / "out"))
    assert opened.judge is None and opened.source.ids == ["example 1", "example 2"]
    chosen = opened.choose(1)
    answer = ask(opened, chosen.case, {"lumen@mid": "+20%"}, list(opened.models))
    page = Page(table(opened, answer))
    assert "has no judge" in page.text and "judge" not in [a.get("class") for a in page.all("th")]
    assert chosen.code == "image = model.examples()[1 : 2]"


def test_the_judge_s_factual_value_stands_beside_its_counterfactual_one_and_the_change_is_theirs():
    opened = explored(str(small_study.trained()[1]), methods=["no_cft"])
    answer = ask(opened, opened.choose(0).case, {"lumen@mid": "+20%"}, ["no_cft"])
    (row,) = [row for row in table_rows(answer, opened.first.space.areas) if row.asked]
    before, after = answer.judge["lumen@mid"], answer.readings[0].judge["lumen@mid"]
    ((_, judge, moved, _),) = row.reached
    assert (row.judged, judge) == (in_digits(before), in_digits(after))
    assert moved == typeset(f"{(after - before) / answer.sd['lumen@mid']:+.2f}")


def test_presets_come_in_one_group_a_structure():
    opened, chosen = volumes(), a_volume()
    page = Page(panel(opened.first, chosen, ask(opened, chosen.case, {}, ["no_cft"])))
    assert [group["label"] for group in page.all("optgroup")] == ["bar"]


@pytest.mark.parametrize("value", [1e30, 1e300, "+1e9%", 257.0])
def test_more_than_the_image_holds_gets_a_sentence(value):
    """The volume has 8 x 32 x 4 voxels of 2 mm3: 2,048."""
    opened = volumes()
    asked = value if value != 257.0 else 2049.0
    bound = "bar@left: .* ask for less" if value == 1e300 else "cannot be asked; give a value from 0 to 2,048"
    with pytest.raises(InputError, match=bound):  # 1e300 is no number of the images' type
        ask(opened, a_volume().case, {"bar@left": asked}, ["no_cft"])


def test_every_variable_that_was_asked_has_a_verdict_in_words():
    opened, chosen = volumes(), a_volume()
    answer = ask(opened, chosen.case, {"bar@left": "+50%"}, ["no_cft"])
    page, waiting = Page(verdicts_shown(answer)), Page(verdicts_shown(answer, measuring=True))
    (reached,) = answer.readings[0].verdict.reached
    assert not reached.met and "bar, left: factual" in page.text and "NOT MET" in page.text
    assert "measuring" in waiting.text and "met" not in waiting.text


def test_pictures_come_first_and_what_is_measured_on_them_after():
    opened, chosen = volumes(), a_volume()
    do, page = {"bar@left": 300.0}, Handlers(opened)
    first = page.answer(chosen, {"key": chosen.key, "do": do}, ["no_cft"], True, None)
    then = page.judge(chosen, first["answered"])
    whole = ask(opened, chosen.case, do, ["no_cft"])
    assert first["shown"] == view(opened, chosen, whole) and "measuring" in first["verdicts"] and "table" not in first
    assert then["verdicts"] == verdicts_shown(whole) and then["table"] == table(opened, whole) and "shown" not in then
    wrong = page.answer(chosen, {"key": chosen.key, "do": {"foo": 1.0}}, ["no_cft"], True, None)
    assert "foo" in wrong["told"] and len(wrong) == 1


def test_a_new_image_has_nothing_to_be_judged_of_the_one_before():
    page = Handlers(volumes())
    assert page.show(a_volume(), ["no_cft"], True, None)["answered"] is None and page.judge(a_volume(), None) == {}


def test_doubts_and_notes_have_the_words_of_the_page():
    opened, chosen = volumes(), a_volume()
    answer = ask(opened, chosen.case, {"bar@left": "+50%"}, ["no_cft"])
    verdict = Verdict((), (Doubt("request", "bar@left is far; ask for less of bar@left"),), ("bar@right is not known",))
    one = replace(answer.readings[0], verdict=verdict)
    shown = verdicts_shown(replace(answer, readings=(one,)))
    assert "bar, left is far; ask for less of bar, left" in shown and "bar, right is not known" in shown
    assert "@" not in shown
    other = replace(one, method="other", verdict=Verdict((), (), (*verdict.notes, "the change is far away")))
    both = verdicts_shown(replace(answer, readings=(one, other)))  # what concerns one method stands beside it
    assert both.count("is not known") == 1 and both.rindex("</section>") < both.index("is not known")
    assert both.index("other</h2>") < both.index("far away") < both.rindex("</section>")


def test_no_rule_of_the_style_sheet_has_a_comma_in_quotes():
    """gradio repeats each rule with a selector of its own, and takes every comma for the end of one."""
    assert re.findall(r'"[^"\n]*,[^"\n]*"(?=[^{}]*\{)', asset("style.css")) == []
