"""The code of docs/streaming.md runs."""

import re
from pathlib import Path

import fsspec
import pytest
import yaml

import ehps

PAGE = Path(ehps.__file__).parent / "docs" / "streaming.md"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_code_of_the_page_runs_from_top_to_bottom(converted, tmp_path, monkeypatch):
    monkeypatch.setenv("EHPS_CACHE", str(tmp_path / "cache"))
    fsspec.filesystem("memory").put(str(converted), "/docs", recursive=True)
    mixture = tmp_path / "mine.yaml"
    mixture.write_text(yaml.safe_dump({"about": "a", "strategy": "concat", "members": [{"dataset": "bedlam"}]}))
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 7
    names = {"mixture": str(mixture), "data": converted, "url": "memory://docs"}
    for block in blocks:
        if "webdataset" in block:
            names["data"] = converted / "bedlam"  # the other source has PNGs
        exec(block, names)  # noqa: S102 - the page's own code
    assert names["state"]["position"] == 8
    assert "numbers" in names
