"""The command line: one file for each command; `main` runs the one that is named."""

from segue.cli.main import main

__all__ = ["main"]
