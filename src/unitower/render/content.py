"""What a page says: names, numbers, dates, sentences and statements, drawn up by chance from a language's stock.

Everything a page states under a name goes through `Content.state`, where the caller's own value takes its place if there is one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date as Day  # `date` is a method here
from datetime import timedelta
from typing import Any

from unitower.render.language import SYLLABLES, Language
from unitower.render.typefaces import Split
from unitower.render.types import Claim

SLOT = re.compile(r"\{(\w+)\}")
REFERENCES = ("{A}{A}-{Y}-{N4}", "{N5}", "#{N6}", "{A}{N3}/{Y2}", "{Y}/{N3}", "{A}{A}{A} {N4}", "{N2}-{N4}-{A}", "No. {N4}")


@dataclass(kw_only=True)
class Content:
    """Supply of content for one page.

    split     the part of the language's names and sentences to draw from; None for all
    given     facts the caller wants stated, by name
    passages  running text of the caller's, used up before the language's own sentences
    facts     what has been stated so far, by name
    unseen    names of facts that the page shows without printing them as such (the maximum of a chart)
    """

    language: Language
    rng: random.Random
    split: Split | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    passages: Iterator[str] = field(default_factory=lambda: iter(()))
    facts: dict[str, str] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    claims: list[Claim] = field(default_factory=list)
    _decks: dict[str, list[Any]] = field(default_factory=dict)
    _day: Day = Day(2000, 1, 1)

    def __post_init__(self) -> None:
        card, rng = self.language.card, self.rng
        self._money: str = rng.choice(card["money"])
        self._date: str = rng.choice(card["dates"])
        native = card.get("digits")
        self._digits = str.maketrans("0123456789", native) if native and rng.random() < 0.4 else {}

    # facts

    def state(self, name: str, value: str, *, seen: bool = True) -> str:
        """The value the caller gave for that fact, else `value`; from now on a fact of the page."""
        value = self.given.get(name, value)
        self.facts[name] = value
        if not seen:
            self.unseen.add(name)
        return value

    def wants(self, name: str, chance: float) -> bool:
        """Whether the page shows an optional fact: by chance, and always where the caller gave it."""
        return self.rng.random() < chance or name in self.given

    # words

    def pick(self, name: str) -> Any:
        """An entry of a list of the language, no entry twice before all have been used."""
        deck = self._decks.get(name)
        if not deck:
            deck = self._decks[name] = list(self.language.entries(name, split=self.split))
            self.rng.shuffle(deck)
        return deck.pop()

    def label(self, name: str) -> str:
        """A label, such as "Invoice"."""
        return self.language.label(name)

    def brand(self) -> str:
        """An invented name."""
        syllables = self.language.card.get("syllables", SYLLABLES)
        name = "".join(self.rng.choice(syllables) for _ in range(self.rng.choice((2, 2, 3))))
        return name[0].upper() + name[1:]

    def latin_brand(self) -> str:
        """An invented name in lower-case Latin letters: of a package, a site, a mailbox."""
        return "".join(self.rng.choice(SYLLABLES) for _ in range(self.rng.choice((2, 3))))

    def person(self) -> str:
        return str(self.language.card.get("person", "{first} {last}")).format(first=self.pick("first"), last=self.pick("last"))

    def company(self) -> str:
        return self.filled(self.rng.choice(self.language.card["company"]))[0]

    def heading(self) -> str:
        return self.filled(self.rng.choice(self.language.card["heading"]))[0]

    # numbers

    def number(self, low: int = 2, high: int = 9800, *, decimals: int = 0) -> str:
        """A number between the two, small ones as likely as large ones."""
        value = low * (high / low) ** self.rng.random()
        return self.written(value, decimals=decimals)

    def written(self, value: float, *, decimals: int = 0) -> str:
        """A number as the page writes numbers."""
        return self.language.number(value, decimals=decimals).translate(self._digits)

    def money(self, value: float, *, decimals: int = 2) -> str:
        """An amount in the page's currency."""
        return self._money.format(self.written(value, decimals=decimals))

    def percent(self, value: float, *, decimals: int = 0) -> str:
        return str(self.language.card["percent"]).format(self.written(value, decimals=decimals))

    def year(self, low: int = 1962, high: int = 2026) -> str:
        return str(self.rng.randint(low, high)).translate(self._digits)

    def date(self, low: int = 1995, high: int = 2026) -> str:
        """A day between two years, as the page writes dates."""
        self._day = Day(self.rng.randint(low, high), self.rng.randint(1, 12), self.rng.randint(1, 28))
        return self._dated(self._day)

    def date_after(self, days: int) -> str:
        """The day so many days after the last one."""
        return self._dated(self._day + timedelta(days=days))

    def _dated(self, day: Day) -> str:
        month = self.language.card["months"][day.month - 1]
        text = self._date.format(d=day.day, dd=f"{day.day:02}", m=day.month, mm=f"{day.month:02}", month=month, year=day.year)
        return text.translate(self._digits)

    def digits(self, pattern: str) -> str:
        """A pattern with # replaced by digits and A by capital letters."""
        filled = "".join(
            self.rng.choice("0123456789") if c == "#" else self.rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") if c == "A" else c for c in pattern
        )
        return filled.translate(self._digits)

    def phone(self) -> str:
        return self.digits(self.rng.choice(self.language.card["phones"]))

    def postcode(self) -> str:
        return self.digits(self.rng.choice(self.language.card["postcodes"]))

    def reference(self, prefix: str = "") -> str:
        """A number of an invoice, a file, a customer: letters, digits and marks."""
        rng = self.rng
        parts = {"Y": str(rng.randint(2009, 2026)), "A": "", "Y2": str(rng.randint(9, 26)).zfill(2)}
        parts |= {f"N{n}": str(rng.randint(1, 10**n - 1)).zfill(n) for n in (2, 3, 4, 5, 6)}
        pattern = rng.choice(REFERENCES)
        return prefix + SLOT.sub(lambda m: rng.choice("ABCDEFGHKLMNPRSTVW") if m[1] == "A" else parts[m[1]], pattern)

    def mailbox(self) -> str:
        return f"{self.latin_brand()}@{self.latin_brand()}.example"

    def address(self, city: str | None = None) -> tuple[str, str]:
        """Street with house number, and postcode with city."""
        card = self.language.card
        house = str(self.rng.randint(1, 180)).translate(self._digits)
        street = str(card["street_line"]).format(street=self.pick("streets"), house=house)
        return street, str(card["city_line"]).format(postcode=self.postcode(), city=city or self.pick("cities"))

    # sentences

    def filled(self, template: str, /, **fixed: str) -> tuple[str, dict[str, str]]:
        """A template with its slots filled, and what they were filled with."""
        slots: dict[str, str] = dict(fixed)
        for name in dict.fromkeys(SLOT.findall(template)):
            if name not in slots:
                slots[name] = self._slot(name)
        return SLOT.sub(lambda match: slots[match[1]], template), slots

    def _slot(self, name: str) -> str:
        rng = self.rng
        if name in ("brand", "company", "person", "phone", "date", "year", "postcode"):
            return str(getattr(self, name)())
        if name == "number":
            return self.number(3, 9800)
        if name == "percent":
            return self.percent(rng.uniform(1, 88), decimals=rng.choice((0, 0, 1)))
        if name == "money":
            return self.money(round(120 * 4000 ** rng.random(), -1), decimals=0)
        if name == "month":
            return str(rng.choice(self.language.card["months"]))
        if name == "d":
            return str(rng.randint(1, 28)).translate(self._digits)
        lists = {
            "city": "cities",
            "city2": "cities",
            "thing": "things",
            "topic": "topics",
            "first": "first",
            "last": "last",
            "last2": "last",
        }
        return str(self.pick(lists[name]))

    def claim(self) -> str:
        """A statement of fact, which the page can then be asked about."""
        form = self.pick("claims")
        says, slots = self.filled(form["says"])
        claim = Claim(says=says, asks=self.filled(form["asks"], **slots)[0], answer=slots[form["answer"]])
        self.claims.append(claim)
        return claim.says

    def sentence(self) -> str:
        """A statement or a sentence that states nothing to ask about."""
        return self.claim() if self.rng.random() < 0.45 else self.filled(self.pick("sentences"))[0]

    def paragraph(self, sentences: int) -> str:
        """The caller's next passage, or so many sentences."""
        passage = next(self.passages, None)
        if passage is not None:
            return passage
        return self.joined(self.sentence() for _ in range(sentences))

    def joined(self, sentences: Iterable[str]) -> str:
        """Sentences one after the other, with the blank the language puts between."""
        return ("" if self.language.script in ("Hans", "Jpan") else " ").join(sentences)
