"""Markdown: sections, their paths of headings, fences and tables in one piece, front matter."""

import pytest

from unitower.errors import UnreadableFile
from unitower.ingest import markdown


def read(folder, text, **options):
    path = folder / "a.md"
    path.write_text(text, encoding="utf-8")
    items = list(markdown.read(path, key="a.md", **options))
    assert markdown.count(path) == len(items) + options.get("start", 0)
    return items


def places(items):
    return [
        (item.source.lines, item.metadata.get("heading"), item.content.removeprefix(item.metadata.get("heading", "")).strip())
        for item in items
    ]


def test_every_section_is_an_item_that_knows_its_chapter(tmp_path):
    items = read(
        tmp_path,
        "# Guide\n\nWelcome.\n\n## Install ##\n\nRun it.\n\n### On *Linux*\nUse `apt`.\n\n## Use\n\nOpen [the app](http://x.org).\n",
    )
    assert places(items) == [
        ((1, 3), "Guide", "Welcome."),
        ((5, 7), "Guide > Install", "Run it."),
        ((9, 10), "Guide > Install > On Linux", "Use `apt`."),
        ((12, 14), "Guide > Use", "Open [the app](http://x.org)."),
    ]
    assert items[2].content == "Guide > Install > On Linux\n\nUse `apt`."
    assert items[2].id == "a.md#L9-L10"
    assert {item.metadata["title"] for item in items} == {"Guide"}
    assert items[0].modality == "text"


def test_headings_may_be_underlined(tmp_path):
    assert places(read(tmp_path, "Guide\n=====\nText.\n\nA part\nof it\n---\nMore.\n")) == [
        ((1, 3), "Guide", "Text."),
        ((5, 8), "Guide > A part of it", "More."),
    ]


@pytest.mark.parametrize(
    "text", ["one\n\n---\n\ntwo", "- a\n---\nb", "> a\n---\nb", "#hash\n\n#1 is no heading", "\\# no heading", "    # code"]
)
def test_rules_lists_and_hash_signs_make_no_headings(tmp_path, text):
    assert [item.metadata for item in read(tmp_path, text)] == [{}]


def test_a_heading_with_nothing_under_it_goes_with_the_one_beneath(tmp_path):
    assert places(read(tmp_path, "# A\n\n## B\n\n### C\n\ntext\n\n## D\n\n## E\n\nmore\n")) == [
        ((1, 7), "A > B > C", "text"),
        ((9, 9), "A", "D"),
        ((11, 13), "A > E", "more"),
    ]


def test_what_stands_in_a_fence_is_no_heading_and_stays_together(tmp_path):
    fence = "```python\n# not a heading\n\n" + "\n\n".join(f"line_{n} = {n}" for n in range(60)) + "\n```"
    items = read(tmp_path, f"# A\n\n{'word ' * 200}\n\n{fence}\n\nafter\n")
    assert [item.metadata["heading"] for item in items] == ["A", "A"]
    assert items[1].content.count("```") == 2
    assert "# not a heading" in items[1].content
    assert "line_59 = 59\n```" in items[1].content


@pytest.mark.parametrize(
    ("opening", "closing"), [("```", "```"), ("~~~~", "~~~~~"), ("- ```sh", "  ```"), ("> ```", "> ```"), ("1. ~~~", "   ~~~"), ("```", "")]
)
def test_fences_of_all_kinds_are_known(tmp_path, opening, closing):
    (item,) = read(tmp_path, f"{opening}\n# inside\n{closing}")
    assert "# inside" in item.content
    assert item.metadata == {}


def test_a_fence_is_closed_by_its_own_kind_only(tmp_path):
    items = read(tmp_path, "````\n```\n# inside\n~~~\n````\n# outside\ntext")
    assert [item.metadata.get("heading") for item in items] == [None, "outside"]


def test_a_table_stays_together_and_a_long_one_is_cut_between_rows(tmp_path):
    def table(rows):
        return "| a | b |\n|---|:-:|\n" + "\n".join(f"| row {n} | value |" for n in range(rows))

    items = read(tmp_path, f"# T\n\n{'word ' * 100}\n\n{table(36)}\n\n{'more ' * 60}")
    (holder,) = [item for item in items if "| row 0 |" in item.content]
    assert "| row 35 |" in holder.content
    items = read(tmp_path, table(400))
    assert len(items) > 3
    assert all(line.endswith("|") for item in items for line in item.content.splitlines())


def test_a_list_is_cut_between_its_entries(tmp_path):
    items = read(tmp_path, "\n".join(f"- entry {n} {'word ' * 40}\n  goes on here" for n in range(20)))
    assert len(items) > 3
    assert all(item.content.startswith("- entry") for item in items)
    assert all(item.content.endswith("goes on here") for item in items)


@pytest.mark.parametrize(
    "front",
    [
        '---\ntitle: "My page"\ntags: [lighthouse]\n---\n',
        "+++\ntitle = 'My page'\ntags = ['lighthouse']\n+++\n",
        "---\nTitle: My page\ntag: lighthouse\n...\n",
    ],
)
def test_front_matter_stands_in_the_first_passage_and_gives_the_title(tmp_path, front):
    items = read(tmp_path, front + "\n## Part\n\nText.\n\n## Other\n\nText.\n")
    assert [item.metadata["title"] for item in items] == ["My page", "My page"]
    assert [item.metadata["heading"] for item in items] == ["My page > Part", "My page > Other"]
    assert "lighthouse" in items[0].content
    assert items[0].source.lines == (1, 8)
    assert not {"---", "+++", "..."} & set(items[0].content.splitlines())
    assert "lighthouse" not in items[1].content


def test_a_rule_on_the_first_line_begins_no_front_matter(tmp_path):
    assert places(read(tmp_path, "---\n\n# A\n\ntext\n")) == [((1, 1), None, "---"), ((3, 5), "A", "text")]
    (item,) = read(tmp_path, "---\n---\ntext\n")
    assert "title" not in item.metadata


def test_a_heading_as_long_as_a_page_is_a_paragraph(tmp_path):
    items = read(tmp_path, "# " + "word " * 500 + "\n\nshort\n")
    assert sum(item.content.split().count("word") for item in items) == 500


def test_a_document_of_headings_that_say_nothing_is_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="no text in it"):
        read(tmp_path, "#\n\n##   \n")


def test_deep_paths_and_equal_headings_keep_ids_apart(tmp_path):
    items = read(tmp_path, "# A\n" + "## Same\ntext\n" * 50)
    assert len({item.id for item in items}) == 50
    assert read(tmp_path, "# A\n" + "## Same\ntext\n" * 50, start=48) == items[48:]
