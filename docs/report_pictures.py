"""The pictures of docs/report.md: python docs/report_pictures.py REPORT OTHER (two files report.html)."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent


def main(wide: str, narrow: str) -> None:
    """report.png (1280 pixels wide) and report-390.png: what is seen first, the whole verdict."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for report, width, name in ((wide, 1280, "report.png"), (narrow, 390, "report-390.png")):
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.goto(Path(report).resolve().as_uri())
            end = page.get_by_role("navigation").bounding_box()
            assert end is not None
            clip = {"x": 0, "y": 0, "width": width, "height": end["y"] + end["height"] + 8}
            page.screenshot(path=HERE / name, clip=clip, full_page=True)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
