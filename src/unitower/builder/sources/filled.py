"""Pages of an HTML form that is filled with data: catalogues, price lists, anything that repeats. A browser prints them.

The form has {{name}} where a value goes, and {{#rows}} ... {{/rows}} around what is repeated for every row of a page.
"""

from __future__ import annotations

import html
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from unitower import ingest
from unitower.builder.chromium import NoBrowser, printer
from unitower.builder.sources._rows import Row, rows_of
from unitower.builder.types import Dropped, Fact, Page
from unitower.evaluation import toml

VALUE = re.compile(r"\{\{(\w+)\}\}")
REPEATED = re.compile(r"\{\{#rows\}\}(.*?)\{\{/rows\}\}", re.DOTALL)


def pages(
    *,
    folder: Path,
    notes: Callable[[Dropped], None],
    form: str,
    path: str,
    page: Sequence[str],
    needs: Sequence[str],
    px: tuple[int, int] = (800, 1130),
) -> Iterator[Page]:
    """A page for every combination of values in the columns `page` of a CSV file; a column `language` tells its language.

    form   HTML file; the columns of `page` and those that are the same in all rows of a page can be filled in anywhere
    needs  columns whose values tell a row from all others: a page with them answers a query about that row

    Facts: a "row" for each, all its columns as slots; a template of `ask` has the answer's column behind an arrow:
    "What does {item} cost? => {price}" (`queries.templates`).
    """
    pattern = toml.text_of(folder / form)
    rows = rows_of(folder / path, needed=[*page, *needs])
    groups: dict[tuple[str, ...], list[Row]] = {}
    for one in rows:
        groups.setdefault(tuple(one[column] for column in page), []).append(one)
    try:
        with printer(width_px=px[0], height_px=px[1]) as press, tempfile.TemporaryDirectory(prefix="unitower-page-") as scratch:
            for number, group in enumerate(groups.values()):
                source, printed = Path(scratch) / "page.html", Path(scratch) / "page.pdf"
                source.write_text(filled(pattern, group), encoding="utf-8")
                press.print(source, to=printed, beside=(folder / form).parent)
                language = group[0].get("language", "")
                facts = tuple(Fact(kind="row", slots=dict(row), needs=tuple(needs)) for row in group)
                name = f"{Path(path).stem}-{number:04}"
                first, *others = ingest.read(printed, key=name)
                if others:
                    notes(Dropped(what="page", name=name, reason="does not fit", detail=f"it takes {len(others) + 1} pages: enlarge px"))
                    continue
                assert not isinstance(first.content, str)
                yield Page(id=name, image=first.content, text=first.text, language=language, facts=facts)
    except NoBrowser as error:
        for number in range(len(groups)):
            notes(Dropped(what="page", name=f"{Path(path).stem}-{number:04}", reason="no browser", detail=str(error)))


def filled(form: str, rows: Sequence[Mapping[str, str]]) -> str:
    """The form with the values of the rows, escaped. ValueError for a name that no column has.

    >>> filled("<h1>{{shop}}</h1>{{#rows}}<p>{{what}}</p>{{/rows}}", [{"shop": "A & B", "what": "tea"}, {"shop": "A & B", "what": "rice"}])
    '<h1>A &amp; B</h1><p>tea</p><p>rice</p>'
    """

    def values(text: str, row: Mapping[str, str]) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] not in row:
                raise ValueError(f"the form has {match[0]}, and the data no column {match[1]!r}; there are {', '.join(row)}.")
            return html.escape(row[match[1]])

        return VALUE.sub(value, text)

    return values(REPEATED.sub(lambda match: "".join(values(match[1], row) for row in rows), form), rows[0])
