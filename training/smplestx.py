"""SMPLest-X: one crop of a person in, SMPL-X parameters and a camera out.

A vision transformer carries 80 learnable task tokens beside the 192 patch tokens; a decoder of six layers lets all of
them attend to each other and to the patches; each of eleven linear heads reads its own slice of the 80. There are no
crops of hands or face, no heatmaps and no iteration. The modules carry the names of the released checkpoints, so those
load strictly. Re-implemented from the description in "SMPLest-X: Ultimate Scaling for Expressive Human Pose and Shape
Estimation" and from facts about the public repository wqyin/SMPLest-X; no code was taken.

Nothing supervises ``to_token_embedding`` (never called), the hand cameras, the face's orientation and its camera. They
exist for the sake of the file layout and are frozen here, so distributed training needs no ``find_unused_parameters``.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from .compat import PAPER, Quirks
from .crop_network import CropNetwork
from .network_size import NetworkSize
from .outputs import Prediction
from .precision import exact, full_precision
from .vit import ViT

HEAD_DIM = 64  # of the decoder, whatever the width


class Head(NamedTuple):
    """Which task tokens a linear head reads and how many numbers it gives."""

    first: int
    last: int
    num_outputs: int


HEADS: dict[str, Head] = {
    "body_root_pose": Head(0, 1, 6),
    "body_pose": Head(1, 22, 21 * 6),
    "body_shape": Head(22, 32, 10),
    "body_cam": Head(32, 33, 3),
    "hand_root_pose": Head(33, 35, 2 * 6),
    "hand_pose": Head(35, 65, 30 * 6),
    "hand_cam": Head(65, 67, 2 * 3),
    "face_root_pose": Head(67, 68, 6),
    "face_expression": Head(68, 78, 10),
    "face_jaw_pose": Head(78, 79, 6),
    "face_cam": Head(79, 80, 3),
}
NUM_TASK_TOKENS = 80
UNSUPERVISED = (
    "decoder.transformer.to_token_embedding",
    "decoder.dec_hand_cam",
    "decoder.dec_face_root_pose",
    "decoder.dec_face_cam",
)


class SelfAttention(nn.Module):
    """Attention of all tokens to each other, heads of 64 whatever the width."""

    def __init__(self, dim: int, num_heads: int, head_dim: int = HEAD_DIM) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_qkv = nn.Linear(dim, 3 * num_heads * head_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(num_heads * head_dim, dim), nn.Dropout(0.0))

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Return the attended tokens."""
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.to_out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Attention of the tokens to the patches, heads of 64."""

    def __init__(self, dim: int, num_heads: int, head_dim: int = HEAD_DIM) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_kv = nn.Linear(dim, 2 * num_heads * head_dim, bias=False)
        self.to_q = nn.Linear(dim, num_heads * head_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(num_heads * head_dim, dim), nn.Dropout(0.0))

    def forward(
        self, x: Float[Tensor, "batch tokens dim"], context: Float[Tensor, "batch patches dim"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Return the attended tokens."""
        q = self.to_q(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        k, v = self.to_kv(context).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.to_out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers as wide as the tokens, with a GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Dropout(0.0), nn.Linear(dim, dim), nn.Dropout(0.0))

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Return the transformed tokens."""
        return self.net(x)


class PreNorm(nn.Module):
    """A layer norm in front of a module; what else the module takes is not normalised."""

    def __init__(self, dim: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = fn

    def forward(self, x: Float[Tensor, "batch tokens dim"], *context: Tensor) -> Float[Tensor, "batch tokens dim"]:
        """Return the module's answer to the normalised tokens."""
        return self.fn(self.norm(x), *context)


class DecoderLayer(nn.ModuleList):
    """Self-attention, cross-attention and feed-forward, each added to its input; a list, as the files name them."""

    def __init__(self, dim: int, num_heads: int) -> None:
        attentions = SelfAttention(dim, num_heads), CrossAttention(dim, num_heads)
        super().__init__([*(PreNorm(dim, attention) for attention in attentions), PreNorm(dim, FeedForward(dim))])

    def forward(
        self, x: Float[Tensor, "batch tokens dim"], context: Float[Tensor, "batch patches dim"], num_kept: int | None
    ) -> Float[Tensor, "batch kept dim"]:
        """Return the first ``num_kept`` tokens (all for None): the others are not computed past self-attention."""
        self_attention, cross_attention, feed_forward = self
        x = (x + self_attention(x))[:, :num_kept]
        x = x + cross_attention(x, context)
        return x + feed_forward(x)


class DecoderLayers(nn.Module):
    """Decoder layers, of which the last goes on with the task tokens only."""

    def __init__(self, dim: int, depth: int, num_heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(dim, num_heads) for _ in range(depth))

    def forward(
        self, x: Float[Tensor, "batch tokens dim"], context: Float[Tensor, "batch patches dim"], num_kept: int
    ) -> Float[Tensor, "batch kept dim"]:
        """Return the first ``num_kept`` tokens after all layers."""
        for layer in self.layers[:-1]:
            x = layer(x, context, None)
        return self.layers[-1](x, context, num_kept)


class TokenTransformer(nn.Module):
    """The decoder's transformer; ``pos_embedding`` is one vector for all tokens."""

    def __init__(self, dim: int, depth: int, num_heads: int) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(NUM_TASK_TOKENS, dim)
        self.pos_embedding = nn.Parameter(torch.randn(1, 1, dim))
        self.transformer = DecoderLayers(dim, depth, num_heads)

    def forward(
        self, tasks: Float[Tensor, "batch tasks dim"], patches: Float[Tensor, "batch patches dim"]
    ) -> Float[Tensor, "batch tasks dim"]:
        """Return the task tokens after attending to themselves and the patches."""
        tokens = torch.cat([tasks, patches], dim=1) + self.pos_embedding
        return self.transformer(tokens, patches, tasks.shape[1])


class Decoder(nn.Module):
    """Task tokens and feature map in, a ``Prediction`` out."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.transformer = TokenTransformer(size.embed_dim, size.decoder_depth, size.decoder_heads)
        self.token_conv = nn.Linear(size.embed_dim, size.dim_out)
        for name, head in HEADS.items():
            self.add_module(f"dec_{name}", nn.Linear((head.last - head.first) * size.dim_out, head.num_outputs))

    def forward(
        self, tasks: Float[Tensor, "batch tasks dim"], features: Float[Tensor, "batch dim 16 12"]
    ) -> Prediction:
        """Return what each head reads from its tokens."""
        tokens = self.transformer(tasks, features.flatten(2).transpose(1, 2))
        with full_precision(tokens):
            return self._read(self.token_conv(exact(tokens)))

    def _read(self, tokens: Float[Tensor, "batch tasks dim"]) -> Prediction:
        """Return what the heads say."""
        said = {
            name: self.get_submodule(f"dec_{name}")(tokens[:, head.first : head.last].flatten(1))
            for name, head in HEADS.items()
        }
        left_hand, right_hand = said["hand_pose"].unflatten(-1, (2, 15, 6)).unbind(1)
        return Prediction(
            global_orient=said["body_root_pose"],
            body_pose=said["body_pose"].unflatten(-1, (21, 6)),
            betas=said["body_shape"],
            camera=said["body_cam"],
            hand_orients=said["hand_root_pose"].unflatten(-1, (2, 6)),
            left_hand_pose=left_hand,
            right_hand_pose=right_hand,
            hand_cameras=said["hand_cam"].unflatten(-1, (2, 3)),
            face_orient=said["face_root_pose"],
            expression=said["face_expression"],
            jaw_pose=said["face_jaw_pose"],
            face_camera=said["face_cam"],
        )


class SmplestX(CropNetwork):
    """The network: crops in [0, 1] to ``Prediction``; ``outputs.body_outputs`` makes a posed person of that.

    The body layer is no part of the module: training and evaluation use different ones, and a checkpoint holds none.
    """

    def __init__(self, size: NetworkSize, quirks: Quirks = PAPER, *, checkpoint_blocks: bool = False) -> None:
        super().__init__(quirks)
        self.size = size
        self.encoder = ViT(
            embed_dim=size.embed_dim,
            depth=size.depth,
            num_heads=size.num_heads,
            num_task_tokens=NUM_TASK_TOKENS,
            drop_path_rate=size.drop_path_rate,
            checkpoint_blocks=checkpoint_blocks,
        )
        self.decoder = Decoder(size)
        for name in UNSUPERVISED:
            self.get_submodule(name).requires_grad_(False)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], draws: Float[Tensor, "batch blocks 2"] | None = None
    ) -> Prediction:
        """Return what the heads say of crops in [0, 1], 512 x 384 or 256 x 192; ``draws`` as in ``ViT.forward``."""
        features, tasks = self.encoder(self.prepare(images), draws)
        return self.decoder(tasks, features)
