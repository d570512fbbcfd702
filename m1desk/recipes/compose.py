"""Docker Compose: vLLM and the reverse proxy; over several nodes one file and one line for each."""

from __future__ import annotations

from typing import Any, Final

from m1desk.recipes.engine import (
    SHARED_MEMORY_GIB,
    STARTUP_SECONDS,
    command,
    environment,
    front_arguments,
    image_of,
    layout_of,
    node_arguments,
)
from m1desk.recipes.planning import ClusterPlan
from m1desk.recipes.scripts import TLS_CERTIFICATE, TLS_KEY, deployment_name, keys_file, nginx_text
from m1desk.recipes.texts import compose_word, yaml_text
from m1desk.recipes.values import RecipeFile, RecipeOptions

NGINX_IMAGE: Final = "nginx:1.28.0-alpine"
NGINX_FOLDER: Final = "/etc/nginx/m1desk"
NGINX_COMMAND: Final = (
    *("nginx", "-e", "stderr", "-p", "/tmp/"),  # noqa: S108 - inside the container
    *("-c", f"{NGINX_FOLDER}/nginx.conf", "-g", "daemon off;"),
)  # fmt: skip
_NODE_ENV: Final = """\
# One for each node: copy it to node.env, and say who this node is. Written by M1 Desk.
NODE_RANK=0
# this node's own address, and node 0's
NODE_ADDRESS={head}
HEAD_ADDRESS={head}
# the network interface that has this node's address
INTERFACE={interface}
"""


def compose_files(plan: ClusterPlan, options: RecipeOptions) -> tuple[RecipeFile, ...]:
    """compose.yaml and what it reads."""
    several = layout_of(plan).nodes > 1
    services: dict[str, Any] = {"proxy": _proxy(options, several=several)}
    if several:
        services["proxy"]["profiles"] = ["head"]
        services["vllm"] = {**_engine(plan, options, head=True), "profiles": ["head"]}
        services["worker"] = {**_engine(plan, options, head=False), "profiles": ["worker"]}
    else:
        services["vllm"] = _engine(plan, options, head=True)
    document: dict[str, Any] = {"name": deployment_name(plan, options), "services": services}
    if not plan.model.path:
        document["volumes"] = {"huggingface": {}}
    comment = "vLLM behind a reverse proxy, for Docker Compose. Written by M1 Desk."
    files = [
        RecipeFile("compose.yaml", yaml_text(document, comment=comment)),
        RecipeFile("nginx.conf", nginx_text(options)),
        keys_file(),
    ]
    if several:
        node = _NODE_ENV.format(head=options.head_address, interface=options.interface)
        files.append(RecipeFile("node.env.example", node))
    return tuple(files)


def _proxy(options: RecipeOptions, *, several: bool) -> dict[str, Any]:
    """It owns the network that vLLM joins, so vLLM's own port is reachable from nowhere else."""
    network: dict[str, Any] = (
        {"network_mode": "host"} if several else {"ports": [f"{options.port}:{options.port}"]}
    )
    tls = (
        (options.certificate or f"./{TLS_CERTIFICATE}", "tls/tls.crt"),
        (options.certificate_key or f"./{TLS_KEY}", "tls/tls.key"),
    )
    return {
        "image": NGINX_IMAGE,
        "command": list(NGINX_COMMAND),
        **network,
        "volumes": [
            _bind(source, f"{NGINX_FOLDER}/{target}")
            for source, target in (("./nginx.conf", "nginx.conf"), *tls)
        ],
        "restart": "unless-stopped",
    }


def _engine(plan: ClusterPlan, options: RecipeOptions, *, head: bool) -> dict[str, Any]:
    layout = layout_of(plan)
    several = layout.nodes > 1
    # these two are Compose's variables; every other dollar is doubled
    nodes = node_arguments(plan, options, "${NODE_RANK}", "${HEAD_ADDRESS}")
    role = front_arguments(options) if head else ("--headless",)
    words = (compose_word(word) for word in (*command(plan, options), *role))
    variables = {name: compose_word(value) for name, value in environment(plan, options).items()}
    if several:
        variables["VLLM_HOST_IP"] = "${NODE_ADDRESS}"
        variables |= {f"{name}_SOCKET_IFNAME": "${INTERFACE}" for name in ("NCCL", "GLOO", "TP")}
    service: dict[str, Any] = {
        "image": image_of(plan),
        "entrypoint": [],
        "command": [*words, *nodes],
        "environment": variables,
        "network_mode": "host" if several else "service:proxy",
        "ipc": "private",
        "shm_size": f"{SHARED_MEMORY_GIB}gb",
        "ulimits": {"memlock": -1, "stack": 67_108_864},
        "init": True,
        "volumes": list(_volumes(plan, options, head=head)),
        "deploy": {"resources": {"reservations": {"devices": [_gpus(layout.gpus_per_node)]}}},
        # nodes start and stop together; one that restarts alone is no use to the others
        "restart": "no" if several else "unless-stopped",
        # while it starts it never ends by itself, and in mid-stream now and then
        "stop_grace_period": "10s",
    }
    if head:
        service["env_file"] = [{"path": "./keys.env", "required": True}]
        service["depends_on"] = ["proxy"]
        service["healthcheck"] = _health(options)
    return service


def _volumes(plan: ClusterPlan, options: RecipeOptions, *, head: bool) -> list[dict[str, Any]]:
    path = plan.model.path
    found = [
        _bind(path, path)
        if path
        else {"type": "volume", "source": "huggingface", "target": "/root/.cache/huggingface"}
    ]
    if head and options.chat_template:
        found.append(_bind(options.chat_template, options.chat_template))
    return found


def _bind(source: str, target: str) -> dict[str, Any]:
    """In the long form, where a colon is only a character; what is missing is never made."""
    return {
        "type": "bind",
        "source": compose_word(source),
        "target": compose_word(target),
        "read_only": True,
        "bind": {"create_host_path": False},
    }


def _gpus(count: int) -> dict[str, Any]:
    return {"driver": "nvidia", "count": count, "capabilities": ["gpu"]}


def _health(options: RecipeOptions) -> dict[str, Any]:
    url = f"http://127.0.0.1:{options.engine_port}/health"
    probe = f"import urllib.request as r; r.urlopen('{url}', timeout=5)"
    return {
        "test": ["CMD", "python3", "-c", probe],
        "interval": "15s",
        "timeout": "10s",
        "retries": 4,
        "start_period": f"{STARTUP_SECONDS // 3600}h",
    }
