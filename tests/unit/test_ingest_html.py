"""HTML: what of a page is read, in which sections, and from which lines."""

import time

import pytest

from unitower.errors import UnreadableFile
from unitower.ingest import html

PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Tea &amp; coffee</title>
<style>p > a { color: red }</style><script>if (a < b) document.write("<p>hidden</p>")</script></head>
<body>
<nav><ul><li><a href="/">Home</a></li></ul></nav>
<h1>Hot
  drinks</h1>
<p>Water with <b>leaves</b>
in&nbsp;it &lt;very&gt; hot.</p>
<!-- <p>commented</p> -->
<h2>Prices</h2>
<ul><li>Tea<li>Coffee <ul><li>black</li></ul></ul>
<table><tr><th>Cup</th><th>Pot</th></tr>
<tr><td>1.20</td><td>3.<p>50</p></td></tr></table>
<pre>
brew(  water )
   wait()
</pre>
<img src="x.png" alt="A steaming cup">
</body></html>
"""


def read(folder, page, name="a.html", **options):
    path = folder / name
    path.write_bytes(page if isinstance(page, bytes) else page.encode())
    items = list(html.read(path, key=name, **options))
    assert html.count(path) == len(items)
    return items


def test_a_page_is_read_by_section_with_lists_tables_and_code(tmp_path):
    first, second = read(tmp_path, PAGE)
    assert first.content == "Hot drinks\n\nWater with leaves in it <very> hot."
    assert first.source.lines == (6, 9)
    assert second.content == (
        "Hot drinks > Prices\n\n- Tea\n- Coffee\n- black\nCup | Pot\n1.20 | 3. 50\n\nbrew(  water )\n   wait()\n\nA steaming cup"
    )
    assert second.source.lines == (11, 19)
    assert second.id == "a.html#L11-L19"
    assert {item.metadata["title"] for item in (first, second)} == {"Tea & coffee"}


def test_scripts_styles_and_navigation_are_left_out(tmp_path):
    text = " ".join(item.content for item in read(tmp_path, PAGE))
    for word in ("color", "hidden", "Home", "commented", "document"):
        assert word not in text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a &amp;amp; b", "a &amp; b"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<p>a<p>b", "a\n\nb"),
        ("x<sub>2</sub>y <i>z</i>", "x2y z"),
        ("a < b and c > d", "a < b and c > d"),
        ("a <3 b", "a <3 b"),
        ('<a title="a > b">c</a>', "c"),
        ("<a title='it\"s>'>c</a>", "c"),
        ("a<!-- > -->b", "ab"),
        ("a<!--->b", "ab"),
        ("a<!-- b", "a"),
        ("a<![CDATA[x]]>b", "ab"),
        ("<svg><title>no</title><text>no</text></svg>yes", "yes"),
        ("<noscript>no</noscript>yes", "yes"),
        ("<NAV>no</NAV>yes", "yes"),
        ("<nav>never closed", "never closed"),
        ("<nav>a<nav>b</nav> rest", "rest"),
        ("<textarea><p>no</textarea>yes", "yes"),
        ("&#x41;&#66;&copy;&nosuch;", "AB©&nosuch;"),
        ("&#" + "9" * 5000 + ";x", "\ufffdx"),
        ("<td>a<td>b", "a | b"),
        ("<dl><dt>t<dd>d</dl>", "t\nd"),
        ("<p>one</p\n>\n<p>two</p>", "one\n\ntwo"),
        ("<title>never closed<p>yes", "never closed\n\nyes"),
        ("x<img alt='p'>y<img alt=q>z<img src=r>", "x p y q z"),
    ],
)
def test_markup_is_read_as_a_browser_would_show_it(tmp_path, markup, text):
    (item,) = read(tmp_path, f"<body>{markup}")
    assert item.content == text


def test_a_page_laid_out_by_tables_keeps_its_headings_and_paragraphs(tmp_path):
    story = "word " * 60
    items = read(tmp_path, f"<table><tr><td>menu</td><td><h1>Story</h1><p>{story}</p><p>end</p></td></tr></table>")
    assert [item.metadata.get("heading") for item in items] == [None, "Story"]
    assert items[1].content.split() == ["Story", *story.split(), "end"]


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("iso-8859-1", "cp1252", "café – “naïve”"),
        ("windows-1251", "cp1251", "Привет, мир"),
        ("Shift_JIS", "shift_jis", "日本語のページ"),
        ("gb2312", "gb18030", "中文网页"),
        ("euc-kr", "euc_kr", "한국어 페이지"),
        ("koi8-r", "koi8-r", "Привет"),
        ("utf-8", "utf-8", "Ünïcödé"),
        ("no-such-encoding", "utf-8", "Ünïcödé"),
        ("unicode_escape", "utf-8", "back\\x41slash é"),
    ],
)
def test_the_encoding_a_page_names_is_believed(tmp_path, label, codec, text):
    for head in (f'<meta charset="{label}">', f'<meta http-equiv="Content-Type" content="text/html; charset={label}">'):
        (item,) = read(tmp_path, f"<html><head>{head}<title>t</title></head><body><p>{text}</p></body></html>".encode(codec))
        assert item.content == f"t\n\n{text}"


def test_a_byte_order_mark_is_believed_before_the_page(tmp_path):
    (item,) = read(tmp_path, "<meta charset=iso-8859-1><p>Größe".encode("utf-16"))
    assert item.content == "Größe"


@pytest.mark.parametrize(
    "page", ["<html><body><script>app()</script></body></html>", "<title>App</title><div id=root></div>", "<p>&nbsp;</p>"]
)
def test_a_page_without_text_is_refused(tmp_path, page):
    with pytest.raises(UnreadableFile, match="no text in it"):
        read(tmp_path, page)


N = 30_000


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * N + "end",
        "<p>" + "".join(f"<font color={n}>" for n in range(N)) + "<p>x" * N + "end",
        "<table><tr><td>x" * N + "end",
        "<ul><li>x" * N + "end",
        "x<!--" * N + " --> end",
        "<a '" * N + "'> end",
        "<a" * N + "> end",
        "<" * N + " end",
        "<a " + " ".join(f"a{n}=1" for n in range(N)) + ">end",
        "<nav>x" * N + "</nav>" * N + "end",
        "<nav>x" * N + "end",
        "<h1>x" * N + "</h1>end",
        "<script>" * N + "</script>end",
        "&" * N + " end",
    ],
    ids=[
        "div",
        "font",
        "table",
        "list",
        "comment",
        "quote",
        "name",
        "less",
        "attributes",
        "nav",
        "open nav",
        "heading",
        "script",
        "entity",
    ],
)
def test_hostile_pages_take_time_in_proportion_to_their_length(tmp_path, page):
    started = time.process_time()
    assert "end" in " ".join(item.content for item in read(tmp_path, page))
    assert time.process_time() - started < 5  # a parser that builds the tree takes minutes, or all memory
