"""Packs: samples that hold one person each, cut with room for every augmentation and no larger than a network can use.

A cut is a square about the box that training crops from, ``margin`` times as large: a crop that is a quarter larger
and turned by any angle still fits (1.25 * 1.25 < 1.6), as far as the picture reaches. Up to ``max_height`` px of body
the cut of a JPEG is made of the frame's own tiles, without loss; a larger body is decoded, averaged down and encoded
anew. Two-dimensional labels and intrinsics move into pixels of the cut; all else stays. ``Frame.cut`` says from where.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..body.cameras import intrinsics_after_crop, intrinsics_after_scale
from ..errors import PictureError
from .codec import MAX_KEY_BYTES
from .jpeg import TileMap, map_tiles, mcu_window, tile_jpeg, window_jpeg
from .picture import JPEG_QUALITY, Picture, decode_rgb, encode_jpeg, encode_png
from .record import Camera, Cut, Frame, Person
from .region import Reduce

CROP_PADDING = 1.2  # of the box that training crops from, about the tight box
CROP_ASPECT = 3 / 4  # width by height of what a network sees
_REDUCTIONS: tuple[Reduce, ...] = (1, 2, 4, 8)  # of a JPEG while it is decoded
_BOXES = ("bbox_xyxy", "face_bbox_xyxy", "left_hand_bbox_xyxy", "right_hand_bbox_xyxy")


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """How people are cut out of their frames."""

    margin: float = 1.6
    """Side of the cut for the height of the box that training crops from."""
    max_height: int = 640
    """Height that a body may have, px; a larger one is averaged down to it."""


class Region(NamedTuple):
    """A part of a picture in px, half open."""

    x0: int
    y0: int
    x1: int
    y1: int


class _Piece(NamedTuple):
    """A picture cut from another."""

    data: bytes
    ext: str
    stored: str
    region: Region  # of the frame
    width: int  # px
    height: int


def person_cuts(
    frame: Frame, key: str, picture: Picture, options: PackOptions = PackOptions()
) -> Iterator[tuple[Frame, str, Picture]]:
    """Yield everyone of a frame as a frame of their own, with its global key and its picture.

    A person whose box is absent or lies outside the picture keeps the whole picture. The picture's checksum and luma
    stay those of the owner's picture, so that a cut can still be found to be part of it.
    """
    source = _Source(picture)
    for index, person in enumerate(frame.people):
        piece = source.cut(person, options)
        cut = _cut_of(key, index, piece)
        camera = _moved_camera(frame.camera, cut)
        one = replace(
            frame, key=f"{frame.key}#{index}", image=b"", width=piece.width, height=piece.height, quarter_turns=0
        )
        one = replace(one, people=(moved_person(person, cut),), camera=camera, cut=cut)
        tiles = map_tiles(piece.data) if piece.ext == "jpg" else None
        stored = Picture(
            piece.data, piece.ext, piece.width, piece.height, piece.stored, picture.blake3, tiles, picture.luma
        )
        yield one, pack_key(key, index), stored


def pack_key(key: str, person: int) -> str:
    """Return the global key of a person's own sample: the frame's, and the index of the person in it."""
    own = f"{key}_{person}"
    if len(own) <= MAX_KEY_BYTES:
        return own
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    end = f"-{digest}_{person}"
    return f"{key[: MAX_KEY_BYTES - len(end)]}{end}"


def cut_region(
    bbox_xyxy: Float[np.ndarray, "4"] | None, width: int, height: int, margin: float
) -> tuple[Region, float] | None:
    """Return the square that a person is cut out with, and the height of the body in it (px), both within the picture.

    None where there is no box or nothing of it lies in the picture. The height of a person who lies down is that of
    the box at the network's aspect.
    """
    if bbox_xyxy is None:
        return None
    box, size = bbox_xyxy.astype(np.float64), np.array([width, height], np.float64)
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    low, high = _clipped(centre - half * CROP_PADDING, centre + half * CROP_PADDING, size)
    if not (high > low).all():
        return None
    reach = _height_at_aspect(high - low) * margin / 2
    middle = (low + high) / 2 + 0.5
    x0, y0 = np.maximum(np.floor(middle - reach), 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(middle + reach), size).astype(int).tolist()
    low, high = _clipped(box[:2], box[2:], size)
    return Region(x0, y0, x1, y1), _height_at_aspect(high - low + 1)


def _clipped(
    low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"], size: Float[np.ndarray, "2"]
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Return the corners of a box as training clips it: what lies left of the picture is moved in, not cut off."""
    low, extent = np.maximum(low, 0.0), np.maximum(high - low - 1, 0.0)
    return low, np.minimum(low + extent, size - 1)


def _height_at_aspect(size: Float[np.ndarray, "2"]) -> float:
    """Return the height of the smallest box of the network's aspect that holds a box of this width and height."""
    return float(max(size[1], size[0] / CROP_ASPECT))


class _Source:
    """The picture of a frame, from which people are cut."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture

    @cached_property
    def _tiled(self) -> tuple[bytes, TileMap] | None:
        """The frame as a JPEG with tiles; None for a PNG and for a JPEG that cannot be tiled."""
        picture = self.picture
        if picture.ext != "jpg" or picture.tiles is not None:
            return None if picture.tiles is None else (picture.data, picture.tiles)
        try:
            tiled = tile_jpeg(picture.data)
        except PictureError as error:
            if error.reason != "unsupported_image":
                raise
            return None
        return tiled.data, tiled.tiles

    @cached_property
    def _pixels(self) -> UInt8[np.ndarray, "height width 3"]:
        """The whole frame, decoded."""
        return decode_rgb(self.picture.data)

    @property
    def _cut_name(self) -> str:
        """How a piece is stored whose pixels are those of the stored frame."""
        stored = self.picture.stored
        return "cut_as_distributed" if stored == "tiled" else f"cut_{stored}"

    def cut(self, person: Person, options: PackOptions) -> _Piece:
        """Return the piece of the picture that holds a person."""
        width, height = self.picture.width, self.picture.height
        found = cut_region(person.bbox_xyxy, width, height, options.margin)
        region, body = found or (Region(0, 0, width, height), 0.0)
        if body > options.max_height:
            return self._shrunk(region, options.max_height / body)
        return self._lossless(region)

    def _lossless(self, region: Region) -> _Piece:
        """Return a piece with the pixels of the frame: tiles of a JPEG, or the part of a PNG."""
        if self._tiled is not None:
            return self._tiles(region)
        if self.picture.ext == "jpg":
            return self._shrunk(region, 1.0)
        pixels = self._pixels[region.y0 : region.y1, region.x0 : region.x1]
        return _Piece(encode_png(pixels), "png", self._cut_name, region, pixels.shape[1], pixels.shape[0])

    def _tiles(self, region: Region) -> _Piece:
        """Return the tiles that hold a region, as a JPEG of their own."""
        assert self._tiled is not None
        data, tiles = self._tiled
        window = mcu_window(tiles, region)
        rows = data[tiles.row_offsets[window.row0] : tiles.row_offsets[window.row1]]
        small = window_jpeg(data[: tiles.header_size], rows, tiles, window)
        whole = Region(window.x0, window.y0, window.x0 + window.width, window.y0 + window.height)
        return _Piece(small, "jpg", self._cut_name, whole, window.width, window.height)

    def _shrunk(self, region: Region, scale: float) -> _Piece:
        """Return a piece averaged down by a factor and encoded anew."""
        reduce: Reduce = 1
        if self._tiled is not None:
            reduce = max(factor for factor in _REDUCTIONS if factor * scale <= 1)
        region = Region(*(edge // reduce * reduce for edge in region))
        width, height = region.x1 - region.x0, region.y1 - region.y0
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(self._decoded(region, reduce), size, interpolation=cv2.INTER_AREA)
        return _Piece(encode_jpeg(small), "jpg", f"cut_jpeg_{JPEG_QUALITY}", region, *size)

    def _decoded(self, region: Region, reduce: Reduce) -> UInt8[np.ndarray, "rows columns 3"]:
        """Return the pixels of a region, whose edges are multiples of the reduction."""
        if self._tiled is None:
            pixels, left, top = self._pixels, 0, 0
        else:
            piece = self._tiles(region)
            pixels, left, top = decode_rgb(piece.data, reduce=reduce), piece.region.x0, piece.region.y0
        x0, y0, x1, y1 = ((edge - start) // reduce for edge, start in zip(region, (left, top) * 2, strict=True))
        return pixels[y0:y1, x0:x1]


def _cut_of(key: str, index: int, piece: _Piece) -> Cut:
    """Return where a piece lies in its frame."""
    x0, y0, x1, y1 = piece.region
    scale_x, scale_y = piece.width / (x1 - x0), piece.height / (y1 - y0)
    return Cut(frame_key=key, person=index, x0=float(x0), y0=float(y0), scale_x=scale_x, scale_y=scale_y)


def moved_person(person: Person, cut: Cut) -> Person:
    """Return a person with all that is counted in pixels moved into the cut."""
    moved = {name: _moved_box(box, cut) for name in _BOXES if (box := getattr(person, name)) is not None}
    if person.keypoints_2d is not None:
        points = person.keypoints_2d.copy()
        points[:, :2] = moved_points(person.keypoints_2d[:, :2], cut)
        moved["keypoints_2d"] = points
    camera = None if person.camera is None else _moved_camera(person.camera, cut)
    return replace(person, camera=camera, **moved)


def moved_points(points: Float[np.ndarray, "*n 2"], cut: Cut) -> Float[np.ndarray, "*n 2"]:
    """Return pixels of the frame as pixels of the cut."""
    return (points + 0.5 - (cut.x0, cut.y0)) * (cut.scale_x, cut.scale_y) - 0.5


def _moved_box(box: Float[np.ndarray, "4"], cut: Cut) -> Float[np.ndarray, "4"]:
    """Return a box of the frame as a box of the cut."""
    return moved_points(box.reshape(2, 2), cut).reshape(4).astype(box.dtype)


def _moved_camera(camera: Camera, cut: Cut) -> Camera:
    """Return the camera of the frame as that of the cut."""
    if camera.K is None:
        return camera
    K = intrinsics_after_crop(camera.K.astype(np.float64), cut.x0, cut.y0)
    return replace(camera, K=intrinsics_after_scale(K, cut.scale_x, cut.scale_y))
