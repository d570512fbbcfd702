"""Limits of containers, from trees of /sys/fs/cgroup of both versions."""

from pathlib import Path

from support.hardware_recordings import load, play, write_tree

from m1desk.hardware.cgroup import group_cpus, group_memory
from m1desk.hardware.memory import read_ram

MIB = 1 << 20


def v2(root: Path, path: str = "/", mounted: str = "/") -> None:
    write_tree(
        root,
        {
            "proc/self/cgroup": f"0::{path}",
            "proc/self/mountinfo": "23 1 8:1 / / rw shared:1 - ext4 /dev/vda rw\n"
            f"41 31 0:38 {mounted} /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate",
        },
    )


def v1(root: Path, path: str = "/", mounted: str = "/") -> None:
    write_tree(
        root,
        {
            "proc/self/cgroup": f"4:memory:{path}\n3:cpuacct,cpu:{path}\n0::/",
            "proc/self/mountinfo": f"35 31 0:32 {mounted} /sys/fs/cgroup/memory rw - cgroup cgroup "
            f"rw,memory\n33 31 0:30 {mounted} /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpu",
        },
    )


def test_a_machine_without_groups_has_no_limit(tmp_path: Path) -> None:
    assert group_memory(tmp_path) is None
    assert group_cpus(tmp_path) is None


def test_max_is_no_limit(tmp_path: Path) -> None:
    v2(tmp_path)
    write_tree(
        tmp_path,
        {"sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/cpu.max": "max 100000"},
    )
    assert group_memory(tmp_path) is None
    assert group_cpus(tmp_path) is None


def test_cached_files_count_as_available(tmp_path: Path) -> None:
    v2(tmp_path)
    write_tree(
        tmp_path,
        {
            "sys/fs/cgroup/memory.max": str(1000 * MIB),
            "sys/fs/cgroup/memory.current": str(700 * MIB),
            "sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {200 * MIB}\nfile 7",
        },
    )
    memory = group_memory(tmp_path)
    assert memory is not None
    assert (memory.limit_bytes, memory.available_bytes) == (1000 * MIB, 500 * MIB)


def test_the_tightest_of_the_groups_above_counts(tmp_path: Path) -> None:
    v2(tmp_path, "/user.slice/app.scope")
    write_tree(
        tmp_path,
        {
            "sys/fs/cgroup/user.slice/memory.max": str(400 * MIB),
            "sys/fs/cgroup/user.slice/memory.current": str(390 * MIB),
            "sys/fs/cgroup/user.slice/app.scope/memory.max": str(300 * MIB),
            "sys/fs/cgroup/user.slice/app.scope/memory.current": str(100 * MIB),
            "sys/fs/cgroup/user.slice/app.scope/cpu.max": "150000 100000",
        },
    )
    memory = group_memory(tmp_path)
    assert memory is not None
    assert (memory.limit_bytes, memory.available_bytes) == (300 * MIB, 10 * MIB)
    assert group_cpus(tmp_path) == 1.5


def test_version_one_in_a_container_that_sees_its_own_group_only(tmp_path: Path) -> None:
    v1(tmp_path, "/docker/abc", mounted="/docker/abc")
    write_tree(
        tmp_path,
        {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(512 * MIB),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": str(200 * MIB),
            "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {50 * MIB}",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    )
    memory = group_memory(tmp_path)
    assert memory is not None
    assert (memory.limit_bytes, memory.available_bytes) == (512 * MIB, 362 * MIB)
    assert group_cpus(tmp_path) == 2


def test_a_path_of_the_host_that_is_not_mounted_here_is_no_fault(tmp_path: Path) -> None:
    v1(tmp_path, "/kubepods/pod1")
    write_tree(tmp_path, {"sys/fs/cgroup/memory/memory.limit_in_bytes": str(64 * MIB)})
    memory = group_memory(tmp_path)
    assert memory is not None
    assert memory.limit_bytes == 64 * MIB


def test_an_unlimited_group_of_version_one_does_not_limit_the_machine(tmp_path: Path) -> None:
    """Version one writes a number near 2**63 for "no limit"."""
    v1(tmp_path)
    write_tree(tmp_path, {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"})
    ram = read_ram(play(load("no_gpu"), tmp_path))
    assert ram.limit_bytes is None
    assert ram.usable_bytes == ram.total_bytes
    assert ram.available_bytes == 24_000_000_000
