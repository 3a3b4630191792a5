"""`segue explore`: parse, call, print."""

import threading
from pathlib import Path

from jsonargparse import ArgumentParser


def explore_command(rest: list[str]) -> None:
    """Serve the explorer until it is stopped."""
    from segue.cli import parse

    parser = ArgumentParser(exit_on_error=False, prog="segue explore")
    parser.add_argument("model", type=str, help="a run, runs/<study>, an exported folder or a shipped model")
    parser.add_argument("--cohort", type=Path | None, default=None, help="images to choose from: a store or a folder")
    parser.add_argument("--methods", type=list[str], default=[], help="keys of metrics.json; all that are trained")
    parser.add_argument("--host", type=str, default="127.0.0.1", help="beyond this machine only with --auth")
    parser.add_argument("--port", type=int, default=7860, help="0 for any that is free")
    parser.add_argument("--auth", type=Path | None, default=None, help="file of user:password lines, mode 600")
    options = parse(parser, rest)
    from segue.explorer.serve import check_reach, read_users, serve

    check_reach(options.host, options.auth)
    users = read_users(options.auth) if options.auth is not None else []
    from segue.explorer.models import explored

    opened = explored(options.model, methods=options.methods, cohort=options.cohort)
    address, close = serve(opened, host=options.host, port=options.port, users=users)
    print(f"{address}  (Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    finally:
        close()
