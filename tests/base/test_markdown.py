"""Tables are written in one way, and text from outside is harmless in them."""

from markdown import markdown

from rl_core.base.markdown import escaped, table

HOSTILE = "SIM<script>alert(1)</script> [x](javascript:alert(2)) | extra | <img src=x onerror=a>"


def test_a_table_by_hand() -> None:
    assert table(("a", "b"), [(1, None), ("x|y", 0.5)]) == [
        "| a | b |",
        "|---|---|",
        "| 1 | – |",
        "| x/y | 0.5 |",
    ]


def test_hostile_text_is_neither_markup_nor_link_nor_cell() -> None:
    lines = table(("name",), [(HOSTILE,)])
    page = markdown("\n".join(lines), extensions=["tables"])
    assert page.count("<td>") == 1
    for mark in ("<script", "<img", "href="):
        assert mark not in page
    assert "alert(1)" in page  # it can be read
    assert "<" not in escaped(HOSTILE)
