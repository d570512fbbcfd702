"""The disks that hold the app's folders."""

import shutil
from pathlib import Path

from m1desk.hardware.disks import Mount, read_disks


def test_a_folder_that_does_not_exist_yet_is_judged_by_the_one_above(tmp_path: Path) -> None:
    (disk,), notes = read_disks([tmp_path / "a" / "b", tmp_path])
    assert notes == ()
    assert disk.folders == (str(tmp_path / "a" / "b"), str(tmp_path))
    assert disk.total_bytes == shutil.disk_usage(tmp_path).total
    assert 0 < disk.free_bytes <= disk.total_bytes
    assert disk.file_system
    assert str(tmp_path).startswith(disk.mount_point)


def test_the_innermost_and_latest_mount_is_the_one(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    mounts = [
        Mount("/dev/a", "/", "ext4"),
        Mount("/dev/b", str(tmp_path), "xfs"),
        Mount("/dev/c", str(tmp_path / "mod"), "btrfs"),
        Mount("/dev/d", str(tmp_path), "vfat"),
    ]
    (disk,), _ = read_disks([tmp_path / "models"], mounts)
    assert (disk.device, disk.file_system) == ("/dev/d", "vfat")
    assert disk.file_size_limit_bytes == (4 << 30) - 1


def test_two_disks_are_two(tmp_path: Path) -> None:
    mounts = [Mount("/dev/a", "/", "ext4"), Mount("/dev/b", str(tmp_path / "m"), "xfs")]
    (tmp_path / "m").mkdir()
    disks, _ = read_disks([tmp_path, tmp_path / "m" / "models"], mounts)
    assert [disk.device for disk in disks] == ["/dev/a", "/dev/b"]
    assert disks[0].file_size_limit_bytes is None


def test_a_folder_that_can_not_be_examined_is_a_note(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 5000)
    disks, notes = read_disks([long, tmp_path])
    assert len(disks) == 1
    assert len(notes) == 1
    assert "could not be examined" in notes[0]
