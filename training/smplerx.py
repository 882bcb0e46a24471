"""SMPLer-X: one crop of a person in; SMPL-X parameters, a camera, boxes of hands and face and 3D heatmap joints out.

A vision transformer carries 31 task tokens beside the 192 patch tokens. The body's pose is read from its tokens and the
expected cells of 25 joints in a volume over the crop. A box net finds hands and face; hands are read from the feature
map, enlarged four times and cut at their boxes, the left one mirrored so that one regressor serves both. The modules
carry the names of the released checkpoints, so those load strictly.

Re-implemented from "SMPLer-X: Scaling Up Expressive Human Pose and Shape Estimation" (NeurIPS 2023) and facts about the
public repository caizhongang/SMPLer-X; no code was taken.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .compat import GRID_DEPTH, GRID_WIDTH, INPUT_WIDTH, PAPER, Quirks
from .crop_network import CropNetwork
from .feature_sampling import box_features, expected_cell, sampled, softmax_volume
from .network_size import NetworkSize
from .outputs import Prediction
from .precision import exact, full_precision
from .synced_norm import SyncedBatchNorm2d
from .vit import ViT

NUM_TASK_TOKENS = 31
SHAPE, CAMERA, EXPRESSION, JAW = range(4)  # what the first tokens are for; 4 and 5, of the hands, are read by nothing
BODY_TOKENS = slice(6, 31)
NUM_BODY_JOINTS, NUM_HAND_JOINTS = 25, 20  # of the supervised joints: all of the body, all of a hand
WIDTH = 512  # of what the regressors read
BOX_WIDTH = 256
BOX_UPSAMPLING = 8  # the box net's map over the 16 x 12 feature map
HAND_CELLS = 16  # a hand's volume has as many along each side
HAND_UPSAMPLING = 4
PIXELS_PER_CELL = INPUT_WIDTH // GRID_WIDTH
ENLARGED = (2.0, 2.0, 1.5)  # left hand, right hand, face: predicted boxes are tight, crops need room
MIRRORED_SIXD = (1.0, -1.0, -1.0, 1.0, -1.0, 1.0)  # a 6D rotation as a mirror turns it (x to -x)


class PartPrediction(NamedTuple):
    """What is said of places in the crop, which only losses and pictures look at; left hand, right hand, face."""

    body_cells: Float[Tensor, "batch 25 3"]
    """x, y of the body's joints in cells of the 12 x 16 grid, z in 16 cells over two metres about the pelvis."""
    hand_cells: Float[Tensor, "batch 2 20 3"]
    """The hands' joints in their boxes: 16 cells along x, y and z."""
    box_centres: Float[Tensor, "batch 3 2"]
    """x, y in cells of the 12 x 16 grid."""
    box_sizes: Float[Tensor, "batch 3 2"]
    boxes: Float[Tensor, "batch 3 4"]
    """x0, y0, x1, y1 in px of 256 x 192: square, enlarged, without gradient. Hands were cut there."""


class SmplerXPrediction(NamedTuple):
    """Everything that the network says."""

    body: Prediction
    parts: PartPrediction


def _up(channels: int, out_channels: int) -> list[nn.Module]:
    """Return layers that double a feature map."""
    transposed = nn.ConvTranspose2d(channels, out_channels, 4, stride=2, padding=1, bias=False)
    return [transposed, SyncedBatchNorm2d(out_channels), nn.ReLU(inplace=True)]


class PositionNet(nn.Module):
    """A feature map to joints: a volume of probabilities each, and their expected cells."""

    def __init__(self, dim: int, num_joints: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(dim, num_joints * GRID_DEPTH, 1))

    def forward(
        self, features: Float[Tensor, "batch dim height width"]
    ) -> tuple[Float[Tensor, "batch joints 16 height width"], Float[Tensor, "batch joints 3"]]:
        """Return the volumes and, in their cells, the joints (x, y, z)."""
        volumes = softmax_volume(self.conv(features).unflatten(1, (-1, GRID_DEPTH)))
        return volumes, expected_cell(volumes)


class BodyRegressor(nn.Module):
    """Tokens and joints to the body's rotations, shape and camera."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.body_conv = nn.Sequential(nn.Linear(dim, WIDTH))
        self.root_pose_out = nn.Sequential(nn.Linear(NUM_BODY_JOINTS * (WIDTH + 3), 6))
        self.body_pose_out = nn.Sequential(nn.Linear(NUM_BODY_JOINTS * (WIDTH + 3), 21 * 6))
        self.shape_out = nn.Sequential(nn.Linear(dim, 10))
        self.cam_out = nn.Sequential(nn.Linear(dim, 3))

    def forward(
        self, tokens: Float[Tensor, "batch 31 dim"], cells: Float[Tensor, "batch 25 3"]
    ) -> dict[str, Float[Tensor, "batch *rest"]]:
        """Return the fields of a ``Prediction`` that belong to the body."""
        tokens = exact(tokens)
        read = torch.cat([self.body_conv(tokens[:, BODY_TOKENS]), cells], dim=2).flatten(1)
        return {
            "global_orient": self.root_pose_out(read),
            "body_pose": self.body_pose_out(read).unflatten(-1, (21, 6)),
            "betas": self.shape_out(tokens[:, SHAPE]),
            "camera": self.cam_out(tokens[:, CAMERA]),
        }


class BoxNet(nn.Module):
    """Features and the body's volumes to centres and sizes of the boxes of left hand, right hand and face."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        channels = dim + NUM_BODY_JOINTS * GRID_DEPTH
        self.deconv = nn.Sequential(*_up(channels, BOX_WIDTH), *_up(BOX_WIDTH, BOX_WIDTH), *_up(BOX_WIDTH, BOX_WIDTH))
        self.bbox_center = nn.Sequential(nn.Conv2d(BOX_WIDTH, 3, 1))
        self.lhand_size, self.rhand_size, self.face_size = (
            nn.Sequential(nn.Linear(BOX_WIDTH, BOX_WIDTH), nn.ReLU(inplace=True), nn.Linear(BOX_WIDTH, 2))
            for _ in range(3)
        )

    def forward(
        self, features: Float[Tensor, "batch dim 16 12"], volumes: Float[Tensor, "batch 25 16 16 12"]
    ) -> tuple[Float[Tensor, "batch 3 2"], Float[Tensor, "batch 3 2"]]:
        """Return centres and sizes in cells of the 12 x 16 grid."""
        enlarged = self.deconv(torch.cat([features, volumes.flatten(1, 2).to(features.dtype)], dim=1))
        centres = expected_cell(softmax_volume(self.bbox_center(enlarged)))
        there = sampled(enlarged, centres.detach())
        sizes = [net(there[:, i]) for i, net in enumerate((self.lhand_size, self.rhand_size, self.face_size))]
        return centres / BOX_UPSAMPLING, torch.stack(sizes, dim=1)


def square_boxes(centres: Float[Tensor, "batch 3 2"], sizes: Float[Tensor, "batch 3 2"]) -> Float[Tensor, "batch 3 4"]:
    """Return boxes from cells as x0, y0, x1, y1 in px of 256 x 192: as wide as high, enlarged, without gradient."""
    centres, sizes = (values.detach().float() * PIXELS_PER_CELL for values in (centres, sizes))
    half = sizes.amax(dim=-1, keepdim=True) / 2
    enlarged = torch.cat([half[:, i : i + 1] * factor for i, factor in enumerate(ENLARGED)], dim=1)
    return torch.cat([centres - enlarged, centres + enlarged], dim=-1)


class HandRoiNet(nn.Module):
    """Cuts both hands out of the feature map, enlarged four times; the left one comes mirrored."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.deconv = nn.Sequential(*_up(dim, dim // 2), *_up(dim // 2, dim // 4))
        self.conv = nn.Sequential(nn.Conv2d(dim // 4, dim, 1))

    def forward(
        self, features: Float[Tensor, "batch dim 16 12"], boxes: Float[Tensor, "batch 3 4"]
    ) -> Float[Tensor, "twice_batch dim 16 16"]:
        """Return the features of all left hands, then of all right hands; boxes in px of 256 x 192."""
        enlarged = self.deconv(features)
        in_cells = boxes * (HAND_UPSAMPLING / PIXELS_PER_CELL)
        left, right = (box_features(enlarged, in_cells[:, i], HAND_CELLS) for i in range(2))
        return self.conv(torch.cat([left.flip(-1), right]))


class HandRegressor(nn.Module):
    """A hand's features and joints to its rotations."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.hand_conv = nn.Sequential(nn.Conv2d(dim, WIDTH, 1), SyncedBatchNorm2d(WIDTH), nn.ReLU(inplace=True))
        self.hand_pose_out = nn.Sequential(nn.Linear(NUM_HAND_JOINTS * (WIDTH + 3), 15 * 6))

    def forward(
        self, features: Float[Tensor, "hands dim 16 16"], cells: Float[Tensor, "hands 20 3"]
    ) -> Float[Tensor, "hands 15 6"]:
        """Return the rotations of right hands, or of mirrored left ones."""
        there = exact(sampled(self.hand_conv(features), cells[..., :2]))
        with full_precision(there):
            return self.hand_pose_out(torch.cat([there, cells], dim=2).flatten(1)).unflatten(-1, (15, 6))


class FaceRegressor(nn.Module):
    """Two tokens to the face."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.expr_out = nn.Sequential(nn.Linear(dim, 10))
        self.jaw_pose_out = nn.Sequential(nn.Linear(dim, 6))

    def forward(self, tokens: Float[Tensor, "batch 31 dim"]) -> dict[str, Float[Tensor, "batch *rest"]]:
        """Return the fields of a ``Prediction`` that belong to the face."""
        tokens = exact(tokens)
        return {"expression": self.expr_out(tokens[:, EXPRESSION]), "jaw_pose": self.jaw_pose_out(tokens[:, JAW])}


class SmplerX(CropNetwork):
    """The network: crops in [0, 1] to ``SmplerXPrediction``.

    Of a ``NetworkSize`` only the encoder's numbers count. Hands are deviations from the mean hand, as in SMPLest-X.
    """

    mirror: Float[Tensor, "6"]

    def __init__(self, size: NetworkSize, quirks: Quirks = PAPER, *, checkpoint_blocks: bool = False) -> None:
        super().__init__(quirks)
        self.size = size
        dim = size.embed_dim
        self.encoder = ViT(
            embed_dim=dim,
            depth=size.depth,
            num_heads=size.num_heads,
            num_task_tokens=NUM_TASK_TOKENS,
            drop_path_rate=size.drop_path_rate,
            checkpoint_blocks=checkpoint_blocks,
        )
        self.body_position_net = PositionNet(dim, NUM_BODY_JOINTS)
        self.body_regressor = BodyRegressor(dim)
        self.box_net = BoxNet(dim)
        self.hand_roi_net = HandRoiNet(dim)
        self.hand_position_net = PositionNet(dim, NUM_HAND_JOINTS)
        self.hand_regressor = HandRegressor(dim)
        self.face_regressor = FaceRegressor(dim)
        # A buffer, since a copy at each step would stall the GPU; off the meta device, since no file brings it.
        self.register_buffer("mirror", torch.tensor(MIRRORED_SIXD, device="cpu"), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Draw everything behind the encoder as the released code does: convolutions of 0.001, linear of 0.01."""
        for name, module in self.named_modules():
            if name.startswith("encoder") or not isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                continue
            nn.init.normal_(module.weight, std=0.01 if isinstance(module, nn.Linear) else 0.001)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], draws: Float[Tensor, "batch blocks 2"] | None = None
    ) -> SmplerXPrediction:
        """Return what is said of crops in [0, 1], 512 x 384 or 256 x 192; ``draws`` as in ``ViT.forward``."""
        features, tokens = self.encoder(self.prepare(images), draws)
        volumes, body_cells = self.body_position_net(features)
        with full_precision(tokens):
            said = self.body_regressor(tokens, body_cells.detach()) | self.face_regressor(tokens)
        centres, sizes = self.box_net(features, volumes.detach())
        boxes = square_boxes(centres, sizes)
        hands, hand_cells = self._hands(features, boxes)
        left_hand_pose, right_hand_pose = hands
        parts = PartPrediction(body_cells, hand_cells, centres, sizes, boxes)
        return SmplerXPrediction(
            Prediction(**said, left_hand_pose=left_hand_pose, right_hand_pose=right_hand_pose), parts
        )

    def _hands(
        self, features: Float[Tensor, "batch dim 16 12"], boxes: Float[Tensor, "batch 3 4"]
    ) -> tuple[Float[Tensor, "2 batch 15 6"], Float[Tensor, "batch 2 20 3"]]:
        """Return the rotations of left and right hands, and their joints in their boxes."""
        cut = self.hand_roi_net(features, boxes)
        _, cells = self.hand_position_net(cut)
        pose = self.hand_regressor(cut, cells.detach()).unflatten(0, (2, -1))
        pose = torch.stack([pose[0] * self.mirror, pose[1]])
        left, right = cells.unflatten(0, (2, -1))
        left = torch.cat([HAND_CELLS - 1 - left[..., :1], left[..., 1:]], dim=-1)
        return pose, torch.stack([left, right], dim=1)
