"""Kubernetes: a Deployment for one node, a LeaderWorkerSet for several, and what they need."""

from __future__ import annotations

from typing import Any, Final

from m1desk.recipes.compose import NGINX_COMMAND, NGINX_FOLDER, NGINX_IMAGE
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
from m1desk.recipes.scripts import deployment_name, keys_file, nginx_text
from m1desk.recipes.texts import kubernetes_word, yaml_text
from m1desk.recipes.values import RecipeFile, RecipeOptions

_POD_INTERFACE: Final = "eth0"
_CACHE: Final = "/models/huggingface"
_PROBE_SECONDS: Final = 10
_GIB: Final = 1 << 30


def kubernetes_files(plan: ClusterPlan, options: RecipeOptions) -> tuple[RecipeFile, ...]:
    """One file to apply, and the script that makes the key."""
    documents = (
        _claim(plan, options),
        _proxy_config(plan, options),
        _workload(plan, options),
        _service(plan, options),
        _policy(plan, options),
    )
    comment = "vLLM behind a reverse proxy, for Kubernetes. Written by M1 Desk."
    return (
        RecipeFile("kubernetes.yaml", yaml_text(*documents, comment=comment)),
        keys_file(),
    )


def secret_names(plan: ClusterPlan, options: RecipeOptions) -> tuple[str, str]:
    """Names of the secrets with the key and with the certificate."""
    name = deployment_name(plan, options)
    return f"{name}-keys", f"{name}-tls"


def claim_name(plan: ClusterPlan, options: RecipeOptions) -> str:
    """Name of the claim that the model lies in."""
    return f"{deployment_name(plan, options)}-models"


def claim_size(plan: ClusterPlan) -> str:
    """Room for the checkpoint in 16 bits, and a tenth."""
    return f"{round(2.2 * plan.model.variant.parameters / _GIB) + 10}Gi"


def access_mode(plan: ClusterPlan) -> str:
    """Every node reads the model."""
    return "ReadWriteMany" if layout_of(plan).nodes > 1 else "ReadWriteOnce"


def _metadata(plan: ClusterPlan, options: RecipeOptions, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "labels": _labels(plan, options)}
    return found | ({"namespace": options.namespace} if options.namespace else {})


def _labels(plan: ClusterPlan, options: RecipeOptions) -> dict[str, str]:
    return {"app.kubernetes.io/name": deployment_name(plan, options)}


def _front_labels(plan: ClusterPlan, options: RecipeOptions) -> dict[str, str]:
    return {**_labels(plan, options), "app.kubernetes.io/component": "front"}


def _claim(plan: ClusterPlan, options: RecipeOptions) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(plan, options, claim_name(plan, options)),
        "spec": {
            "accessModes": [access_mode(plan)],
            "resources": {"requests": {"storage": claim_size(plan)}},
        },
    }


def _proxy_config(plan: ClusterPlan, options: RecipeOptions) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(plan, options, f"{deployment_name(plan, options)}-proxy"),
        "data": {"nginx.conf": nginx_text(options)},
    }


def _workload(plan: ClusterPlan, options: RecipeOptions) -> dict[str, Any]:
    name, nodes = deployment_name(plan, options), layout_of(plan).nodes
    front = {
        "metadata": {"labels": _front_labels(plan, options)},
        "spec": _pod(plan, options, front=True),
    }
    if nodes == 1:
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": _metadata(plan, options, name),
            "spec": {
                "replicas": 1,
                # there is no room for a second one while the first still runs
                "strategy": {"type": "Recreate"},
                # a start that takes long has not failed
                "progressDeadlineSeconds": STARTUP_SECONDS + 600,
                "selector": {"matchLabels": _front_labels(plan, options)},
                "template": front,
            },
        }
    worker = {
        "metadata": {"labels": _labels(plan, options)},
        "spec": _pod(plan, options, front=False),
    }
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": _metadata(plan, options, name),
        "spec": {
            "replicas": 1,
            "startupPolicy": "LeaderCreated",
            "leaderWorkerTemplate": {
                "size": nodes,
                # a node that comes back alone finds no group: all start again together
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": front,
                "workerTemplate": worker,
            },
        },
    }


def _pod(plan: ClusterPlan, options: RecipeOptions, *, front: bool) -> dict[str, Any]:
    keys, tls = secret_names(plan, options)
    volumes: list[dict[str, Any]] = [
        {"name": "models", "persistentVolumeClaim": {"claimName": claim_name(plan, options)}},
        {
            "name": "shared-memory",
            "emptyDir": {"medium": "Memory", "sizeLimit": f"{SHARED_MEMORY_GIB}Gi"},
        },
    ]
    containers = [_engine(plan, options, keys, front=front)]
    if front:
        config = f"{deployment_name(plan, options)}-proxy"
        volumes += [
            {"name": "proxy", "configMap": {"name": config}},
            {"name": "tls", "secret": {"secretName": tls}},
        ]
        containers.append(_proxy(options))
    return {
        "automountServiceAccountToken": False,
        # while it starts vLLM never ends by itself, and in mid-stream now and then
        "terminationGracePeriodSeconds": 10,
        "containers": containers,
        "volumes": volumes,
    }


def _engine(plan: ClusterPlan, options: RecipeOptions, keys: str, *, front: bool) -> dict[str, Any]:
    several = layout_of(plan).nodes > 1
    role: tuple[str, ...] = front_arguments(options) if front else ("--headless",)
    words = [kubernetes_word(word) for word in (*command(plan, options), *role)]
    # these two are set by the LeaderWorkerSet's controller
    nodes = node_arguments(plan, options, "$(LWS_WORKER_INDEX)", "$(LWS_LEADER_ADDRESS)")
    gpus = {"nvidia.com/gpu": layout_of(plan).gpus_per_node}
    container: dict[str, Any] = {
        "name": "vllm",
        "image": image_of(plan),
        "command": [*words, *nodes],
        "env": _variables(plan, options, keys, front=front, several=several),
        "resources": {"limits": gpus, "requests": gpus},
        "volumeMounts": [
            {"name": "models", "mountPath": "/models"},
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108 - in the container
        ],
    }
    if front:
        # through the proxy, because vLLM itself listens on the loopback only
        health = {"path": "/health", "port": options.port, "scheme": "HTTPS"}
        probe = {"httpGet": health, "periodSeconds": _PROBE_SECONDS, "timeoutSeconds": 5}
        container["startupProbe"] = {
            **probe,
            "failureThreshold": STARTUP_SECONDS // _PROBE_SECONDS,
        }
        container["readinessProbe"] = {**probe, "failureThreshold": 3}
        container["livenessProbe"] = {**probe, "failureThreshold": 12}
    return container


def _variables(
    plan: ClusterPlan, options: RecipeOptions, keys: str, *, front: bool, several: bool
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "value": kubernetes_word(value)}
        for name, value in {**environment(plan, options), "HF_HOME": _CACHE}.items()
    ]
    if several:
        interface = options.interface or _POD_INTERFACE
        own = {"fieldRef": {"fieldPath": "status.podIP"}}
        found.append({"name": "VLLM_HOST_IP", "valueFrom": own})
        found += [
            {"name": f"{name}_SOCKET_IFNAME", "value": interface} for name in ("NCCL", "GLOO", "TP")
        ]
    if front:
        key = {"secretKeyRef": {"name": keys, "key": "VLLM_API_KEY"}}
        found.append({"name": "VLLM_API_KEY", "valueFrom": key})
    return found


def _proxy(options: RecipeOptions) -> dict[str, Any]:
    return {
        "name": "proxy",
        "image": NGINX_IMAGE,
        "command": list(NGINX_COMMAND),
        "ports": [{"name": "https", "containerPort": options.port}],
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": [
            {
                "name": "proxy",
                "mountPath": f"{NGINX_FOLDER}/nginx.conf",
                "subPath": "nginx.conf",
                "readOnly": True,
            },
            {"name": "tls", "mountPath": f"{NGINX_FOLDER}/tls", "readOnly": True},
        ],
    }


def _service(plan: ClusterPlan, options: RecipeOptions) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(plan, options, deployment_name(plan, options)),
        "spec": {
            "selector": _front_labels(plan, options),
            "ports": [{"name": "https", "port": options.port, "targetPort": options.port}],
        },
    }


def _policy(plan: ClusterPlan, options: RecipeOptions) -> dict[str, Any]:
    """Others reach the proxy and nothing else: nodes trust what comes to the ports they meet on."""
    labels = {"matchLabels": _labels(plan, options)}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(plan, options, deployment_name(plan, options)),
        "spec": {
            "podSelector": labels,
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": labels}]},
                {"ports": [{"protocol": "TCP", "port": options.port}]},
            ],
        },
    }
