"""The browser of the tests. Without Chromium they are skipped, or fail where SEGUE_REQUIRE_BROWSER is set."""

import os
import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "SEGUE_REQUIRE_BROWSER" not in os.environ, reason="no Chromium: apt-get install chromium"
)
