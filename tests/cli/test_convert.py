"""What ``ehps convert`` makes of its options."""

import pytest
import typer
from typer.testing import CliRunner

from ehps.cli.convert import byte_count
from ehps.cli.main import app


@pytest.mark.parametrize(("text", "count"), [("700", 700), ("2K", 2048), ("500M", 500 << 20), ("1g", 1 << 30)])
def test_sizes_are_numbers_with_a_unit(text, count):
    assert byte_count(text) == count


@pytest.mark.parametrize("text", ["", "G", "0", "-1M", "1.5G", "1T", "ten"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(typer.BadParameter, match="should look like 500M or 1G"):
        byte_count(text)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [("--part", "3/2", "a part is i/n"), ("--jpeg", "til", "til"), ("--shard-size", "big", "should look like 500M")],
)
def test_a_wrong_option_is_refused_before_anything_is_done(tmp_path, option, value, sentence):
    command = ["convert", "ochuman", "--raw", str(tmp_path), "--out", str(tmp_path / "out"), option, value]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert sentence in result.output
    assert not (tmp_path / "out").exists()
