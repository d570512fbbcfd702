"""What to do with the files of a recipe, in order, and what to know about the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from m1desk.recipes.engine import layout_of, runs_own_code
from m1desk.recipes.kubernetes import secret_names
from m1desk.recipes.planning import ClusterPlan
from m1desk.recipes.scripts import TLS_CERTIFICATE, TLS_KEY, deployment_name
from m1desk.recipes.texts import sh
from m1desk.recipes.values import RecipeFile, RecipeOptions, Target

_Steps = Callable[[ClusterPlan, RecipeOptions], Iterator[str]]


def notes_of(plan: ClusterPlan, target: Target, options: RecipeOptions) -> tuple[str, ...]:
    """The steps first, then what to know; each a sentence or two, commands in backquotes."""
    return (*_STEPS[target](plan, options), *_to_know(plan, target, options))


def readme(notes: Sequence[str], reasons: Sequence[str]) -> RecipeFile:
    """The same as a file beside the others."""
    lines = ["# A model on a cluster", "", "Written by M1 Desk.", "", *reasons, ""]
    lines += [f"{number}. {note}" for number, note in enumerate(notes, start=1)]
    return RecipeFile("README.md", "\n".join(lines) + "\n")


def _shell_steps(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    nodes = layout_of(plan).nodes
    yield _same_folder(nodes)
    yield f"`./new-keys.sh` makes the key{', on node 0 only' if nodes > 1 else ''}."
    yield from _serve_steps(nodes, options)


def _ray_steps(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    nodes = layout_of(plan).nodes
    yield _same_folder(nodes)
    yield (
        "`./new-keys.sh` makes the keys on node 0; copy keys.env to the other nodes, because all "
        "must have the same Ray token."
    )
    yield from _serve_steps(nodes, options, always=True)


def _serve_steps(nodes: int, options: RecipeOptions, *, always: bool = False) -> Iterator[str]:
    if nodes > 1 or always:
        head = options.head_address or "ADDRESS"
        yield (
            f"`./serve.sh 0 {head}` on node 0, and `./serve.sh 1 {head}` and so on (up to "
            f"{nodes - 1}) on the others; {head} is node 0's address in the cluster's network. "
            "Start all within a few minutes; if one ends, stop all and start all again."
        )
    else:
        yield "`./serve.sh` runs vLLM; Ctrl+C or SIGTERM ends it and all of its processes."
    yield _certificate_step(options)
    yield "`./proxy.sh` on node 0 runs nginx (Debian: nginx-light) in front of it."


def _compose_steps(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    yield "Docker must have NVIDIA's container toolkit, on every node."
    yield "`./new-keys.sh` makes the key."
    yield _certificate_step(options)
    if layout_of(plan).nodes == 1:
        yield "`docker compose up -d` starts it, `docker compose down` ends it."
        return
    yield (
        "Copy this folder with keys.env to every node, and there node.env.example to node.env, "
        "with that node's rank, addresses and interface."
    )
    yield (
        "`docker compose --env-file node.env --profile head up -d` on node 0, and with "
        "`--profile worker` on the others. If one ends, stop all and start all again."
    )


def _kubernetes_steps(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    if layout_of(plan).nodes > 1:
        yield "The cluster needs LeaderWorkerSet's controller (lws.sigs.k8s.io)."
    yield from _secret_steps(plan, options)
    yield "`kubectl apply -f kubernetes.yaml` starts it."
    name = deployment_name(plan, options)
    yield (
        f"From outside of the cluster: `kubectl port-forward service/{name} "
        f"{options.port}:{options.port}`, or a load balancer that passes TLS through."
    )


def _stack_steps(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    yield from _secret_steps(plan, options)
    yield (
        "`helm install m1desk vllm/vllm-stack -f values.yaml --version VERSION` with a version "
        "you have tried; it also pins the router, whose image the values leave to the chart."
    )
    if layout_of(plan).nodes > 1:
        yield "Several nodes need a chart that knows lwsSpec, and LeaderWorkerSet's controller."
    yield (
        "The Ingress needs the ingress-nginx controller. The chart's own services stay open "
        "inside the cluster: there, /invocations and others answer without a key."
    )


def _slurm_steps(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    del plan
    yield "Keep this folder where every node sees it, and run `./install.sh` there once."
    yield "`./new-keys.sh` makes the key."
    yield _certificate_step(options)
    yield "`sbatch serve.sbatch` starts it, `scancel JOB` ends it. The nodes need nginx."
    yield (
        f"It runs for {options.hours} hours at most. Reach the first node through an SSH tunnel: "
        f"`ssh -L {options.port}:NODE:{options.port} LOGIN`."
    )


def _skypilot_steps(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    yield "`./new-keys.sh` makes the key."
    if options.certificate or options.certificate_key:
        yield (
            f"Copy the certificate: `mkdir -p tls`, `cp -- {sh(options.certificate)} "
            f"{TLS_CERTIFICATE}`, `cp -- {sh(options.certificate_key)} {TLS_KEY}`."
        )
    else:
        yield _certificate_step(options)
    name = deployment_name(plan, options)
    yield f"`sky launch -c {name} --secret-file keys.env sky.yaml` starts it."
    yield f"`sky down {name}` ends it."
    yield f"`sky status --endpoint {options.port} {name}` says where it answers."


def _secret_steps(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    keys, tls = secret_names(plan, options)
    space = f"-n {options.namespace} " if options.namespace else ""
    yield (
        f"`./new-keys.sh`, then `kubectl {space}create secret generic {keys} "
        "--from-env-file=keys.env`."
    )
    certificate = sh(options.certificate or TLS_CERTIFICATE)
    key = sh(options.certificate_key or TLS_KEY)
    yield f"`kubectl {space}create secret tls {tls} --cert={certificate} --key={key}`."


def _same_folder(nodes: int) -> str:
    if nodes == 1:
        return "`./install.sh` installs vLLM beside these files."
    return (
        "Copy this folder to the same place on every node and run `./install.sh` there: all "
        "nodes need the same version, and the model at the same path."
    )


def _certificate_step(options: RecipeOptions) -> str:
    certificate = sh(options.certificate or TLS_CERTIFICATE)
    key = sh(options.certificate_key or TLS_KEY)
    return (
        f"The certificate for {options.host} (in PEM form, with its chain) is read from "
        f"{certificate}, its key from {key}."
    )


def _to_know(plan: ClusterPlan, target: Target, options: RecipeOptions) -> Iterator[str]:
    several = layout_of(plan).nodes > 1
    if options.host == "localhost":
        yield "Clients reach it as localhost only, through a tunnel; give --host for its real name."
    if several:
        yield (
            "Between the nodes nothing is encrypted and nobody is asked who they are: keep that "
            "network to the cluster alone."
        )
        told = (
            "after three minutes, because the router keeps vLLM's counters to itself"
            if target == "production-stack"
            else "within 20 seconds"
        )
        yield (
            "If a node is lost, /health stays well and streams fall silent for up to five minutes; "
            f"M1 Desk says so {told}. Then all nodes must be started again."
        )
    if layout_of(plan).fit.tensor_parallel > plan.cluster.gpus_per_node:
        yield (
            "Layers are cut over nodes: without InfiniBand or a network like it, every token waits "
            "for the network."
        )
    if layout_of(plan).quantization == "experts_int8":
        yield (
            "The experts are made 8-bit while loading: the whole 16-bit checkpoint is downloaded "
            "and read all the same."
        )
    if runs_own_code(plan):
        yield (
            "Loading runs Python code from the model's repository (--trust-remote-code)"
            + ("." if plan.model.revision or plan.model.path else ": pin it with --revision.")
        )
        yield (
            "The model's thinking comes inside its answer, in <think>. For tools, give "
            "--chat-template with vLLM's examples/tool_chat_template_minimax_m1.jinja."
        )


_STEPS: Final[Mapping[Target, _Steps]] = {
    "shell": _shell_steps,
    "ray": _ray_steps,
    "compose": _compose_steps,
    "kubernetes": _kubernetes_steps,
    "production-stack": _stack_steps,
    "slurm": _slurm_steps,
    "skypilot": _skypilot_steps,
}
