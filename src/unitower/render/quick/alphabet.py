"""The characters a reader is taught, and the slots of a cell they are told apart by."""

from __future__ import annotations

CELL_PX = 28
"""Side of a merge cell: what one vector of the tower stands for."""

SLOTS = (3, 6)
"""Rows and columns of a cell's slots, 9.3 x 4.7 px each: a line of the smallest print is a slot high, a narrow letter of it a slot wide."""

ASCII = "".join(map(chr, range(33, 127)))
WESTERN = "äöüßéèêàçñóáíåø"
CENTRAL = "ąćęłńśźżěščřžůőű"
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"
GREEK = "αβγδεζηθικλμνξοπρσςτυφχψω"
ACCENTED = (
    "äöüßÄÖÜéèêëàâáãåæçîïíìñôóòõøœùúûÉÈÀÇÑÓÁÍÚßąćęłńśźżĄĆĘŁŃŚŹŻěščřžýůďťňĚŠČŘŽÝÁÍőűŐŰāēīūğışŞİĞțșȚȘăâîÂÎ"
    "ёЁіїєґІЇЄҐάέήίόύώϊϋΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏ"
)
SIGNS = "–—“”„‚‘’«»‹›…•·§°©®±×€£¿¡²³µ½→№"

ALPHABET = "".join(dict.fromkeys(ASCII + SIGNS + CYRILLIC + GREEK + ACCENTED))
INDEX = {character: place for place, character in enumerate(ALPHABET, start=1)}
"""Character -> its label; 0 is a slot with nothing in it, or with a character of no alphabet here."""

SCRIPTS = {"western": ASCII + WESTERN, "central": ASCII + WESTERN + CENTRAL, "cyrillic": ASCII + CYRILLIC, "greek": ASCII + GREEK}
"""What a font must have to write a script."""

WRITES = {
    "en": "western", "de": "western", "fr": "western", "es": "western", "it": "western", "pt": "western", "nl": "western", "sv": "western",
    "da": "western", "fi": "western", "pl": "central", "cs": "central", "hu": "central", "ro": "central", "tr": "central", "ru": "cyrillic",
    "uk": "cyrillic", "el": "greek",
}  # fmt: skip
"""Language -> the script it is written in."""
