"""HTML to PDF by a headless Chromium, through Playwright: nothing of the network, no scripts, no files but those beside the page.

The browser is the one that UNITOWER_CHROMIUM names, else one that is installed (chromium, google-chrome), else Playwright's own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unitower.errors import UnitowerError

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab
    from playwright.sync_api import Route

VARIABLE = "UNITOWER_CHROMIUM"
INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

LOADING_S = 30

ARGUMENTS = ("--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


class NoBrowser(UnitowerError):
    """There is no Playwright or no Chromium here: pages of HTML and Markdown cannot be drawn, all others can."""


def executable() -> str | None:
    """Path of the browser to use; None for Playwright's own. NoBrowser where the variable names none."""
    named = os.environ.get(VARIABLE, "")
    if named and not shutil.which(named):
        raise NoBrowser(f"{VARIABLE} is {named!r}, which is no program.")
    return named or next((path for name in INSTALLED if (path := shutil.which(name))), None)


@contextmanager
def printer(*, width_px: int, height_px: int) -> Iterator[Printer]:
    """A browser that prints pages of this size. NoBrowser tells what is missing."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise NoBrowser("HTML and Markdown are drawn by Playwright: pip install 'unitower[bench]', and a Chromium.") from error

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        except Error as error:
            line = str(error).strip().splitlines()[0]
            raise NoBrowser(
                f"no Chromium could be started ({line}). Install one (`apt install chromium`, or `playwright install chromium`), "
                f"or name it: {VARIABLE}=/path/to/chromium."
            ) from error
        try:
            context = browser.new_context(java_script_enabled=False, offline=True, viewport={"width": width_px, "height": height_px})
            context.set_default_timeout(LOADING_S * 1000)
            yield Printer(context.new_page(), width_px=width_px, height_px=height_px)
        finally:
            browser.close()


class Printer:
    """A tab that prints."""

    def __init__(self, tab: Tab, *, width_px: int, height_px: int) -> None:
        self._tab, self._size = tab, (width_px, height_px)
        self._page = self._folder = Path()
        tab.route("**/*", self._let_through)

    def print(self, page: Path, *, to: Path, beside: Path) -> None:
        """Print an HTML file to a PDF, with backgrounds, in pages of the printer's size. UnitowerError if it cannot be opened.

        beside  the folder from which it may take pictures and styles
        """
        from playwright.sync_api import Error

        self._page, self._folder = page.resolve(), beside.resolve()
        try:
            self._tab.goto(page.resolve().as_uri(), wait_until="load")
            self._tab.emulate_media(media="screen")
            width, height = self._size
            self._tab.pdf(path=str(to), width=f"{width}px", height=f"{height}px", print_background=True)
        except Error as error:
            raise UnitowerError(f"{page}: the browser cannot print it ({str(error).strip().splitlines()[0]}).") from error

    def _let_through(self, route: Route) -> None:
        """Only what lies beside the page or beneath that folder, and what the page carries in itself."""
        from urllib.parse import unquote, urlsplit

        address = urlsplit(route.request.url)
        file = Path(unquote(address.path)).resolve() if address.scheme == "file" else None
        if (file and (file == self._page or file.is_relative_to(self._folder))) or address.scheme == "data":
            route.continue_()
        else:
            route.abort()
