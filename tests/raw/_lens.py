"""Pictures as a lens shows them: what a pinhole would see, bent."""

import cv2
import numpy as np

from ehps.body.cameras import Distortion


def bent(picture: np.ndarray, K: np.ndarray, lens: Distortion) -> np.ndarray:
    """Return a pinhole picture as the lens of its camera shows it."""
    height, width = picture.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 1, 2).astype(np.float64)
    straight = cv2.undistortPoints(grid, K, np.array(lens.coefficients), P=K)
    where = straight.reshape(height, width, 2).astype(np.float32)
    return cv2.remap(picture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
