"""The table that the docs show."""

import json

import pytest

from tests.chaos import table


@pytest.fixture
def folder(tmp_path):
    for number in range(1, table.TESTS + 1):
        row = {"number": number, "what": f"fault {number}", "figures": f"{number}.0 s"}
        (tmp_path / f"{number:02}.json").write_text(json.dumps(row))
    return tmp_path


def test_a_row_for_each_test(folder):
    text = table.table(table.rows(folder), "a machine")
    assert "Measured on a machine." in text
    assert "| 1 | fault 1 | 1.0 s |\n| 2 | fault 2 | 2.0 s |\n" in text
    assert text.count("| fault ") == 13


def test_a_test_without_figures_is_named(folder):
    (folder / "07.json").unlink()
    (folder / "12.json").unlink()
    with pytest.raises(table.Missing, match="no figures of test 7, 12: run make chaos"):
        table.rows(folder)


def test_only_what_is_between_the_marks_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures:begin -->\nold\n<!-- figures:end -->\nafter\n")
    table.write(page, "new\n")
    assert page.read_text() == (
        "before\n<!-- figures:begin -->\nnew\n<!-- figures:end -->\nafter\n"
    )


def test_a_page_without_marks_is_an_error(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="0 places for figures"):
        table.write(page, "new\n")


def test_the_docs_have_their_place():
    assert len(table.PLACE.findall(table.PAGE.read_text())) == 1
