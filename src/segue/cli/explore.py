"""`segue explore MODEL`"""

import logging
import signal
import time
from pathlib import Path

from segue.cli.arguments import make_parser, parse_options


def explore_command(rest: list[str]) -> None:
    """Serve the explorer until it is stopped."""
    parser = make_parser("explore")
    parser.add_argument("model", type=str, help="a run (runs/<study>), an exported folder or a shipped model")
    parser.add_argument("--cohort", type=Path | None, default=None, help="images to choose from: a store or a folder")
    parser.add_argument("--methods", type=list[str], default=[], help="keys of metrics.json; default: all")
    parser.add_argument("--host", type=str, default="127.0.0.1", help="other machines can connect only with --auth")
    parser.add_argument("--port", type=int, default=7860, help="0: any free port")
    parser.add_argument("--names", type=list[str], default=[], help="more names under which browsers reach the page")
    parser.add_argument("--auth", type=Path | None, default=None, help="file with user:password lines, mode 600")
    options = parse_options(parser, rest)
    from segue.explorer.serve import check_reach, read_users

    check_reach(options.host, options.auth)
    users = read_users(options.auth) if options.auth is not None else []
    from segue.explorer.opening import bracketed, opening

    logging.basicConfig(format="%(asctime)s %(message)s")
    for number in {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as with nohup
            signal.signal(number, end_server)
    with opening(options.host, options.port) as page:
        port = page.server_port
        print(f"http://{bracketed(options.host)}:{port}/ shows how far it is", flush=True)
        page.say("Importing torch, MONAI and gradio")
        from segue.explorer.lean_gradio import pause_collecting, settle

        pause_collecting()
        from segue.explorer.models import explored
        from segue.explorer.serve import prepared, serve_page

        page.say("Opening the model", options.model)
        opened = explored(options.model, methods=options.methods, cohort=options.cohort)
        page.say("Building the page")
        ready = prepared(opened)
        settle()
    address, close = serve_page(ready, host=options.host, port=port, users=users, names=options.names)
    print(f"{address}  (stop with Ctrl-C)", flush=True)
    try:
        while True:
            time.sleep(60)  # which Ctrl-C always ends; polars' handler of it lets a wait for a lock go on
    finally:
        close()


def end_server(number: int, frame: object) -> None:
    """End as after Ctrl-C, so that uploads are deleted; the exit code names the signal."""
    raise SystemExit(128 + number)
