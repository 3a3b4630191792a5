"""The pictures of docs/explorer.md, taken from the explorer of a trained run: make screenshots."""

import shutil
import socket
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from segue.explorer.models import explored
from segue.explorer.serve import serve

HERE = Path(__file__).parent


def main(run: str) -> None:
    """explorer.png, explorer-methods.png, explorer-dark.png (390 pixels wide), explorer-sweep.png."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, close = serve(explored(run), port=port)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = asked(browser.new_page(viewport={"width": 1280, "height": 800}), address)
            save(page.screenshot(), "explorer.png")
            for method in ("No-CFT", "Pos-Seg-CFT"):
                page.get_by_label(method).check()
                page.get_by_alt_text(f"Counterfactual by {method}").wait_for()
            page.get_by_label("Segmentation outlines").check()
            page.mouse.move(0, 0)
            settled(page)
            save(page.screenshot(), "explorer-methods.png")
            page.get_by_role("button", name="Sweep one variable").click()
            page.get_by_role("button", name="Sweep", exact=True).click()
            page.locator(".sg-curve").wait_for()
            save(page.locator(".sg-strip").screenshot(), "explorer-sweep.png")
            narrow = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
            asked(narrow, address).locator("[data-name='noncalcified_plaque@mid']").scroll_into_view_if_needed()
            save(narrow.screenshot(), "explorer-dark.png")
            browser.close()
    finally:
        close()


def asked(page: Page, address: str) -> Page:
    """The first image, with half as much noncalcified plaque again in the middle."""
    page.goto(address)
    page.get_by_label("Preset").select_option(label="+50% noncalcified plaque, mid")
    page.locator("tr.sg-asked").wait_for()
    page.mouse.move(0, 0)
    settled(page)
    return page


def settled(page: Page) -> None:
    """Until it no longer computes."""
    page.wait_for_function("!document.documentElement.dataset.sgBusy")


def save(screenshot: bytes, name: str) -> None:
    (HERE / name).write_bytes(screenshot)  # all its colours: a palette would paint faint differences otherwise


if __name__ == "__main__":
    main(sys.argv[1])
