"""The structural causal model of the scalar variables: a graph, and a mechanism for each variable.

It answers the three kinds of question of Pearl's ladder of causation: observation (`log_prob`, `sample`), intervention
(`sample(do=...)`) and counterfactual (`counterfactual`, `effects`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from huggingface_hub import PyTorchModelHubMixin
from jaxtyping import Float
from torch import Tensor, nn

from segue.causal.graph import causal_graph, parents_of, sorted_names
from segue.causal.scalar_mechanism import SCALAR_MECHANISMS, Categorical, Mechanism, ScalarKind
from segue.errors import InputError

VariableValues = Float[Tensor, "batch variable"]
Interventions = Mapping[str, Tensor | float]
"""By variable, the value that it is set to: one per image, or one for all."""


class PathEffects(NamedTuple):
    """The effects of an intervention on each variable, in its unit, (batch, variable).

    total: along all paths. direct: along the edges from the intervened variables only, with all other parents at their
    factual values. indirect: total - direct (natural effects, Pearl, UAI 2001; here of each individual).

    >>> zero = torch.zeros(2, 3)
    >>> PathEffects(total=zero, direct=zero, indirect=zero).total.shape
    torch.Size([2, 3])
    """

    total: VariableValues
    direct: VariableValues
    indirect: VariableValues


class SCM(nn.Module, PyTorchModelHubMixin):
    """v_i = f_i(pa_i, u_i) for every variable, in the order of `names`; all u_i independent.

    Args:
        names: of all variables. graph: by variable, its parents; those left out have none.
        kinds: by variable, its mechanism's `kind` ("continuous", "censored" with `limit`, "categorical" with `levels`).
        hidden: layers of each mechanism's networks. bins: of its spline; 0 makes it Gaussian.

    Raises:
        InputError: the graph has unknown names or a cycle.

    >>> kinds = {"age": {"kind": "continuous"}, "plaque": {"kind": "censored", "limit": 0.0}}
    >>> scm = SCM(names=["age", "plaque"], graph={"plaque": ["age"]}, kinds=kinds).requires_grad_(False)
    >>> factual = torch.tensor([[0.3, 0.8], [-0.5, 0.0]])
    >>> scm.counterfactual(factual, {"plaque": 1.0})  # age is not a descendant of plaque: it stays
    tensor([[ 0.3000,  1.0000],
            [-0.5000,  1.0000]])
    >>> scm.effects(factual, {"age": 1.0}).direct.shape, scm.sample(5, do={"age": 1.0}).shape
    (torch.Size([2, 2]), torch.Size([5, 2]))
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        graph: Mapping[str, Sequence[str]],
        kinds: Mapping[str, Mapping[str, Any]],
        hidden: Sequence[int] = (32, 32),
        bins: int = 8,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.graph = causal_graph(graph, self.names)
        self.order, self.parents = sorted_names(self.graph), parents_of(self.graph)
        columns = {name: len(kinds[name]["levels"]) if "levels" in kinds[name] else 1 for name in self.names}
        self.mechanisms = nn.ModuleList(
            self._make(sum(columns[parent] for parent in self.parents[name]), hidden=hidden, bins=bins, **kinds[name])
            for name in self.names
        )

    @staticmethod
    def _make(context: int, *, kind: ScalarKind, **settings: Any) -> Mechanism:
        return SCALAR_MECHANISMS[kind](context, **settings)

    def mechanism(self, name: str) -> Mechanism:
        return cast(Mechanism, self.mechanisms[self.names.index(name)])

    def check(self, name: str, values: Tensor) -> None:
        """Refuse a value that a categorical variable does not have.

        Raises:
            InputError: it is not one of its levels.
        """
        mechanism = self.mechanism(name)
        if isinstance(mechanism, Categorical):
            nearest = mechanism.levels[mechanism.index(values.reshape(-1).to(mechanism.levels))]
            if wrong := [float(v) for v in values.reshape(-1)[nearest != values.reshape(-1).to(nearest)]]:
                known = ", ".join(f"{level:g}" for level in mechanism.levels.tolist())
                raise InputError(f"{name} = {wrong[0]:g}: it is categorical; choose from {known}")

    def context(self, name: str, values: Mapping[str, Tensor]) -> Float[Tensor, "batch parent"]:
        """The encoded parents of a variable: the input of its mechanism."""
        encoded = [self.mechanism(parent).encode(values[parent]) for parent in self.parents[name]]
        first = next(iter(values.values()))
        return torch.cat(encoded, dim=1) if encoded else first.new_zeros(len(first), 0)

    def log_prob(self, values: VariableValues) -> VariableValues:
        """log p(v_i | pa_i) by variable; the sum over variables is the joint."""
        known = self.by_name(values)
        columns = [self.mechanism(name).log_prob(known[name], self.context(name, known)) for name in self.names]
        return torch.stack(columns, dim=1)

    def abduct(self, values: VariableValues, *, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """The noise of each variable, (batch, noises).

        Where the values do not determine it (see `scalar_mechanism`), it is the posterior's median, or with a
        `generator` a draw from the posterior.
        """
        known = self.by_name(values)
        noise = {}
        for name in self.names:
            mechanism = self.mechanism(name)
            level: float | Tensor = 0.5
            if generator is not None:
                level = torch.rand(len(values), mechanism.noises, generator=generator).to(values)
            noise[name] = mechanism.abduct(known[name], self.context(name, known), level)
        return noise

    def predict(
        self, noise: Mapping[str, Tensor], do: Interventions | None = None, factual: VariableValues | None = None
    ) -> VariableValues:
        """All variables from their noise, those of `do` set.

        Given `factual`, the values that the noise was abducted from, a variable whose parents have not changed keeps
        exactly its factual value.
        """
        known = {} if factual is None else self.by_name(factual)
        first = next(iter(noise.values()))
        values: dict[str, Tensor] = {}
        for name in self.order:
            if do is not None and name in do:
                values[name] = torch.as_tensor(do[name]).to(first).expand(len(first))
                continue
            context = self.context(name, values) if self.parents[name] else first.new_zeros(len(first), 0)
            values[name] = self.mechanism(name).predict(noise[name], context)
            if known:
                values[name] = torch.where(self.changed(name, values, known), values[name], known[name])
        return torch.stack([values[name] for name in self.names], dim=1)

    def changed(self, name: str, values: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> Tensor:
        """Whether any parent differs from its factual value, (batch,)."""
        still = torch.zeros_like(known[name], dtype=torch.bool)
        for parent in self.parents[name]:
            still = still | (values[parent] != known[parent])
        return still

    def counterfactual(
        self,
        factual: VariableValues,
        do: Interventions,
        *,
        hold: Collection[str] = (),
        generator: torch.Generator | None = None,
    ) -> VariableValues:
        """Abduction, action, prediction: the variables of the same individuals under `do`.

        Args:
            hold: descendants that keep their factual value: no effect passes through them.
            generator: to draw noise that the facts do not determine, instead of taking its median.
        """
        held = {name: factual[:, self.names.index(name)] for name in hold if name not in do}
        noise = self.abduct(factual, generator=generator)
        return self.predict(noise, {**held, **do}, factual)

    def effects(
        self, factual: VariableValues, do: Interventions, *, generator: torch.Generator | None = None
    ) -> PathEffects:
        """The total, direct and indirect effect of `do` on each variable of each individual."""
        noise, known = self.abduct(factual, generator=generator), self.by_name(factual)
        total = self.predict(noise, do, factual) - factual
        direct = torch.zeros_like(factual)
        alone = known | {name: torch.as_tensor(value).to(factual).expand(len(factual)) for name, value in do.items()}
        for i, name in enumerate(self.names):
            if name in do:
                direct[:, i] = alone[name] - known[name]
            elif any(parent in do for parent in self.parents[name]):
                value = self.mechanism(name).predict(noise[name], self.context(name, alone))
                direct[:, i] = torch.where(self.changed(name, alone, known), value - known[name], 0.0)
        return PathEffects(total, direct, total - direct)

    def sample(self, count: int, *, do: Interventions | None = None, seed: int = 0) -> VariableValues:
        """A population of `count` individuals from the model, under `do` if given."""
        generator = torch.Generator().manual_seed(seed)
        device = next(self.buffers()).device
        noise = {name: self.mechanism(name).draw(count, generator).to(device) for name in self.names}
        return self.predict(noise, do)

    def by_name(self, values: VariableValues) -> dict[str, Tensor]:
        return dict(zip(self.names, values.unbind(1), strict=True))
