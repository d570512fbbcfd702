"""What a broken, foreign or hostile file gets: a readable refusal, in bounded time."""

from __future__ import annotations

import os
import random
import struct
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from gguf_making import write_gguf, write_split

from m1desk.errors import ModelFileError
from m1desk.models import SkippedValue, read_gguf_header
from m1desk.models.gguf import read_part
from m1desk.models.gguf_bytes import HEADER_LIMIT

if TYPE_CHECKING:
    from pathlib import Path

FUZZ_CASES = 10_000


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    numbers = {"block_count": 2, "attention.head_count_kv": [1, 0]}
    return write_gguf(tmp_path / "sound.gguf", numbers=numbers, vocabulary=4).read_bytes()


def refusal(tmp_path: Path, content: bytes, name: str = "bad.gguf") -> ModelFileError:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        read_gguf_header(path)
    return caught.value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"GG", "only 2 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"PK\x03\x04 a checkpoint", "PyTorch"),
        (b"tjgg\x03\x00\x00\x00\x00\x00\x00\x00", "before GGUF"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00{}", "safetensors"),
        (b"no model at all", "does not begin"),
        (b"GGUF\x00\x00\x00\x03" + bytes(16), "big-endian"),
        (b"GGUF\x01\x00\x00\x00" + bytes(16), "version 1"),
        (b"GGUF\x09\x00\x00\x00" + bytes(16), "version 9"),
    ],
)
def test_a_foreign_file_is_named_for_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in str(refusal(tmp_path, content))


def test_a_truncated_file_says_how_much_is_missing(tmp_path: Path, sound: bytes) -> None:
    error = refusal(tmp_path, sound[:-100])
    assert "incomplete" in error.what
    # The last tensor of the sound file is 512 bytes long, so nothing follows it but padding.
    assert f"100 of its {len(sound):,} bytes are missing" in error.why


def test_every_truncation_is_refused(tmp_path: Path, sound: bytes) -> None:
    for length in range(0, len(sound), 7):
        with pytest.raises(ModelFileError):
            read_part(BytesIO(sound[:length]), length, "cut.gguf")


@pytest.mark.parametrize(
    ("tensors", "keys", "words"),
    [(2**63, 0, "tensors"), (0, 2**63, "metadata entries"), (2**32, 2**32, "metadata entries")],
)
def test_absurd_counts_are_refused_before_anything_is_made(
    tmp_path: Path, tensors: int, keys: int, words: str
) -> None:
    content = b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + bytes(100)
    assert words in str(refusal(tmp_path, content))


def one_value(kind: int, data: bytes, *, count: int = 1, pad: int = 64) -> bytes:
    """A header with one metadata entry, `k`."""
    entry = struct.pack("<Q", 1) + b"k" + struct.pack("<I", kind) + data
    return b"GGUF" + struct.pack("<IQQ", 3, 0, count) + entry + bytes(pad)


def one_tensor(name: bytes, shape: tuple[int, ...], kind: int, start: int = 0) -> bytes:
    entry = struct.pack("<Q", len(name)) + name + struct.pack("<I", len(shape))
    entry += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, start)
    return b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + entry + bytes(4096)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (one_value(8, struct.pack("<Q", 2**62)), "bytes are missing"),
        (one_value(77, b""), "unknown type 77"),
        (one_value(9, struct.pack("<IQ", 9, 1)), "array of arrays"),
        (one_value(9, struct.pack("<IQ", 8, 2**40)), "array of 1,099,511,627,776 strings"),
        (one_value(9, struct.pack("<IQ", 4, 2**60)), "bytes are missing"),
        (one_value(9, struct.pack("<IQ", 99, 2)), "unknown type 99"),
        (one_tensor(b"t" * 64, (4,), 0), "length of 64"),
        (one_tensor(b"t", (1, 1, 1, 1, 1), 0), "5 dimensions"),
        (one_tensor(b"t", (2**40, 2**40), 0), "impossible shape"),
        (one_tensor(b"t", (33,), 2), "impossible shape"),
        (one_tensor(b"t", (4,), 4), "unknown type 4"),
        (one_tensor(b"t", (2**40,), 0), "bytes are missing"),
        (one_tensor(b"t", (4,), 0, start=32), "does not follow"),
        (one_tensor(b"t", (4,), 0, start=2**64 - 32), "does not follow"),
    ],
)
def test_a_hostile_header_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in str(refusal(tmp_path, content))


def test_a_repeated_key_is_refused(tmp_path: Path) -> None:
    entry = struct.pack("<Q", 1) + b"k" + struct.pack("<IB", 0, 1)
    content = b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + entry * 2 + bytes(64)
    assert "occurs twice" in str(refusal(tmp_path, content))


@pytest.mark.parametrize("alignment", [0, 3, 48])
def test_an_alignment_that_is_no_power_of_two_is_refused(tmp_path: Path, alignment: int) -> None:
    key = b"general.alignment"
    entry = struct.pack("<Q", len(key)) + key + struct.pack("<II", 4, alignment)
    content = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry + bytes(64)
    assert "power of two" in str(refusal(tmp_path, content))


def test_an_absurd_number_of_layers_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", numbers={"block_count": 4_000_000_000})
    with pytest.raises(ModelFileError, match="4,000,000,000 layers"):
        read_gguf_header(path)


def test_a_huge_sparse_file_costs_no_time_and_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse.gguf"
    strings = one_value(9, struct.pack("<IQ", 8, 3_999_999), pad=0)
    path.write_bytes(strings)
    os.truncate(path, HEADER_LIMIT * 8)
    assert read_gguf_header(path).metadata == {"k": SkippedValue("string", 3_999_999)}
    path.write_bytes(one_value(9, struct.pack("<IQ", 4, HEADER_LIMIT), pad=0))
    os.truncate(path, HEADER_LIMIT * 8)
    with pytest.raises(ModelFileError, match="header is larger"):
        read_gguf_header(path)


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    for path in (tmp_path / "none.gguf", tmp_path, tmp_path / "pipe.gguf"):
        with pytest.raises(ModelFileError):
            read_gguf_header(path)


def test_missing_parts_are_listed(tmp_path: Path) -> None:
    parts = write_split(tmp_path)
    parts[1].unlink()
    with pytest.raises(ModelFileError, match=r"big-00002-of-00003\.gguf"):
        read_gguf_header(parts[0])


def test_a_part_with_another_name_is_refused(tmp_path: Path) -> None:
    parts = write_split(tmp_path)
    renamed = parts[0].rename(tmp_path / "renamed.gguf")
    with pytest.raises(ModelFileError, match="original names"):
        read_gguf_header(renamed)


def test_parts_of_different_models_are_refused(tmp_path: Path) -> None:
    parts = write_split(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    parts[2].write_bytes(write_gguf(other / "a.gguf").read_bytes())
    with pytest.raises(ModelFileError, match="do not belong together"):
        read_gguf_header(parts[0])


def mutate(content: bytearray, chance: random.Random) -> bytes:
    """Change some bytes of the header: single ones, whole numbers, or by cutting and doubling."""
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(content))
        match chance.randrange(5):
            case 0:
                content[place] = chance.randrange(256)
            case 1:
                content[place] ^= 1 << chance.randrange(8)
            case 2:
                number = chance.choice([0, 1, 2**31, 2**32 - 1, 2**62, 2**64 - 1, len(content)])
                content[place : place + 8] = struct.pack("<Q", number)
            case 3:
                del content[place : place + chance.randint(1, 40)]
            case _:
                content[place:place] = content[place : place + chance.randint(1, 40)]
        if not content:
            break
    return bytes(content)


def test_no_mutation_gets_anything_but_a_header_or_a_refusal(tmp_path: Path, sound: bytes) -> None:
    chance = random.Random(20_251_101)
    outcomes = {"header": 0, "refused": 0}
    path = tmp_path / "fuzzed.gguf"
    for case in range(FUZZ_CASES):
        content = mutate(bytearray(sound), chance)
        try:
            part = read_part(BytesIO(content), len(content), "fuzzed.gguf")
            assert len(part.tensors) < 100
            outcomes["header"] += 1
        except ModelFileError:
            outcomes["refused"] += 1
        if case % 20 == 0:
            answer_all(path, content)
    assert min(outcomes.values()) > FUZZ_CASES // 20


def answer_all(path: Path, content: bytes) -> None:
    """A header that was accepted answers every question without an error."""
    path.write_bytes(content)
    try:
        header = read_gguf_header(path)
    except ModelFileError:
        return
    for name in dir(type(header)):
        if isinstance(getattr(type(header), name), property):
            getattr(header, name)
    assert header.kv_cache_bytes_per_token() >= 0
