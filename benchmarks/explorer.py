"""The explorer as a user feels it: from a slider's release to the new picture in a browser; the server's memory."""

import multiprocessing
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, cast

import numpy as np
import psutil
import torch
from torch import nn

from benchmarks.record import Findings, Row, Statement, run
from benchmarks.record import together as findings
from benchmarks.requests import model_of
from benchmarks.timing import spread
from benchmarks.workload import Networks, the_study, untrained_segmentor
from segue.cohort.case import Case
from segue.errors import InputError
from segue.explorer.models import Explored
from segue.explorer.serve import serve
from segue.progress import track

FULL = {"rounds": 60, "warmup": 5, "users": 4, "requests": 1000, "size": (48, 144), "threads": 2}
QUICK = FULL | {"rounds": 20, "requests": 100}

RELEASE = """async ([label, value]) => {
  const slider = document.querySelector(`input[type=range][aria-label="${label}"]`);
  const told = () => document.querySelector('#sg-shown .sg-request').textContent;
  const before = told(), began = performance.now();
  slider.value = value;
  for (const kind of ['input', 'change']) slider.dispatchEvent(new Event(kind, { bubbles: true }));
  await new Promise((done) => {
    const observer = new MutationObserver(() => { if (told() !== before) { observer.disconnect(); done(); } });
    observer.observe(document.querySelector('#sg-shown'), { subtree: true, childList: true, characterData: true });
  });
  await Promise.all([...document.querySelectorAll('#sg-shown img')].map((image) => image.decode()));
  await new Promise(requestAnimationFrame);
  return (performance.now() - began) / 1000;
}"""


def measure(
    *, rounds: int, warmup: int, users: int, requests: int, size: tuple[int, int], threads: int
) -> Findings:
    """Release to picture, alone and with others, and what the server's memory does over many requests.

    With networks of the default size, which has the target, and of the phantom's study, which ships (and whose memory
    is followed); the latter also with the refinements of segue's own method: corrections, an ensemble, blur.
    """
    one = partial(felt, rounds=rounds, warmup=warmup, users=users, size=size, threads=threads)
    plain = one("default", requests=0), one("the study's", requests=requests)
    return findings([*plain, one("the study's, segue's method", requests=0)])


def felt(
    networks: Networks, *, rounds: int, warmup: int, users: int, requests: int, size: tuple[int, int], threads: int
) -> Findings:
    """One kind of networks."""
    with served(networks, size, threads) as (address, server), pages(address, users) as opened:
        label = opened[0].locator(".sg-range").nth(4).get_attribute("aria-label")
        values = values_of(opened[0], label)
        for _ in range(warmup):
            for page in opened:
                page.evaluate(RELEASE, [label, next(values)])
        alone = [
            opened[0].evaluate(RELEASE, [label, next(values)])
            for _ in track(range(rounds), total=rounds, title="alone")
        ]
        shared = together(opened, label, values, rounds)
        before = server.memory_info().rss / 2**20
        for _ in track(range(requests), total=requests, title="memory"):
            opened[0].evaluate(RELEASE, [label, next(values)])
        after = server.memory_info().rss / 2**20
    rows: list[Row] = [
        {"networks": networks, "work": "one user", "requests": len(alone), **tail(alone)},
        {"networks": networks, "work": f"{users} users at once", "requests": len(shared), **tail(shared)},
    ]
    growth = [Statement(f"server's memory after {requests} requests more, MB", after - before)] if requests else []
    told = f"milliseconds from slider to picture, median, {networks} networks"
    return Findings(rows, [Statement(told, 1000 * float(np.median(alone)))], growth)


def tail(seconds: Sequence[float]) -> dict[str, float]:
    """Median, quartiles, and what one in twenty exceeds."""
    times = np.array(seconds)
    return {**spread(times), "seconds_95": float(np.quantile(times, 0.95))}


def values_of(page: Any, label: str) -> Iterator[float]:
    """Values along a slider that never repeat one after another."""
    slider = page.get_by_label(label, exact=True)
    low, high, step = (float(slider.get_attribute(name)) for name in ("min", "max", "step"))
    places = np.arange(1, int((high - low) / step))
    order = np.random.default_rng(0).permutation(places)
    while True:
        yield from (float(low + step * place) for place in order)


def together(opened: Sequence[Any], label: str, values: Iterator[float], rounds: int) -> list[float]:
    """All users release at once, again and again: each page times itself."""
    start = f"""([label, value]) => {{ window.took = ({RELEASE})([label, value]); }}"""
    found = []
    for _ in track(range(rounds), total=rounds, title="together"):
        for page in opened:
            page.evaluate(start, [label, next(values)])
        found += [page.evaluate("window.took") for page in opened]
    return found


@contextmanager
def in_browser() -> Iterator[Any]:
    """A browser, closed in the end."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise InputError("no Chromium is found: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def pages(address: str, users: int) -> Iterator[list[Any]]:
    """So many users' pages in one browser, each with an image of its own."""
    with in_browser() as browser:
        opened = []
        for user in range(users):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(address)
            page.get_by_role("button", name=f"Choose image {user}", exact=True).click()
            page.get_by_alt_text(f"Factual image, image {user}").wait_for()
            opened.append(page)
        yield opened


@contextmanager
def served(networks: Networks, size: tuple[int, int], threads: int) -> Iterator[tuple[str, psutil.Process]]:
    """The explorer in a process of its own."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=serve_here, args=(theirs, networks, size, threads), daemon=True)
    process.start()
    try:
        yield mine.recv(), psutil.Process(process.pid)
    finally:
        mine.send("end")
        process.join(20)


def serve_here(pipe: Connection, networks: Networks, size: tuple[int, int], threads: int) -> None:
    """Serve untrained networks, with a judge, until told to end."""
    torch.set_num_threads(threads)
    address, close = serve(untrained(networks, size), port=free_port())
    pipe.send(address)
    pipe.recv()
    close()


def free_port() -> int:
    """A port that nothing uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def untrained(networks: Networks, size: tuple[int, int]) -> Explored:
    """The phantom's study at this size. Fresh heads are zero maps, so that nothing would change: they are drawn."""
    torch.manual_seed(0)
    model, cases = model_of("shipped", 8, size, networks)
    with torch.no_grad():
        for parameter in cast(nn.Module, model.mechanism).parameters():
            if not bool(parameter.any()):
                parameter.normal_(0, 0.02)
    judge = untrained_segmentor(the_study().judge)
    return Explored(
        name="benchmark", opened="", models={"pos_seg_cft": model}, judge=judge, source=Memory(cases)
    )


class Memory:
    """A cohort in memory."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases, self.ids = cases, [f"image {i}" for i in range(len(cases))]

    def read(self, index: int) -> Case:
        case = self.cases[index]
        return Case(self.ids[index], case.image, case.spacing, case.affine)

    def identity(self) -> list[str]:
        return self.ids


if __name__ == "__main__":
    run("explorer", measure, full=FULL, quick=QUICK)
