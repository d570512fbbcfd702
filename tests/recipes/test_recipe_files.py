"""Every file of every recipe, checked by the program or the schema that is in charge of it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from m1desk.errors import BadInput
from m1desk.recipes import (
    TARGETS,
    ClusterPlan,
    Recipe,
    RecipeOptions,
    Target,
    make_recipe,
    write_recipe,
)

Planner = Callable[..., ClusterPlan]
DATA = Path(__file__).resolve().parents[1] / "data"
KUBERNETES = "1.34"
CASES = [("1x8xH100", "MiniMax-M1-80k"), ("2x8xH100", "MiniMax-M1-80k"), ("2x8xH100", "Qwen3-32B")]
HOSTILE = """$(touch pwned) `id` ${HOME} '"\\ : # {{engine}} $(HOME) ; 1e3 é --x"""
SBATCH_OPTIONS = {
    "--job-name", "--nodes", "--ntasks-per-node", "--gpus-per-node", "--exclusive", "--time",
    "--output", "--signal", "--no-requeue", "--partition", "--account",
}  # fmt: skip
"""Of sbatch's manual: whether a cluster allows them, only `sbatch --test-only` there can tell."""


def shellcheck(*files: Path, but: str = "") -> str:
    """What it complains about, but for these codes."""
    program = Path(sys.executable).parent / "shellcheck"
    left_out = [f"--exclude={but}"] if but else []
    done = subprocess.run(
        [program, "--shell=bash", "--severity=style", *left_out, *files],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.stdout + done.stderr


def documents(recipe: Recipe, name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(recipe.file(name).text))


@pytest.fixture(params=CASES, ids=[f"{cluster}-{model}" for cluster, model in CASES])
def plan(request: pytest.FixtureRequest, planned: Planner) -> ClusterPlan:
    return planned(*request.param)


@pytest.mark.parametrize("target", TARGETS)
def test_all_scripts_pass_shellcheck(plan: ClusterPlan, target: Target, tmp_path: Path) -> None:
    recipe = make_recipe(plan, target, RecipeOptions(certificate="/a b/c.pem", partition="gpu"))
    paths = write_recipe(recipe, tmp_path)
    scripts = [path for path in paths if path.suffix in {".sh", ".sbatch"}]
    assert scripts
    assert shellcheck(*scripts) == ""


def test_shellcheck_finds_faults(tmp_path: Path) -> None:
    script = tmp_path / "bad.sh"
    script.write_text("#!/usr/bin/env bash\nrm $1\n")
    assert "SC2086" in shellcheck(script)


def test_compose_files_pass_their_specification(plan: ClusterPlan) -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="its wheels are for Linux on x86-64")
    text = make_recipe(plan, "compose").file("compose.yaml").text
    assert compose_spec.PyCompose.from_yaml(text)
    with pytest.raises(ValueError, match="shm_sizes"):
        compose_spec.PyCompose.from_yaml(text.replace("shm_size", "shm_sizes"))


def test_compose_opens_only_the_proxy(planned: Planner) -> None:
    (document,) = documents(make_recipe(planned("8xH100"), "compose"), "compose.yaml")
    services = document["services"]
    assert services["vllm"]["network_mode"] == "service:proxy"
    assert "ports" not in services["vllm"]
    assert services["proxy"]["ports"] == ["8443:8443"]
    assert services["vllm"]["image"] == "vllm/vllm-openai:v0.23.0"
    devices = services["vllm"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["count"] == 8


def check_kubernetes(document: dict[str, Any]) -> None:
    """By Kubernetes' own schema; the templates of a LeaderWorkerSet as those of Pods."""
    if document["kind"] != "LeaderWorkerSet":
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        return
    jsonschema.validate(document, json.loads((DATA / "leaderworkerset.schema.json").read_text()))
    for name in ("leaderTemplate", "workerTemplate"):
        pod = document["spec"]["leaderWorkerTemplate"][name]
        whole = {"apiVersion": "v1", "kind": "Pod", **pod}
        kubernetes_validate.validate(whole, KUBERNETES, strict=True)


def test_kubernetes_files_pass_their_schemas(plan: ClusterPlan) -> None:
    recipe = make_recipe(plan, "kubernetes", RecipeOptions(namespace="models"))
    found = documents(recipe, "kubernetes.yaml")
    several = plan.layout is not None and plan.layout.nodes > 1
    workload = "LeaderWorkerSet" if several else "Deployment"
    assert {one["kind"] for one in found} == {
        "PersistentVolumeClaim", "ConfigMap", workload, "Service", "NetworkPolicy",
    }  # fmt: skip
    for document in found:
        check_kubernetes(document)


def test_a_wrong_manifest_is_found(planned: Planner) -> None:
    found = documents(make_recipe(planned("2x8xH100"), "kubernetes"), "kubernetes.yaml")
    (group,) = (one for one in found if one["kind"] == "LeaderWorkerSet")
    group["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]["imag"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        check_kubernetes(group)
    group["spec"]["leaderWorkerTemplate"]["restartPolicy"] = "Sometimes"
    with pytest.raises(jsonschema.ValidationError):
        check_kubernetes(group)


def test_a_group_of_pods_starts_again_as_a_whole(planned: Planner) -> None:
    found = documents(make_recipe(planned("2x8xH100"), "kubernetes"), "kubernetes.yaml")
    (group,) = (one for one in found if one["kind"] == "LeaderWorkerSet")
    template = group["spec"]["leaderWorkerTemplate"]
    assert (template["size"], template["restartPolicy"]) == (2, "RecreateGroupOnPodRestart")
    engine, proxy = template["leaderTemplate"]["spec"]["containers"]
    (worker,) = template["workerTemplate"]["spec"]["containers"]
    assert "--headless" in worker["command"]
    assert "--headless" not in engine["command"]
    assert engine["command"][engine["command"].index("--host") + 1] == "127.0.0.1"
    probe = engine["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] >= 3600
    assert probe["httpGet"]["port"] == proxy["ports"][0]["containerPort"]
    keys = [one for one in engine["env"] if one["name"] == "VLLM_API_KEY"]
    assert keys[0]["valueFrom"]["secretKeyRef"] == {
        "name": "minimax-m1-80k-keys", "key": "VLLM_API_KEY",
    }  # fmt: skip
    assert all(one["name"] != "VLLM_API_KEY" for one in worker["env"])


def test_the_stack_gets_m1_without_stages(planned: Planner) -> None:
    (document,) = documents(make_recipe(planned("2x8xH100"), "production-stack"), "values.yaml")
    (model,) = document["servingEngineSpec"]["modelSpec"]
    assert model["tag"] == "v0.23.0"
    assert model["lwsSpec"]["size"] == 2
    config = model["vllmConfig"]
    assert (config["tensorParallelSize"], config["pipelineParallelSize"]) == (16, 1)
    assert config["extraArgs"][:2] == ["--served-model-name", "MiniMax-M1-80k"]
    assert (model["enableTool"], model["toolCallParser"]) == (True, "minimax")
    paths = document["routerSpec"]["ingress"]["hosts"][0]["paths"]
    assert [one["path"] for one in paths] == ["/v1", "/health"]
    key = document["servingEngineSpec"]["vllmApiKey"]
    assert key == {"secretName": "minimax-m1-80k-keys", "secretKey": "VLLM_API_KEY"}


def directives(text: str) -> Iterator[list[str]]:
    """#SBATCH lines as sbatch reads them: up to the first line that is no comment."""
    for line in text.splitlines()[1:]:
        if not line.startswith("#"):
            return
        if line.startswith("#SBATCH "):
            yield shlex.split(line.removeprefix("#SBATCH "))


def test_slurm_reads_every_directive(plan: ClusterPlan) -> None:
    options = RecipeOptions(partition="gpu", account="lab", hours=48)
    text = make_recipe(plan, "slurm", options).file("serve.sbatch").text
    found = dict(word.partition("=")[::2] for (word,) in directives(text))
    assert set(found) == SBATCH_OPTIONS
    assert plan.layout is not None
    assert found["--nodes"] == str(plan.layout.nodes)
    assert found["--gpus-per-node"] == "8"
    assert found["--time"] == "48:00:00"
    assert text.count("#SBATCH") == len(found)


def test_skypilot_tasks_pass_the_schema(plan: ClusterPlan, tmp_path: Path) -> None:
    recipe = make_recipe(plan, "skypilot")
    (task,) = documents(recipe, "sky.yaml")
    jsonschema.validate(task, json.loads((DATA / "skypilot-task.schema.json").read_text()))
    assert task["secrets"] == {"VLLM_API_KEY": None}
    assert task["resources"]["accelerators"] == {"H100": 8}
    for name in ("setup", "run"):
        script = tmp_path / f"{name}.sh"
        script.write_text(f"#!/usr/bin/env bash\n{task[name]}")
        assert shellcheck(script) == ""
    assert "keys.env" in recipe.file(".skyignore").text


@pytest.mark.parametrize("target", TARGETS)
def test_versions_are_pinned_everywhere(plan: ClusterPlan, target: Target) -> None:
    texts = [one.text for one in make_recipe(plan, target).files]
    pinned = (f"vllm=={plan.version}", f"vllm-openai:v{plan.version}", f"tag: v{plan.version}")
    assert any(pin in text for text in texts for pin in pinned)
    assert not any(":latest" in text for text in texts)


@pytest.mark.parametrize("target", TARGETS)
def test_hostile_names_stay_words(planned: Planner, target: Target, tmp_path: Path) -> None:
    folder = f"/models/{HOSTILE}"
    options = RecipeOptions(
        certificate=f"/tls/{HOSTILE}", certificate_key=f"/tls/{HOSTILE}.key",
        chat_template=f"/templates/{HOSTILE}", environment=(("NOTE", HOSTILE),),
    )  # fmt: skip
    plan = planned("2x8xH100", name=HOSTILE, path=folder, repository="")
    recipe = make_recipe(plan, target, options)
    paths = write_recipe(recipe, tmp_path)
    scripts = [path for path in paths if path.suffix in {".sh", ".sbatch"}]
    # a dollar in single quotes is what it asks about, and what is meant here
    assert shellcheck(*scripts, but="SC2016") == ""
    for one in recipe.files:
        if one.name in {"compose.yaml", "kubernetes.yaml", "values.yaml"}:
            words = set(strings(list(yaml.safe_load_all(one.text))))
            assert {HOSTILE, folder} <= {unescaped(word, target) for word in words}


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def unescaped(word: str, target: Target) -> str:
    """As Compose or Kubernetes gives it to the program."""
    if target == "compose":
        return word.replace("$$", "$")
    return word.replace("$$(", "$(")


def test_bash_gets_hostile_words_unchanged(planned: Planner, tmp_path: Path) -> None:
    plan = planned("8xH100", name=HOSTILE, path=f"/models/{HOSTILE}")
    text = make_recipe(plan, "shell").file("serve.sh").text
    start = text.index("engine=(")
    array = text[start : text.index("\n)\n", start) + 3]
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", array + "printf '%s\\0' \"${engine[@]}\""],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    words = done.stdout.split("\0")
    assert words[:5] == ["vllm", "serve", f"/models/{HOSTILE}", "--served-model-name", HOSTILE]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [{"name": "a\nb"}, {"name": "-x"}, {"repository": "--headless"}, {"path": "relative/path"},
     {"path": "/a\0b"}, {"revision": "main; id"}, {"name": ""}],
)  # fmt: skip
def test_what_no_file_can_carry_is_refused(changes: dict[str, str], planned: Planner) -> None:
    with pytest.raises(BadInput):
        make_recipe(planned("8xH100", **changes), "shell")


@pytest.mark.parametrize(
    "options",
    [RecipeOptions(host="a b"), RecipeOptions(host="x;}"), RecipeOptions(head_address="$(id)"),
     RecipeOptions(interface="e'0"), RecipeOptions(partition="gpu\n#SBATCH --wrap=id"),
     RecipeOptions(environment=(("A=B", "c"),)), RecipeOptions(port=8000),
     RecipeOptions(certificate="a\nb"), RecipeOptions(hours=0)],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: RecipeOptions, planned: Planner) -> None:
    with pytest.raises(BadInput):
        make_recipe(planned("8xH100"), "slurm", options)


def test_what_does_not_fit_has_no_files(planned: Planner) -> None:
    recipe = make_recipe(planned("4xH100"), "shell")
    assert (recipe.files, recipe.remote, recipe.verdict) == ((), None, "does_not_fit")


def test_a_recipe_never_replaces_a_file(planned: Planner, tmp_path: Path) -> None:
    recipe = make_recipe(planned("8xH100"), "shell")
    paths = write_recipe(recipe, tmp_path)
    assert {path.name: path.stat().st_mode & 0o777 for path in paths}["serve.sh"] == 0o755
    assert write_recipe(recipe, tmp_path) == paths
    (tmp_path / "serve.sh").write_text("mine")
    with pytest.raises(BadInput, match="never replaces"):
        write_recipe(recipe, tmp_path)
    assert (tmp_path / "serve.sh").read_text() == "mine"


@pytest.mark.parametrize("target", TARGETS)
def test_the_remote_server_is_proposed(target: Target, planned: Planner) -> None:
    options = RecipeOptions(host="m1.example.org", port=9443)
    remote = make_recipe(planned("8xH100"), target, options).remote
    assert remote is not None
    port = "" if target == "production-stack" else ":9443"
    assert remote.base_url == f"https://m1.example.org{port}"
    assert (remote.model, remote.context_tokens) == ("MiniMax-M1-80k", 131_072)


def test_how_soon_a_lost_node_is_told_depends_on_the_counters(planned: Planner) -> None:
    plan = planned("2x8xH100")
    soon = " ".join(make_recipe(plan, "shell").notes)
    assert "M1 Desk says so within 20 seconds" in soon
    late = " ".join(make_recipe(plan, "production-stack").notes)
    assert "after three minutes, because the router keeps" in late
    assert "location = /v1/metrics" in make_recipe(plan, "shell").file("nginx.conf").text
