"""Write the site: `python -m docs.site --out build/site`."""

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from docs.site.links import broken_links, foreign_files
from docs.site.pages import write_pages
from docs.site.project import DOCS, REPOSITORY, ROOT


def build(out: Path, *, tutorials: bool = True) -> Path:
    """Write the pages to `out`/pages and the site to `out`/html, and check its links.

    Raises:
        RuntimeError: zensical warned, or a link leads nowhere.
    """
    shutil.rmtree(out, ignore_errors=True)
    (out / "pages").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work:
        write_pages(out / "pages", work=Path(work), tutorials=tutorials)
    settings = (DOCS / "site" / "zensical.toml").read_text().replace("REPOSITORY", REPOSITORY)
    (out / "zensical.toml").write_text(settings)
    zensical(out)
    site = out / "html"
    if wrong := [*broken_links(site), *foreign_files(site)]:
        raise RuntimeError("broken links, or files of other machines:\n" + "\n".join(wrong))
    return site


def zensical(folder: Path) -> None:
    """Build the site of a folder; a warning is an error."""
    program = Path(sysconfig.get_path("scripts")) / "zensical"
    done = subprocess.run([program, "build", "--strict", "--clean"], cwd=folder, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode or "warning" in said.lower():
        raise RuntimeError(f"zensical: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--no-tutorials", action="store_true", help="do not run the tutorials")
    options = parser.parse_args()
    try:
        print(build(options.out, tutorials=not options.no_tutorials) / "index.html")
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
