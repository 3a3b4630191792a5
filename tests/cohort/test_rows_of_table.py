"""What a table may look like, and what of it is refused."""

import math

import pytest

from segue.cohort import FolderSettings
from segue.cohort.folder import list_folder
from segue.cohort.table import CohortTable
from segue.errors import InputError


@pytest.fixture
def write(tmp_path):
    def written(text, encoding="utf-8", **more):
        (tmp_path / "table.csv").write_bytes(text.encode(encoding))
        return CohortTable(tmp_path / "table.csv", **({"dims": 2, "covariates": ("age",)} | more))

    return written


@pytest.mark.parametrize(
    "text",
    [
        "name,age\np1,3\n",
        "name;age\np1;3\n",
        "id\tage\np1\t3\n",
        "age,name\r\n3,p1.png\r\n",
        "name;age;a, b, c, d\np1;3;-\n",
        '"name","age"\n"p1","3"\n',
        " name , age \n p1 , 3 \n",
        'name,age,note\np1,3,"two\nlines, ""quoted"""\n',
        "name,x,x,age\np1,1,2,3\n",
        "name,age\np1,3\nelsewhere,4\nelsewhere,5\nalso elsewhere,1,2,3,4\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separators_quotes_and_marks_are_found(write, text, encoding):
    assert write(text, encoding).row("p1").covariates == {"age": 3.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("name,age,age\np1,3,4\n", "has 2 columns 'age'; keep one"),
        ("name,age,name\np1,3,4\n", "has 2 columns 'name'"),
        ("name,AGE\np1,3\n", "no column for covariate 'age'"),
        ("name;age\np1;63,7\n", "'age' of 'p1' is '63,7', with a decimal comma"),
        ("name,age\np1,63,7\n", "the row of 'p1' has more cells than columns"),
        ("name,age\np1,n/a\n", "is 'n/a'; give a number, or say cohort.missing"),
        ("name,age\np1,M\n", r"is 'M'; give a number \(words: cohort.codes\)"),
    ],
)
def test_what_is_refused(write, text, message):
    with pytest.raises(InputError, match=message) as error:
        write(text).row("p1")
    assert "\n" not in str(error.value)


def test_a_row_that_is_wrong_concerns_its_image_alone(write):
    table = write("name,age\np1,3\np2,\np3,4\np3,5\n")
    assert table.row("p1").covariates == {"age": 3.0}
    for name in ("p2", "p3", "p4"):
        with pytest.raises(InputError, match=name):
            table.row(name)
    assert math.isnan(table.row("p2", complete=False).covariates["age"])


def test_words_become_their_codes(write):
    table = write("name,sex\np1,F\np2,f\np3,1\n", covariates=("sex",), codes={"sex": {"M": 0.0, "F": 1.0, "1": 2.0}})
    assert [table.row(name).covariates["sex"] for name in ("p1", "p3")] == [1.0, 2.0]
    with pytest.raises(InputError, match=r"is 'f', not one of M, F, 1"):
        table.row("p2")


@pytest.mark.parametrize(("missing", "ages"), [("drop", {"a": 10, "c": 30}), ("mean", {"a": 10, "b": 20, "c": 30})])
def test_an_image_without_its_covariate_is_dropped_or_has_the_mean(tmp_path, missing, ages):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for name in "abc":
            (tmp_path / kind / f"{name}.png").write_bytes(b"x")
    (tmp_path / "table.csv").write_text("name,age\na,10\nb,NA\nc,30\n")
    settings = FolderSettings({"heart": 1}, (4, 4), covariates=("age",), missing=missing)
    assert {case.id: case.row.covariates["age"] for case in list_folder(tmp_path, settings)} == ages
