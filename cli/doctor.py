"""``ehps doctor``: one page to look at, or to paste into an issue, when something does not work."""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import JsonOption
from .output import emit_json

_PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "pyarrow",
    "duckdb",
    "torch",
    "smplx",
    "webdataset",
    "streamlit",
    "dask",
)
_MODEL_FILES = {
    "smplx/SMPLX_{}.npz": ("NEUTRAL", "MALE", "FEMALE"),
    "smpl/SMPL_{}.pkl": ("NEUTRAL", "MALE", "FEMALE"),
    "mano/MANO_{}.pkl": ("LEFT", "RIGHT"),
    "smplx/{}": ("MANO_SMPLX_vertex_ids.pkl", "SMPL-X__FLAME_vertex_ids.npy", "SMPLX_to_J14.pkl"),
}


def diagnose(
    catalog: Annotated[Path | None, typer.Option("--catalog", "-c", help="Also look at this folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is installed, which body models are found, and what is missing.

    Example: ehps doctor
    """
    facts = _machine() | {"packages": _packages(), "body models": _body_models()}
    if catalog:
        facts["catalog"] = str(catalog / "catalog.duckdb") if (catalog / "catalog.duckdb").is_file() else "not built"
    if as_json:
        emit_json([facts])
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            typer.echo(name)
            for key, item in value.items():
                typer.echo(f"  {key:<40} {item}")
        else:
            typer.echo(f"{name:<12} {value}")


def _machine() -> dict[str, Any]:
    from .. import __version__

    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return {
        "ehps": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "disk free": f"{free:.0f} GB here",
        "gpu": _gpu(),
    }


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "unknown: torch is not installed (pip install 'ehps[train]')"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def _packages() -> dict[str, str]:
    out = {}
    for name in _PACKAGES:
        try:
            out[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            out[name] = "not installed"
    return out


def _body_models() -> dict[str, str]:
    from ..body.models import ENVIRONMENT, is_standin, model_dir

    folder = model_dir()
    if folder is None:
        return {ENVIRONMENT: "not set: keypoints convert, joints and meshes do not; 'standin' is for trying out"}
    out = {ENVIRONMENT: f"{folder}{' (stand-in body)' if is_standin(folder) else ''}"}
    for pattern, variants in _MODEL_FILES.items():
        for variant in variants:
            name = pattern.format(variant)
            out[name] = "found" if (folder / name).is_file() else "missing"
    return out
