"""What a recipe is: files, a verdict, what to do with them, and the server they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from m1desk.recipes.planning import ClusterPlan, Verdict

Target = Literal["shell", "ray", "compose", "kubernetes", "production-stack", "slurm", "skypilot"]
"""Where a recipe runs: scripts (vLLM's own way over nodes, or Ray), or what manages a cluster."""

TARGETS: tuple[Target, ...] = get_args(Target)

Launcher = Literal["vllm", "module"]
"""`vllm serve`, or the same as a module of Python, where there is no such command."""


@dataclass(frozen=True, slots=True)
class RecipeOptions:
    """What the plan leaves open. Empty texts mean: found out at the start.

    Attributes:
        name: of the deployment; made of the model's name where it is empty.
        host: the name clients reach the server by; the certificate must be for it.
        port: of the reverse proxy.
        certificate, certificate_key: files in PEM form, for TLS; empty: tls/tls.crt, tls/tls.key
            beside the recipe.
        head_address: of node 0, as the other nodes reach it.
        interface: the network interface that leads to the other nodes, on every node the same.
        chat_template: a file on node 0 that replaces the model's own template.
        engine_port, group_port: vLLM's own port, on the loopback only; where its nodes meet.
        namespace: of Kubernetes; empty: the one that is set.
        partition, account, hours: of Slurm.
        launcher: how vLLM is started.
        arguments, environment: more of them for vLLM.
    """

    name: str = ""
    host: str = "localhost"
    port: int = 8443
    certificate: str = ""
    certificate_key: str = ""
    head_address: str = ""
    interface: str = ""
    chat_template: str = ""
    engine_port: int = 8000
    group_port: int = 29_501
    namespace: str = ""
    partition: str = ""
    account: str = ""
    hours: int = 24
    launcher: Launcher = "vllm"
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """One file; `name` is without folders. No file holds a secret."""

    name: str
    text: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class RemoteProposal:
    """The remote server that the recipe makes.

    Attributes:
        name: for people.
        base_url: without /v1.
        model: as the server calls it.
        context_tokens: its longest request.
        key_from: where its key is found, in words.
    """

    name: str
    base_url: str
    model: str
    context_tokens: int
    key_from: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """Files that run a model on a cluster.

    Attributes:
        files: empty where it does not fit.
        reasons: why it fits, or why not; whole sentences.
        notes: what to do with the files, in order, and what to know.
        remote: None where it does not fit.
    """

    plan: ClusterPlan
    target: Target
    verdict: Verdict
    files: tuple[RecipeFile, ...] = ()
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remote: RemoteProposal | None = None

    def file(self, name: str) -> RecipeFile:
        """The file of this name; raises KeyError."""
        found = next((one for one in self.files if one.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def to_json(self) -> dict[str, Any]:
        """What `m1desk recipe --json` prints (docs/recipes.md names the keys)."""
        layout = self.plan.layout
        fit = layout.fit if layout else None
        return {
            "model": self.plan.model.name,
            "cluster": self.plan.cluster.text,
            "target": self.target,
            "context_tokens": self.plan.wish.context_tokens,
            "verdict": self.verdict,
            "vllm_version": self.plan.version,
            "nodes": layout.nodes if layout else None,
            "gpus_per_node": layout.gpus_per_node if layout else None,
            "tensor_parallel": fit.tensor_parallel if fit else None,
            "pipeline_parallel": fit.pipeline_parallel if fit else None,
            "quantization": layout.quantization if layout else None,
            "weights_bytes_per_gpu": fit.weights_bytes if fit else None,
            "cache_tokens": fit.cache_tokens if fit else None,
            "reasons": list(self.reasons),
            "alternatives": list(self.plan.alternatives),
            "notes": list(self.notes),
            "files": [
                {"name": one.name, "executable": one.executable, "text": one.text}
                for one in self.files
            ],
            "remote": None
            if self.remote is None
            else {
                "name": self.remote.name,
                "base_url": self.remote.base_url,
                "model": self.remote.model,
                "context_tokens": self.remote.context_tokens,
                "key_from": self.remote.key_from,
            },
        }
