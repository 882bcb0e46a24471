"""A small source, converted through the verb once a session."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ehps.cli.main import app
from ehps.tests.raw import ochuman


def _converted(root: Path, **options: bool) -> Path:
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # the fixture that sets it for every test comes after those of a session
        patch.setenv("EHPS_BODY_MODELS", "standin")
        ochuman.build(root / "raw", bad=False, **options)
        result = CliRunner().invoke(
            app, ["convert", "ochuman", "--raw", f"{root}/raw", "--out", f"{root}/data", "--json"]
        )
    assert result.exit_code == 0, result.output + str(result.exception)
    assert '"val"' in result.stdout
    assert '"test"' in result.stdout
    return root / "data"


@pytest.fixture(scope="session")
def fitted(tmp_path_factory) -> Path:
    """The converted tree of OCHuman with bodies, beside its ``raw``; tests leave it as they find it."""
    return _converted(tmp_path_factory.mktemp("fitted"))


@pytest.fixture(scope="session")
def marked(tmp_path_factory) -> Path:
    """The same without bodies: keypoints that people marked, and boxes."""
    return _converted(tmp_path_factory.mktemp("marked"), fits=False)
