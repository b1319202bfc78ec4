"""Sections of Markdown: nothing lost, nothing twice, headings where Markdown has them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.knowledge import markdown
from mahavishnu.knowledge.markdown import Section, Skipped, read_documents, split_sections
from mahavishnu.memory.models import MAX_CONTENT_BYTES

lines = st.sampled_from(
    ["# One", "## Two", "### Three", "# One", "Setext", "===", "---", "text", "- item", "> quote",
     "```", "~~~", "    # indented code", "#no heading", "", "  ", "| a | b |", "<b>html</b>", "1. x",
     "> # quoted", "- # listed", "\\# escaped", "## Two ##", "ends\ttab", "日本語", "# ", "\f", "a\x0bb"]
)  # fmt: skip
documents = st.lists(lines, max_size=30).map("\n".join)


def split(text: str) -> list[Section]:
    return list(split_sections(text, path="a.md"))


def headings(text: str) -> list[str]:
    return [section.heading for section in split(text)]


@given(documents | st.text(max_size=200))
def test_every_visible_line_is_in_one_section(text: str) -> None:
    kept = [line.strip() for s in split(text) for line in s.content.splitlines() if line.strip()]
    assert kept == [line.strip() for line in text.splitlines() if line.strip()]


@given(documents)
def test_sections_follow_each_other_with_keys_of_their_own(text: str) -> None:
    sections = split(text)
    assert len({section.key for section in sections}) == len(sections)
    assert all(section.content.strip() == section.content for section in sections)
    total = len(text.splitlines())
    end = 0
    for section in sections:
        assert end < section.start_line <= section.end_line <= total
        end = section.end_line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# A\nx\n## B\ny", ["A", "B"]),
        ("before\n# A", ["", "A"]),
        ("A\n===\nx\n\nB\n---\ny", ["A", "B"]),
        ("# A\n```sh\n# not a heading\n```\nx", ["A"]),
        ("# A\n~~~\n# never closed\n# still code", ["A"]),
        ("# A\n\n    # indented code", ["A"]),
        ("#no heading\n\n\\# nor this", [""]),
        ("# A\n> # quoted\n\n- # listed", ["A"]),
        ("# `code` and *stars* #", ["`code` and *stars*"]),
        ("", []),
        (" \n\n", []),
        ("#\nx", [""]),
    ],
)
def test_headings_are_those_of_markdown(text: str, found: list[str]) -> None:
    assert headings(text) == found


def test_a_trail_names_the_headings_above() -> None:
    text = "# A\na\n### B\nb\n## C\nc\n### D\nd\n# E\ne"
    assert [(s.heading, s.trail) for s in split(text)] == [
        ("A", ()),
        ("B", ("A",)),
        ("C", ("A",)),
        ("D", ("A", "C")),
        ("E", ()),
    ]


def test_equal_headings_have_their_own_keys_and_keep_them() -> None:
    assert [s.key for s in split("# Über uns!\na\n# Über uns\nb\n# ...\nc")] == [
        "a.md#über-uns",
        "a.md#über-uns-2",
        "a.md#top",
    ]
    before = {s.heading: s.key for s in split("# A\nx\n# B\ny")}
    after = {s.heading: s.key for s in split("# A\nx\n# New\nz\n# B\nchanged")}
    assert after["A"] == before["A"] and after["B"] == before["B"]


def test_a_heading_cannot_take_the_key_of_a_repeat() -> None:
    keys = [s.key for s in split("# A\nx\n# A\ny\n# A 2\nz")]
    assert len(set(keys)) == 3


def test_lines_are_counted_from_one() -> None:
    first, second = split("# A\nx\n\n# B\ny\n")
    assert (first.start_line, second.start_line, second.end_line) == (1, 4, 5)


def test_a_huge_section_is_cut_at_line_ends() -> None:
    line = "é" * 99 + "\n"
    sections = split("# A\n" + line * (MAX_CONTENT_BYTES // 150))
    assert len(sections) > 1
    assert all(len(s.content.encode()) <= MAX_CONTENT_BYTES for s in sections)
    assert [s.key for s in sections[:2]] == ["a.md#a", "a.md#a~2"]
    assert all(set(s.content.splitlines()[-1]) == {"é"} for s in sections)
    assert sum(s.content.count("é") for s in sections) == 99 * (MAX_CONTENT_BYTES // 150)


def test_one_endless_line_is_cut_too() -> None:
    sections = split("🙂" * MAX_CONTENT_BYTES)
    assert all(len(s.content.encode()) <= MAX_CONTENT_BYTES for s in sections)
    assert "".join(s.content for s in sections) == "🙂" * MAX_CONTENT_BYTES


def test_documents_of_a_folder_come_in_order(tmp_path: Path) -> None:
    for name in ("b.md", "a/z.MD", "a/b.markdown", "c.txt", ".git/x.md", "node_modules/y.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"# {name}")
    found = list(read_documents(tmp_path))
    assert [item.path for item in found] == ["a/b.markdown", "a/z.MD", "b.md"]


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "MAX_FILE_BYTES", 100)
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret.md").write_text("# secret")
    (inside / "binary.md").write_bytes(b"\xff\xfe\x00")
    (inside / "large.md").write_text("x" * 101)
    (inside / "link.md").symlink_to(tmp_path / "secret.md")
    (inside / "nul.md").write_text("a\x00b")
    (inside / "folder.md").mkdir()
    found = {item.path: item for item in read_documents(inside)}
    assert found["binary.md"] == Skipped("binary.md", "not UTF-8")
    assert found["large.md"] == Skipped("large.md", "too large")
    assert found["link.md"] == Skipped("link.md", "leads out of the folder")
    assert found["nul.md"] == Skipped("nul.md", "holds a NUL byte")
    assert "folder.md" not in found
