"""The viewer on a page: a component of Streamlit, whose files travel with the scene and come from nowhere else."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from ..plaintext import plain
from ..solid import Scene
from .packing import SceneError, pack

NAME = "ehps.viewer"
_HERE = Path(__file__).parent
_SCRIPTS = ("scene.js", "painter.js", "viewer.js")  # each imports from those before it


def script() -> str:
    """Return the scripts as the one module that Streamlit takes: behind each other, without their imports."""
    lines = "".join((_HERE / name).read_text(encoding="utf-8") for name in _SCRIPTS).splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("import "))


@lru_cache(maxsize=1)
def _mount() -> Callable[..., Any]:
    """Register the component and return what puts it on a page."""
    css = (_HERE / "viewer.css").read_text(encoding="utf-8")
    return component(NAME, html='<div class="viewer"></div>', css=css, js=script())


def show(scene: Scene, key: str) -> None:
    """Draw a scene over the width of its column, or say why it cannot be; the key is that of the element."""
    try:
        data = pack(scene)
    except SceneError as error:
        st.error(f"Not drawn in 3D: {plain(str(error))}.", icon=":material/error:")
        return
    _mount()(key=key, data=data)
