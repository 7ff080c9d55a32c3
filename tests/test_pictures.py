"""The pictures of reports in the README are those that `python -m tests.pictures` makes, and are small."""

import gzip
import json
import struct

import pytest

from tests.pictures import FOLDER, MOST_BYTES, PICTURES, ROOT, Wanted


@pytest.mark.parametrize("wanted", PICTURES, ids=lambda wanted: wanted.name)
def test_a_picture_is_a_small_png_of_the_size_it_should_have(wanted: Wanted) -> None:
    data = (FOLDER / wanted.name).read_bytes()
    assert len(data) < MOST_BYTES
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (wanted.width, wanted.height)  # the header chunk comes first


@pytest.mark.parametrize("wanted", PICTURES, ids=lambda wanted: wanted.name)
def test_a_picture_is_of_a_real_run(wanted: Wanted) -> None:
    for name in wanted.rows:
        with gzip.open(ROOT / "samples" / "study" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as rows:
            assert json.loads(next(rows))["model"] == "local/smollm2-135m"


def test_no_other_picture_of_a_report_lies_about() -> None:
    assert {path.name for path in FOLDER.glob("*.png")} == {wanted.name for wanted in PICTURES}
