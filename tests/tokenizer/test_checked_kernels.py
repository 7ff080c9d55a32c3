"""The build of the compiled engine that checks every address: it finds an overrun of one byte, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

OVERRUN = """
from tokenizer.kernels.compiling import kernel
from tokenizer.kernels.memory import {function}, allocate

@kernel("int64(int64, int64)")
def touch(address: int, size: int) -> int:
    for place in range({first}, size):
        {touch}
    return size

buffer = allocate(24)
print(touch(buffer.address, 24), flush=True)
print(touch(buffer.address, {size}))
"""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"NEEDLEPOINT_CHECKED_KERNELS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "plant",
    [
        {"function": "store_u8", "first": 0, "touch": "store_u8(address + place, 1)", "size": 25},
        {"function": "load_u8", "first": 0, "touch": "load_u8(address + place)", "size": 25},
        {"function": "load_u8", "first": -1, "touch": "load_u8(address + place)", "size": 24},
    ],
    ids=["write past the end", "read past the end", "read before the start"],
)
def test_an_overrun_of_one_byte_is_found(plant: dict[str, object]) -> None:
    first_is_right = plant["first"] == 0
    done = run("-c", OVERRUN.format(**plant))
    assert done.stdout == ("24\n" if first_is_right else "")
    assert "a kernel reached outside its buffers" in done.stderr


def test_a_write_that_nothing_checked_is_found_when_the_buffer_is_given_back() -> None:
    code = """
import ctypes
from tokenizer.kernels.memory import allocate
buffer = allocate(24)
ctypes.memset(buffer.address + 24, 7, 1)
del buffer
"""
    assert "a kernel wrote outside a buffer" in run("-c", code).stderr


@pytest.mark.timeout(600)
def test_a_minute_of_chance_finds_no_difference() -> None:
    assert "no difference" in run("-m", "tests.fuzz", "--seconds", "60").stdout
