"""The processor and the operating system, from what the kernel writes about them."""

from pathlib import Path

from support.hardware_recordings import load, play, write_tree

from m1desk.hardware.cpu import read_cpu
from m1desk.hardware.system import read_system


def test_an_arm_server_is_named_by_its_board(tmp_path: Path) -> None:
    recording = load("no_gpu")
    recording["files"] = {
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm bf16 sve sve2\n"
        "CPU implementer\t: 0x41\nCPU part\t: 0xd85",
        "proc/device-tree/model": "Some Board\0",
    }
    cpu = read_cpu(play(recording, tmp_path))
    assert cpu.model == "Some Board"
    assert cpu.instruction_sets == ("NEON", "DOTPROD", "MATMUL_INT8", "BF16", "SVE", "SVE2")


def test_an_arm_server_without_a_name_says_its_numbers(tmp_path: Path) -> None:
    recording = load("no_gpu")
    recording["files"] = {"proc/cpuinfo": "CPU implementer\t: 0x41\nCPU part\t: 0xd85"}
    assert "0xd85" in read_cpu(play(recording, tmp_path)).model


def test_no_information_at_all_is_an_unknown_processor(tmp_path: Path) -> None:
    recording = load("no_gpu") | {"files": {}, "cores": [None, 4, 4]}
    cpu = read_cpu(play(recording, tmp_path))
    assert (cpu.model, cpu.physical_cores, cpu.logical_cores) == ("unknown processor", None, 4)


def test_a_containers_share_of_the_processor_is_counted_in_whole_cores(tmp_path: Path) -> None:
    recording = load("no_gpu") | {"cores": [16, 32, 24]}
    sources = play(recording, tmp_path)
    assert read_cpu(sources).usable_cores == 24
    write_tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "proc/self/mountinfo": "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw",
            "sys/fs/cgroup/cpu.max": "250000 100000",
        },
    )
    assert read_cpu(sources).usable_cores == 3


def test_what_the_system_runs_inside_of_is_said(tmp_path: Path) -> None:
    sources = play(load("no_gpu"), tmp_path)
    assert read_system(sources).container == ""
    write_tree(tmp_path, {"proc/sys/kernel/osrelease": "5.15.167-microsoft-standard-WSL2"})
    assert read_system(sources).container == "wsl"
    write_tree(tmp_path, {".dockerenv": ""})
    assert read_system(sources).container == "docker"
