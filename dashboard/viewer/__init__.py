"""The view of bodies in 3D: ``viewer.js`` draws with WebGL2 in the browser what ``component`` sends it."""

from .component import show

__all__ = ["show"]
