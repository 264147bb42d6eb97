"""What kinds of sources are tried with, over files that a test writes."""

from typing import Any

SHEET: dict[str, Any] = {
    "path": "goods.csv",
    "page": ["shop"],
    "row": "item",
    "values": ["price"],
    "title": {"en": "Prices at {shop}"},
    "px": [300, 200],
}
FORM: dict[str, Any] = {"form": "form.html", "path": "goods.csv", "page": ["shop"], "needs": ["item"]}
