"""What tests run in several processes, by torchrun or as forks, and in one process to compare."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import tiny
import torch
from children import CONTEXT, environments
from safetensors.torch import load_file, save_file

from segue import processes
from segue.causal.parents import Parents
from segue.cohort import Store
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity, PercentileRule
from segue.errors import InputError, exit_code
from segue.mechanisms.hvae import HVAEMechanism
from segue.training.batches import Batches
from segue.training.finetune import Constraint, CounterfactualFineTuning
from segue.training.guides import RegionGuide
from segue.training.loop import fit
from segue.training.objectives import Augmentation, Pretraining
from segue.training.state import TrainingSettings

TESTS = Path(__file__).parent
MOVED = {"rotate": 5.0, "shift": 0.03, "flip_axes": (1,), "contrast": 0.1, "brightness": 0.1, "noise": 0.05}
MOVED |= {"gamma": 0.3, "blur": 0.7, "rule": PercentileRule((1.0, 99.0))}


Task = dict[str, object]  # the name of a function below as "task", and its arguments


def run(
    world: int, folder: Path, *tasks: Task, timeout: float = 60, nodes: int = 1
) -> subprocess.CompletedProcess[str]:
    """Tasks, one after the other, in `world` processes of torchrun; how they ended.

    With `nodes` torchrun is started so often, as on so many machines, each of them with its part of the processes.
    """
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", str(world // nodes)]
    torchrun += ["--standalone"] if nodes == 1 else meeting(nodes)
    given = [str(folder), json.dumps(tasks, default=str), str(timeout)]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, *torchrun, str(TESTS / "several.py"), *given]
    env, pipe = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}, subprocess.PIPE
    started = [subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True) for _ in range(nodes)]
    try:
        said = [one.communicate(timeout=300) for one in started]
    finally:
        for one in started:
            one.kill()
    out, error = ("".join(parts) for parts in zip(*said, strict=True))
    return subprocess.CompletedProcess(command, max(abs(one.returncode) for one in started), out, error)


def meeting(nodes: int) -> list[str]:
    """Where the nodes meet: the options of docs/cluster.md, on this machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    at = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{port}", "--local-addr", "localhost"]
    return ["--nnodes", str(nodes), *at]


def succeed(world: int, folder: Path, *tasks: Task, timeout: float = 60) -> None:
    """The same in forks, which have imported everything; all must succeed."""
    given = [str(folder), json.dumps(tasks, default=str), str(timeout)]
    forks = [CONTEXT.Process(target=work, args=(one, given)) for one in environments(world)]
    for fork in forks:
        fork.start()
    for fork in forks:
        fork.join()
    assert [fork.exitcode for fork in forks] == [0] * world


def work(environment: dict[str, str], given: list[str]) -> None:
    """What a fork does."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.exit(main(given))


def draw_and_combine(folder: Path, total: int = 7) -> None:
    """Everything in `segue.processes`, on a batch that all processes know whole."""
    whole = torch.arange(2.0 * total).reshape(total, 2) ** 2
    here = whole[processes.rows(total, processes.rank(), processes.world())].clone().requires_grad_()
    with processes.sharing(total):
        torch.manual_seed(3)
        drawn = torch.cat([processes.rand(len(here), 2), processes.randn(len(here), 2)], dim=1)
        mean, gathered = processes.mean(here), processes.gather(here)
        (gradient,) = torch.autograd.grad((mean**3).sum() * processes.share(total), here)
    found = {"drawn": drawn, "mean": mean.detach()[None], "gathered": gathered, "gradient": gradient}
    found["averaged"] = torch.tensor([processes.averaged({"a": here.mean(), "b": mean[0]}, total)[k] for k in "ab"])
    found["main"] = processes.of_main(torch.tensor([float(processes.rank())]))
    save_file({k: v.contiguous() for k, v in found.items()}, folder / f"{processes.rank()}.safetensors")


def outwait(folder: Path, seconds: float) -> None:
    """The main process works for longer than a collective would wait; the others get what it found."""

    def work() -> dict[str, list[int]]:
        time.sleep(seconds)
        return {"found": [1, 2]}

    (folder / f"{processes.rank()}.json").write_text(json.dumps(processes.alone(work)))


def refuse(folder: Path) -> None:
    """The main process finds a mistake, while the others wait for it."""

    def work() -> None:
        raise InputError("one.yaml: wrong here")

    try:
        processes.alone(work)
    except BaseException as error:
        (folder / f"{processes.rank()}.txt").write_text(repr(error))
        raise


def leave(folder: Path) -> None:
    """The main process ends elsewhere, while the others wait for it."""
    if processes.is_main():
        raise InputError("two.yaml: wrong there")
    try:
        processes.alone(lambda: None)
    except BaseException as error:
        (folder / f"{processes.rank()}.txt").write_text(repr(error))
        raise


def train(
    folder: Path,
    store: str = "",
    kind: str = "elbo",
    name: str = "run",
    steps: int = 20,
    batch_size: int = 6,
    lr: float = 1e-3,
    kill: str = "",
) -> None:
    """Train a tiny image model and write its losses and weights; `kill`: the rank and step of a kill -9."""
    directory, cohort = folder / name, Store(Path(store))
    processes.alone(lambda: directory.mkdir(exist_ok=True))
    objective, extras = make(kind, cohort)
    losses: dict[str, torch.Tensor] = {}
    calls = iter(range(1000))

    def fail(module: object, arguments: object) -> None:
        if f"{processes.rank()}:{next(calls)}" == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    def keep(module: object, arguments: object, answer: tuple) -> None:
        losses[str(len(losses))] = answer[0].detach()

    objective.register_forward_pre_hook(fail)
    objective.register_forward_hook(keep)
    batches = Batches(
        store=cohort, split="guide", batch_size=batch_size, seed=0, extras=extras,
        grid=Grid(cohort.size, intensity=Intensity((-200.0, 800.0))), rank=processes.rank(), world=processes.world(),
    )  # fmt: skip
    settings = TrainingSettings(steps=steps, lr=lr, precision="no", checkpoint_every=5)
    fitted = fit(objective, batches, settings, directory=directory, title=kind)
    content = {"losses": processes.averaged(losses, batch_size) if losses else {}, "terms": fitted.terms}
    if processes.is_main():
        (directory / "fitted.json").write_text(json.dumps(content))
        save_file({k: v.clone() for k, v in objective.state_dict().items()}, directory / "weights.safetensors")


def outcome(folder: Path, name: str) -> tuple[dict[str, dict[str, float]], dict[str, torch.Tensor]]:
    """What `train` wrote: losses by step and terms, and weights."""
    content = json.loads((folder / name / "fitted.json").read_text())
    return content, load_file(folder / name / "weights.safetensors")


def make(kind: str, store: Store) -> tuple[Pretraining | CounterfactualFineTuning, dict[str, torch.Tensor]]:
    """An objective with everything on: augmentation, free bits, the Lagrangian, the region guide."""
    parents = Parents(segmentor=tiny.Tones(-0.2, 0.4), variables=tiny.variables("dim", "bright"))
    count = len(store)
    images = store.read(torch.arange(count).numpy())["image"] / 500 - 0.6
    areas, frames = parents.factual(images, torch.ones(count))
    parents.fit(areas)
    net = tiny.hvae(size=store.size, context=parents.context_channels("map"))
    mechanism = HVAEMechanism(model=net, parents=parents, conditioning="map", free_bits=0.5, beta_warmup=0.2)
    extras = {"parents": areas, "frames": frames, "pixel_area": torch.ones(count)}
    augment = Augmentation(**MOVED)
    if kind == "elbo":
        return Pretraining(mechanism, augment=augment), extras
    constraint = Constraint(bound=0.5, damping=1.0, rate=0.1, start=0.5)
    guide = RegionGuide(parents)
    return CounterfactualFineTuning(mechanism, guide, augment=augment, constraint=constraint), extras


TASKS: dict[str, Callable[..., None]] = {
    "draw_and_combine": draw_and_combine, "outwait": outwait, "refuse": refuse, "leave": leave, "train": train
}  # fmt: skip


def main(given: list[str]) -> int:
    folder, tasks, timeout = given
    try:
        with processes.joined(timeout=timedelta(seconds=float(timeout))):
            for task in json.loads(tasks):
                TASKS[task.pop("task")](Path(folder), **task)
    except InputError as error:
        print(f"segue: {error}", file=sys.stderr)
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
