"""The browser of the tests. Without Chromium they are skipped, or fail where SEGUE_REQUIRE_BROWSER is set."""

import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "SEGUE_REQUIRE_BROWSER" not in os.environ, reason="no Chromium: apt-get install chromium"
)

AXE = Path(__file__).parent / "axe" / "axe.min.js"
SETTLED = """() => Promise.all(
  document.getAnimations().filter((one) => one instanceof CSSTransition)
    .map((one) => one.finished.catch(() => null)))"""
GRAVE = ("critical", "serious", "moderate")


def axe_findings(page):
    """(rule, impact, the first elements) of what axe-core finds, once no colour is on its way to another."""
    page.evaluate(SETTLED)
    page.evaluate(AXE.read_text())
    violations = page.evaluate("async () => (await axe.run()).violations")
    return [
        (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in violations
        if one["impact"] in GRAVE
    ]
