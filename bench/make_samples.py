"""Draw the sample documents that ship with unitower, the same bytes in every run on the same fonts and libraries.

    python bench/make_samples.py                    all drawn samples into src/unitower/samples/files
    python bench/make_samples.py --only report      those whose path contains a word
    python bench/make_samples.py --look /tmp/pages  besides, every page as a PNG, to look at

Needs reportlab, matplotlib, Pillow with raqm, and the Debian font packages named in bench/samples/fonts.py. Texts and source
code among the samples are not drawn: they are written by hand where they lie.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pypdfium2
from PIL import Image, ImageSequence
from samples import brueckwalde, eastern, saint_aubrac, southern, tarnbeck_paper, tarnbeck_report, tarnbeck_scans, tarnbeck_slides

FILES = Path(__file__).resolve().parents[1] / "src/unitower/samples/files"

DOCUMENTS: dict[str, Callable[[], bytes]] = {
    **tarnbeck_report.DOCUMENTS,
    **tarnbeck_paper.DOCUMENTS,
    **tarnbeck_slides.DOCUMENTS,
    **tarnbeck_scans.DOCUMENTS,
    **brueckwalde.DOCUMENTS,
    **saint_aubrac.DOCUMENTS,
    **southern.DOCUMENTS,
    **eastern.DOCUMENTS,
}


def pages(path: Path, *, dpi: int) -> list[Image.Image]:
    """What a person sees of a drawn sample."""
    if path.suffix == ".pdf":
        with pypdfium2.PdfDocument(path) as document:
            return [page.render(scale=dpi / 72).to_pil() for page in document]
    with Image.open(path) as picture:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(picture)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the sample documents of the demo.")
    parser.add_argument("--only", default="", help="draw only what has this in its path")
    parser.add_argument("--look", type=Path, help="folder for pictures of every page")
    options = parser.parse_args()

    for name, draw in DOCUMENTS.items():
        if options.only not in name:
            continue
        path = FILES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw())
        print(f"{path.stat().st_size / 1000:8.1f} kB  {name}")
        if options.look:
            options.look.mkdir(parents=True, exist_ok=True)
            for number, picture in enumerate(pages(path, dpi=80), start=1):
                picture.save(options.look / f"{name.replace('/', '_')}-{number}.png")

    every = [path for path in FILES.rglob("*") if path.is_file()]
    print(f"{sum(path.stat().st_size for path in every) / 1e6:8.2f} MB  in {len(every)} files, texts and code included")


if __name__ == "__main__":
    main()
