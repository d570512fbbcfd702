"""Values for the Helm chart of vLLM's production stack: its router, and an Ingress with TLS."""

from __future__ import annotations

from typing import Any, Final

from m1desk.recipes.engine import (
    IMAGE,
    SHARED_MEMORY_GIB,
    STARTUP_SECONDS,
    command,
    environment,
    layout_of,
)
from m1desk.recipes.kubernetes import access_mode, claim_size, secret_names
from m1desk.recipes.planning import ClusterPlan
from m1desk.recipes.scripts import deployment_name, keys_file
from m1desk.recipes.texts import kubernetes_word, yaml_text
from m1desk.recipes.values import RecipeFile, RecipeOptions

_PROBE_SECONDS: Final = 10
_OWN_FIELDS: Final = {
    "--tensor-parallel-size": "tensorParallelSize",
    "--pipeline-parallel-size": "pipelineParallelSize",
    "--max-model-len": "maxModelLen",
    "--max-num-seqs": "maxNumSeqs",
    "--gpu-memory-utilization": "gpuMemoryUtilization",
}
"""Arguments that the chart has fields for; the rest goes into extraArgs."""
_TOOLS: Final = {"--enable-auto-tool-choice", "--tool-call-parser", "--revision"}


def stack_files(plan: ClusterPlan, options: RecipeOptions) -> tuple[RecipeFile, ...]:
    """values.yaml, and the script that makes the key."""
    keys, _ = secret_names(plan, options)
    key = {"secretName": keys, "secretKey": "VLLM_API_KEY"}
    document = {
        "servingEngineSpec": {
            "enableEngine": True,
            "vllmApiKey": key,
            "containerPort": options.engine_port,
            "imagePullPolicy": "IfNotPresent",
            "startupProbe": {
                "initialDelaySeconds": 15,
                "periodSeconds": _PROBE_SECONDS,
                "failureThreshold": STARTUP_SECONDS // _PROBE_SECONDS,
                "httpGet": {"path": "/health", "port": options.engine_port},
            },
            "modelSpec": [_model(plan, options)],
        },
        "routerSpec": {
            "enableRouter": True,
            "serviceDiscovery": "k8s",
            "routingLogic": "roundrobin",
            "vllmApiKey": key,
            "ingress": _ingress(plan, options),
        },
    }
    comment = "Values for the chart vllm/vllm-stack. Written by M1 Desk."
    return (RecipeFile("values.yaml", yaml_text(document, comment=comment)), keys_file())


def _model(plan: ClusterPlan, options: RecipeOptions) -> dict[str, Any]:
    layout = layout_of(plan)
    several = layout.nodes > 1
    config, rest, tools = _split(_arguments(plan, options))
    if several:  # without it the chart makes a stage of every node
        config.setdefault("pipelineParallelSize", 1)
    found: dict[str, Any] = {
        "name": deployment_name(plan, options),
        "repository": IMAGE,
        "tag": f"v{plan.version}",
        "modelURL": plan.model.source,
        "replicaCount": 1,
        "requestCPU": 4 * layout.gpus_per_node,
        "requestMemory": "64Gi",
        "requestGPU": layout.gpus_per_node,
        "shmSize": f"{SHARED_MEMORY_GIB}Gi",
        "pvcStorage": claim_size(plan),
        "pvcAccessMode": [access_mode(plan)],
        "vllmConfig": {**config, "extraArgs": rest},
        "env": [
            {"name": name, "value": kubernetes_word(value)}
            for name, value in environment(plan, options).items()
        ],
    }
    if plan.model.revision and not plan.model.path:
        found["modelRevision"] = plan.model.revision
    if "--enable-auto-tool-choice" in tools:
        found |= {"enableTool": True, "toolCallParser": tools["--tool-call-parser"]}
    if several:
        interface = options.interface or "eth0"
        found["env"] += [
            {"name": f"{name}_SOCKET_IFNAME", "value": interface} for name in ("NCCL", "GLOO", "TP")
        ]
        found["lwsSpec"] = {
            "enabled": True,
            "size": layout.nodes,
            "restartPolicy": "RecreateGroupOnPodRestart",
        }
    return found


def _arguments(plan: ClusterPlan, options: RecipeOptions) -> list[tuple[str, str]]:
    """Options with their values, "" where there is none; the model itself is left out."""
    words = command(plan, options)
    first = next(number for number, word in enumerate(words) if word == "--served-model-name")
    found: list[tuple[str, str]] = []
    for word in words[first:]:
        if word.startswith("-"):
            found.append((word, ""))
        else:
            found[-1] = (found[-1][0], word)
    return found


def _split(
    arguments: list[tuple[str, str]],
) -> tuple[dict[str, Any], list[str], dict[str, str]]:
    """What has a field of vllmConfig, what has none, and what has a field of the model."""
    config: dict[str, Any] = {}
    rest: list[str] = []
    tools: dict[str, str] = {}
    for name, value in arguments:
        if name in _OWN_FIELDS:
            config[_OWN_FIELDS[name]] = float(value) if "." in value else int(value)
        elif name in _TOOLS:
            tools[name] = value
        else:
            rest += [kubernetes_word(word) for word in (name, value) if word]
    return config, rest, tools


def _ingress(plan: ClusterPlan, options: RecipeOptions) -> dict[str, Any]:
    """Only /v1 and /health pass; hours for a prefill, and no buffer in the way of a stream."""
    _, tls = secret_names(plan, options)
    prefix = "nginx.ingress.kubernetes.io"
    return {
        "enabled": True,
        "className": "nginx",
        "annotations": {
            f"{prefix}/proxy-read-timeout": "7200",
            f"{prefix}/proxy-send-timeout": "7200",
            f"{prefix}/proxy-buffering": "off",
            f"{prefix}/proxy-body-size": "256m",
            f"{prefix}/proxy-next-upstream": "off",
        },
        "hosts": [
            {
                "host": options.host,
                "paths": [
                    {"path": "/v1", "pathType": "Prefix"},
                    {"path": "/health", "pathType": "Exact"},
                ],
            }
        ],
        "tls": [{"secretName": tls, "hosts": [options.host]}],
    }
