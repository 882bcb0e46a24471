"""The golden files' stand-in for SMPL-X: sines of random combinations of all parameters."""

import numpy as np
import torch

from ehps.body.rotations import matrix_to_axis_angle


class MadeUpBody:
    """Poses as the body that the golden files were made with."""

    def __init__(self, joint_mix: np.ndarray) -> None:
        random = np.random.default_rng(7)
        drawn = random.standard_normal(joint_mix.shape)
        # The file carries the joints' matrix; the mesh's is the next draw of the same generator.
        np.testing.assert_allclose(drawn, joint_mix, atol=1e-6)
        self.joint_mix = torch.tensor(joint_mix)
        self.mesh_mix = torch.tensor(random.standard_normal((len(joint_mix), 300)), dtype=torch.float32)

    def __call__(self, *, betas, expression, transl, **rotations):
        names = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose")
        parts = [matrix_to_axis_angle(rotations[name]).flatten(1) for name in names]
        parameters = torch.cat([*parts, betas, expression], dim=1)
        points = [0.5 * torch.sin(parameters @ mix).unflatten(1, (-1, 3)) for mix in (self.joint_mix, self.mesh_mix)]
        return points[0] + transl[:, None], points[1] + transl[:, None]


def assert_golden(name: str, value: np.ndarray, expected: np.ndarray) -> None:
    """Fail unless within 1e-4 of each value, or of the array's root mean square where a value is near zero."""
    floor = 1e-4 * np.sqrt(np.mean(expected**2)) if expected.ndim else 0.0
    np.testing.assert_allclose(value.reshape(expected.shape), expected, rtol=1e-4, atol=floor, err_msg=name)
