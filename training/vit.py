"""A plain vision transformer in ViTPose's layout, with learnable task tokens in front of the picture's tokens.

The encoder of SMPLer-X (31 task tokens) and SMPLest-X (80). Module names are those of the released checkpoints and,
but for ``task_tokens``, of ViTPose's. Facts: "ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation",
and the layer lists of the public repositories SMPLCap/SMPLer-X and wqyin/SMPLest-X. A picture of 256 x 192 gives a grid
of 16 x 12 patches; the position of the class token, which does not exist here, is added to every patch.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from .precision import exact, full_precision
from .stochastic_depth import kept

PATCH = 16
PATCH_PADDING = 2
GRID = (16, 12)


class Attention(nn.Module):
    """Self-attention over all tokens, with one fused projection to queries, keys and values."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Return the attended tokens."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Return the transformed tokens."""
        return self.fc2(gelu(self.fc1(x)))


class Block(nn.Module):
    """One pre-norm transformer block with stochastic depth."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: int, drop_path_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, mlp_ratio * dim)
        self.drop_path_rate = drop_path_rate

    def forward(
        self, x: Float[Tensor, "batch tokens dim"], draws: Float[Tensor, "batch 2"] | None = None
    ) -> Float[Tensor, "batch tokens dim"]:
        """Return the tokens after attention and MLP, each added to its input; ``draws`` as in ``ViT.forward``."""
        attention, mlp = (None, None) if draws is None else draws.unbind(1)
        x = x + kept(self.attn(self.norm1(x)), self.drop_path_rate, self.training, attention)
        return x + kept(self.mlp(self.norm2(x)), self.drop_path_rate, self.training, mlp)


class PatchEmbed(nn.Module):
    """Cut the picture into patches of 16 pixels (2 pixels of padding) and embed each linearly."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, PATCH, stride=PATCH, padding=PATCH_PADDING)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patches dim"]:
        """Return the patch tokens, row by row."""
        with full_precision(images):
            return self.proj(exact(images)).flatten(2).transpose(1, 2)


class ViT(nn.Module):
    """The encoder: patch tokens and task tokens through ``depth`` blocks and a last norm.

    ``checkpoint_blocks`` recomputes each block in the backward pass instead of storing it: less memory, about a third
    more time.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        depth: int,
        num_heads: int,
        num_task_tokens: int,
        drop_path_rate: float = 0.0,
        mlp_ratio: int = 4,
        checkpoint_blocks: bool = False,
    ) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim {embed_dim} cannot be split over {num_heads} heads")
        self.checkpoint_blocks = checkpoint_blocks
        self.task_tokens = nn.Parameter(torch.empty(1, num_task_tokens, embed_dim))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + GRID[0] * GRID[1], embed_dim))
        self.patch_embed = PatchEmbed(embed_dim)
        rates = [drop_path_rate * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads, mlp_ratio, rate) for rate in rates)
        self.last_norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self._initialise()

    def _initialise(self) -> None:
        """Draw every weight as ViTPose does: truncated normal of 0.02, zero biases, unit norms."""
        nn.init.trunc_normal_(self.task_tokens, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(
        self, images: Float[Tensor, "batch 3 256 192"], draws: Float[Tensor, "batch blocks 2"] | None = None
    ) -> tuple[Float[Tensor, "batch dim 16 12"], Float[Tensor, "batch tasks dim"]]:
        """Return the feature map and the task tokens, both after the last norm.

        ``draws`` (``stochastic_depth.depth_draws``) decide in training which samples skip which blocks.
        """
        patches = self.patch_embed(images) + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        x = torch.cat([self.task_tokens.expand(len(images), -1, -1), patches], dim=1)
        recompute = self.checkpoint_blocks and self.training
        for number, block in enumerate(self.blocks):
            given = (x, None if draws is None else draws[:, number])
            x = checkpoint(block, *given, use_reentrant=False) if recompute else block(*given)
        tasks, patches = self.last_norm(x).split([self.task_tokens.shape[1], GRID[0] * GRID[1]], dim=1)
        return patches.transpose(1, 2).unflatten(2, GRID), tasks
