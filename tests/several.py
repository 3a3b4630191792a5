"""What tests run in several processes, and in one to compare."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny
import torch
from safetensors.torch import load_file, save_file

from segue import processes, rendezvous
from segue.causal.parents import Parents
from segue.cohort import Store
from segue.errors import Ended, InputError, RanksLost, exit_code
from segue.mechanisms.hvae import HVAEMechanism
from segue.training.batches import Batches
from segue.training.finetune import Constraint, CounterfactualFineTuning
from segue.training.guides import RegionGuide
from segue.training.loop import fit
from segue.training.objectives import Augmentation, Pretraining

TESTS = Path(__file__).parent
MOVED = {"rotate": 5.0, "shift": 0.03, "flip_axes": (1,), "contrast": 0.1, "brightness": 0.1, "noise": 0.05}


Task = dict[str, object]  # the name of a function below as "task", and its arguments


def start(world: int, folder: Path, *tasks: Task, strategy: str = "ddp", timeout: float = 60) -> subprocess.Popen:
    """Tasks, one after the other, in `world` processes."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    given = [str(folder), json.dumps(tasks, default=str), strategy, str(timeout)]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, *torchrun, str(TESTS / "several.py"), *given],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(world: int, folder: Path, *tasks: Task, **how: Any) -> None:
    """The same, to its end."""
    process = start(world, folder, *tasks, **how)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def last_word(world: int, folder: Path, *tasks: Task, **how: Any) -> str:
    """The one line that is left of what must fail."""
    process = start(world, folder, *tasks, **how)
    _, err = process.communicate(timeout=300)
    assert process.returncode != 0, err
    (line,) = [line for line in err.splitlines() if line.startswith("segue: ")]
    return line


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

    (folder / f"{processes.rank()}.json").write_text(json.dumps(rendezvous.alone(work)))


def refuse(folder: Path) -> None:
    """One process finds something wrong with what it was given, while the others wait for it."""
    if processes.rank() == 1:
        raise InputError("one.yaml: wrong here")
    rendezvous.alone(lambda: time.sleep(2))
    processes.of_main(torch.zeros(1))


def train(
    folder: Path,
    store: str = "",
    kind: str = "elbo",
    name: str = "run",
    steps: int = 20,
    batch_size: int = 6,
    lr: float = 1e-3,
    kill: str = "",
    hang: str = "",
) -> None:
    """Train a tiny image model and write its losses and weights; `kill` and `hang` happen at rank:step."""
    directory, cohort = folder / name, Store(Path(store))
    rendezvous.alone(lambda: directory.mkdir(exist_ok=True))
    objective, extras = make(kind, cohort)
    losses: dict[str, torch.Tensor] = {}
    calls = iter(range(1000))

    def fail(module: object, arguments: object) -> None:
        here = f"{processes.rank()}:{next(calls)}"
        if here == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if here == hang:
            time.sleep(600)

    def keep(module: object, arguments: object, answer: tuple) -> None:
        losses[str(len(losses))] = answer[0].detach()

    objective.register_forward_pre_hook(fail)
    objective.register_forward_hook(keep)
    batches = Batches(
        store=cohort, split="guide", batch_size=batch_size, seed=0, intensity=(-200.0, 800.0), extras=extras,
        rank=processes.rank(), world=processes.world(),
    )  # fmt: skip
    fitted = fit(
        objective, batches, directory=directory, steps=steps, lr=lr, title=kind, precision="no", checkpoint_every=5,
        clip=1.0,
    )  # fmt: skip
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
    "draw_and_combine": draw_and_combine, "outwait": outwait, "refuse": refuse, "train": train
}  # fmt: skip


def main() -> int:
    folder, tasks, strategy, timeout = sys.argv[1:]
    try:
        with rendezvous.joined(timeout=float(timeout), strategy="fsdp" if strategy == "fsdp" else "ddp"):
            for task in json.loads(tasks):
                TASKS[task.pop("task")](Path(folder), **task)
    except (RanksLost, InputError) as error:
        print(f"segue: {error}", file=sys.stderr)
        return exit_code(error)
    except Ended as error:
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
