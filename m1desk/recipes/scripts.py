"""Recipes made of scripts: one node or several by vLLM's own way or Ray, Slurm, SkyPilot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from m1desk.recipes.engine import (
    command,
    environment,
    front_arguments,
    layout_of,
    node_arguments,
)
from m1desk.recipes.planning import ClusterPlan
from m1desk.recipes.texts import sh, sh_array, slug, template, yaml_text
from m1desk.recipes.values import RecipeFile, RecipeOptions

RAY_VERSION: Final = "2.60.0"
"""Knows RAY_AUTH_MODE=token, which came with 2.52."""
_RAY_PORT: Final = 6379
TLS_CERTIFICATE: Final = "tls/tls.crt"
TLS_KEY: Final = "tls/tls.key"


def shell_files(plan: ClusterPlan, options: RecipeOptions) -> tuple[RecipeFile, ...]:
    """One node, or several with `--nnodes`."""
    return (
        *_common_files(plan, options),
        RecipeFile("serve.sh", _serve(plan, options), executable=True),
    )


def ray_files(plan: ClusterPlan, options: RecipeOptions) -> tuple[RecipeFile, ...]:
    """Several nodes as one Ray cluster, whose token every node has."""
    text = template(
        "serve.sh",
        _serve_values(plan, options)
        | {
            "node": _node_part(plan, options) + "load_keys\n",
            "engine": sh_array(
                (
                    *command(plan, options),
                    *front_arguments(options),
                    *("--distributed-executor-backend", "ray"),
                )
            ),
            "start": _ray_start(plan),
        },
    )
    return (
        *_common_files(plan, options, ray=True),
        RecipeFile("serve.sh", text, executable=True),
    )


def slurm_files(plan: ClusterPlan, options: RecipeOptions) -> tuple[RecipeFile, ...]:
    """A batch job, in a folder that every node sees."""
    several = layout_of(plan).nodes > 1
    text = template(
        "serve.sbatch",
        {
            "about": _about(plan),
            "directives": "\n".join(f"#SBATCH {one}" for one in _directives(plan, options)),
            "address": _slurm_address(options) if several else "",
        },
    )
    return (
        *_common_files(plan, options),
        RecipeFile("serve.sh", _serve(plan, options), executable=True),
        RecipeFile("serve.sbatch", text),
    )


def skypilot_files(plan: ClusterPlan, options: RecipeOptions) -> tuple[RecipeFile, ...]:
    """A SkyPilot task that carries the scripts along."""
    layout = layout_of(plan)
    gpu = plan.cluster.gpu.replace(" ", "")
    run = (
        'if [ "$SKYPILOT_NODE_RANK" -eq 0 ]; then\n'
        "    ./proxy.sh &\n"
        "fi\n"
        'HEAD_ADDRESS=$(printf "%s\\n" "$SKYPILOT_NODE_IPS" | head -n 1)\n'
        "export HEAD_ADDRESS\n"
        'exec ./serve.sh "$SKYPILOT_NODE_RANK"\n'
    )
    document = {
        "name": deployment_name(plan, options),
        "num_nodes": layout.nodes,
        "resources": {
            "accelerators": {gpu: layout.gpus_per_node},
            "disk_size": _disk_gib(plan),
            "ports": [options.port],
        },
        "workdir": ".",
        "secrets": {"VLLM_API_KEY": None},
        "setup": "set -e\nsudo apt-get update\nsudo apt-get install -y nginx-light\n./install.sh\n",
        "run": run,
    }
    return (
        *_common_files(plan, options),
        RecipeFile("serve.sh", _serve(plan, options), executable=True),
        RecipeFile("sky.yaml", yaml_text(document, comment="A SkyPilot task. Written by M1 Desk.")),
        # keys travel as SkyPilot's secrets, not as a file
        RecipeFile(".skyignore", "keys.env\nvenv\nproxy\n"),
    )


def deployment_name(plan: ClusterPlan, options: RecipeOptions) -> str:
    """What the deployment is called, fit for every target."""
    return slug(options.name or plan.model.name)


def nginx_text(options: RecipeOptions) -> str:
    """The reverse proxy's configuration; nothing in it comes from outside unchecked."""
    return template(
        "nginx.conf",
        {
            "port": str(options.port),
            "host": options.host,
            "engine_port": str(options.engine_port),
        },
    )


def keys_file(*, ray: bool = False) -> RecipeFile:
    """The script that makes the keys where they are used: no recipe holds one."""
    names = ("VLLM_API_KEY", "RAY_AUTH_TOKEN") if ray else ("VLLM_API_KEY",)
    lines = "\n".join(f"    printf '{name}=%s\\n' \"$(random)\"" for name in names)
    return RecipeFile("new-keys.sh", template("new-keys.sh", {"lines": lines}), executable=True)


def _common_files(
    plan: ClusterPlan, options: RecipeOptions, *, ray: bool = False
) -> Iterator[RecipeFile]:
    packages = [f"vllm=={plan.version}", *([f"ray[cgraph]=={RAY_VERSION}"] if ray else [])]
    install = template("install.sh", {"packages": " ".join(sh(one) for one in packages)})
    yield RecipeFile("install.sh", install, executable=True)
    yield keys_file(ray=ray)
    proxy = {
        "certificate": sh(options.certificate or TLS_CERTIFICATE),
        "certificate_key": sh(options.certificate_key or TLS_KEY),
    }
    yield RecipeFile("proxy.sh", template("proxy.sh", proxy), executable=True)
    yield RecipeFile("nginx.conf", nginx_text(options))


def _serve(plan: ClusterPlan, options: RecipeOptions) -> str:
    return template("serve.sh", _serve_values(plan, options))


def _serve_values(plan: ClusterPlan, options: RecipeOptions) -> dict[str, str]:
    several = layout_of(plan).nodes > 1
    exports = (f"export {name}={sh(value)}" for name, value in environment(plan, options).items())
    engine = command(plan, options)
    if not several:
        engine += front_arguments(options)
    return {
        "about": _about(plan),
        "usage": " RANK [ADDRESS OF NODE 0]" if several else "",
        "node": _node_part(plan, options) if several else "load_keys\n",
        "environment": "\n".join(exports),
        "engine": sh_array(engine),
        "start": _group_start(plan, options) if several else 'start "${engine[@]}"',
    }


def _node_part(plan: ClusterPlan, options: RecipeOptions) -> str:
    nodes = layout_of(plan).nodes
    return template(
        "node.part.sh",
        {
            "interface": sh(options.interface),
            "head": options.head_address,
            "nodes": str(nodes),
            "last": str(nodes - 1),
        },
    )


def _group_start(plan: ClusterPlan, options: RecipeOptions) -> str:
    """Node 0 answers and so needs the key; the others only compute."""
    rank, head = "@rank@", "@head@"
    words = " ".join(sh(one) for one in node_arguments(plan, options, rank, head))
    words = words.replace(rank, '"$rank"').replace(head, '"$head"')
    front = " ".join(sh(one) for one in front_arguments(options))
    return (
        f"engine+=({words})\n"
        'if [ "$rank" -eq 0 ]; then\n'
        "    load_keys\n"
        f"    engine+=({front})\n"
        "else\n"
        "    engine+=(--headless)\n"
        "fi\n"
        'start "${engine[@]}"'
    )


def _ray_start(plan: ClusterPlan) -> str:
    gpus = layout_of(plan).gpus_per_node
    common = f'--block --node-ip-address="$own" --num-gpus={gpus} --disable-usage-stats'
    return (
        '[ -n "${RAY_AUTH_TOKEN:-}" ] || fail "keys.env names no RAY_AUTH_TOKEN."\n'
        f'export RAY_AUTH_MODE=token RAY_ADDRESS="$head:{_RAY_PORT}"\n'
        'if [ "$rank" -eq 0 ]; then\n'
        f"    start ray start --head --port={_RAY_PORT} --include-dashboard=false {common}\n"
        "    until ray status >/dev/null 2>&1; do\n"
        '        running "${sessions[0]}" || fail "Ray did not start."\n'
        "        sleep 1\n"
        "    done\n"
        '    start "${engine[@]}" # it waits for the other nodes\n'
        "else\n"
        f'    start ray start --address="$RAY_ADDRESS" {common}\n'
        "fi"
    )


def _directives(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    layout = layout_of(plan)
    yield f"--job-name={deployment_name(plan, options)}"
    yield f"--nodes={layout.nodes}"
    yield "--ntasks-per-node=1"
    yield f"--gpus-per-node={layout.gpus_per_node}"
    yield "--exclusive"
    yield f"--time={options.hours}:00:00"
    yield "--output=serve-%j.log"
    yield "--signal=B:TERM@60"
    yield "--no-requeue"
    if options.partition:
        yield f"--partition={options.partition}"
    if options.account:
        yield f"--account={options.account}"


def _slurm_address(options: RecipeOptions) -> str:
    if options.head_address:
        return f"export HEAD_ADDRESS={sh(options.head_address)}\n"
    return (
        'first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)\n'
        'HEAD_ADDRESS=$(srun --nodes=1 --ntasks=1 --nodelist="$first" ./serve.sh address)\n'
        "export HEAD_ADDRESS\n"
    )


def _about(plan: ClusterPlan) -> str:
    """For a comment: letters and digits only, whatever the model is called."""
    return f"vLLM {plan.version} with {slug(plan.model.name)}"


def _disk_gib(plan: ClusterPlan) -> int:
    """Room for the checkpoint in 16 bits, for vLLM and its libraries."""
    return 100 + round(2.2 * plan.model.variant.parameters / (1 << 30))
