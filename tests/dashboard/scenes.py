"""Scenes as the browser reads them from their bytes (``dashboard/viewer/packing.py`` tells the format)."""

import json
import struct
from typing import Any

import numpy as np

ARRAYS = ("vertices", "triangles", "distances", "joints")


def unpack(data: bytes) -> dict[str, Any]:
    """Return the header of a scene with arrays in place of where they lie."""
    (length,) = struct.unpack_from("<I", data)
    scene = json.loads(data[4 : 4 + length])
    for person in scene["people"]:
        for name in set(ARRAYS) & set(person):
            kind, offset, size = person[name]
            start = 4 + length + offset
            assert start % 4 == 0, f"{name} begins at {start}"
            person[name] = np.frombuffer(data, f"<{kind}", size, start)
    return scene


def shown_scenes(app: Any) -> list[dict[str, Any]]:
    """Return the scenes on a page of AppTest."""
    return [unpack(element.proto.bytes) for element in app.get("bidi_component")]
