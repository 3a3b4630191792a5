"""The table of one request over many images, against single answers."""

import pytest
import small_study

from segue.errors import InputError
from segue.explorer.asking import ask
from segue.explorer.cohort_table import CohortRequest, answer_cohort, cohort_html, columns_of
from segue.explorer.models import explored

pytestmark = pytest.mark.xdist_group("explorer")
MID = "calcified_plaque@mid"


@pytest.fixture(scope="module")
def opened():
    return explored(str(small_study.trained()[1]), methods=["no_cft"])


def test_a_row_is_the_answer_to_its_image(opened):
    asked = CohortRequest.read(f"{MID}=+50%, lumen@mid=-1sd", "no_cft", True, 3)
    cells = answer_cohort(opened, asked)
    rows = [dict(zip(columns_of(opened), (cell.value for cell in row), strict=True)) for row in cells]
    assert [row["image"] for row in rows] == [id for id in opened.source.ids[:3] for _ in range(2)]
    answer = ask(opened, opened.choose(1).case, {MID: "+50%", "lumen@mid": "-1sd"}, ["no_cft"])
    row, one = rows[2], answer.readings[0]
    assert row["requested"] == pytest.approx(answer.requested[MID], rel=1e-3)
    assert row["achieved (judge)"] == pytest.approx(one.judge[MID], rel=1e-3)
    error = (one.judge[MID] - answer.requested[MID]) / answer.sd[MID]
    assert row["error (sd)"] == pytest.approx(error, rel=1e-3, abs=1e-3)
    html = cohort_html(columns_of(opened), cells)
    assert html.count("<tr>") == 1 + len(rows) and f'data-image="{row["image"]}"' in html and row["verdict"] in html
    assert row["verdict"] == one.verdict.word_of(MID)
    assert row["reach (%)"] == pytest.approx(100 * one.verdict.reach, abs=0.06)


@pytest.mark.parametrize(("written", "images"), [("", 3), ("lumen", 3), ("=+5%", 3), (f"{MID}=+5%", 0)])
def test_what_cannot_be_read_gets_a_sentence(written, images):
    with pytest.raises(InputError, match=r"write variable=change|give a number"):
        CohortRequest.read(written, "no_cft", True, images)
