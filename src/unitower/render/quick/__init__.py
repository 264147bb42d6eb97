"""Pages for teaching a tower to read: drawn in a few hundredths of a second, and known down to the single character.

    >>> import random
    >>> from unitower.render import quick
    >>> page = quick.page(random.Random(7), (168, 112), texts={"en": ["The rent is due on the first day of May."]}, fonts=quick.fonts())
    >>> page.image.shape[:2], page.labels().shape
    ((112, 168), (24, 18))

`unitower.render` draws pages that look like documents, from facts that can be asked for; here speed and variety count: text of any
language, columns, tables, forms, code, bars and noise, drawn at two or three times their size and scaled down, so that a character
falls anywhere between the pixels, as it does in a scan. The same generator on the same fonts gives the same page.
"""

from __future__ import annotations

from unitower.render.quick.alphabet import ALPHABET, CELL_PX, SLOTS, WRITES
from unitower.render.quick.fonts import Font, fonts, languages
from unitower.render.quick.page import QuickPage, page
from unitower.render.quick.sheet import Written

__all__ = ["ALPHABET", "CELL_PX", "SLOTS", "WRITES", "Font", "QuickPage", "Written", "fonts", "languages", "page"]
