"""A SigLIP in plain PyTorch, with the parameter names of transformers' SiglipModel, so that its state dict is the checkpoint.

It computes what transformers' own class computes. After "Sigmoid Loss for Language Image Pre-Training" (Zhai et al. 2023) and
modeling_siglip.py.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        projections = self.q_proj, self.k_proj, self.v_proj
        qkv = F.linear(x, torch.cat([p.weight for p in projections]), torch.cat([p.bias for p in projections]))
        q, k, v = split_heads(qkv, 3, self.heads)
        return self.out_proj(attend(q, k, v))


def split_heads(x, parts, heads):
    """[B, T, parts * width] to `parts` times [B, heads, T, width / heads]."""
    return x.view(*x.shape[:2], parts, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)


def attend(q, k, v):
    """Plain products: on CPUs the backward pass of torch's own attention takes a third of a training step, this one a tenth."""
    weights = torch.softmax(q * q.shape[-1] ** -0.5 @ k.mT, -1)
    return (weights @ v).transpose(1, 2).flatten(2)


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        width = c["hidden_size"]
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.self_attn = Attention(width, c["num_attention_heads"])
        self.mlp = Mlp(width, c["intermediate_size"])

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList(Block(c) for _ in range(c["num_hidden_layers"]))

    def forward(self, x):
        for block in self.layers:
            x = block(x)
        return x


class PoolingHead(nn.Module):
    """One learned query that attends to all patches."""

    def __init__(self, c):
        super().__init__()
        width = c["hidden_size"]
        self.probe = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.attention = nn.MultiheadAttention(width, c["num_attention_heads"], batch_first=True)
        self.layernorm = nn.LayerNorm(width, 1e-6)
        self.mlp = Mlp(width, c["intermediate_size"])

    def forward(self, x):
        a, width = self.attention, x.shape[-1]
        (q,) = split_heads(F.linear(self.probe, a.in_proj_weight[:width], a.in_proj_bias[:width]), 1, a.num_heads)
        k, v = split_heads(F.linear(x, a.in_proj_weight[width:], a.in_proj_bias[width:]), 2, a.num_heads)
        pooled = a.out_proj(attend(q, k, v))
        return (pooled + self.mlp(self.layernorm(pooled)))[:, 0]


class VisionTower(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.grid = c["image_size"] // c["patch_size"]
        self.patch = c["patch_size"]
        self.embeddings = nn.Module()
        self.embeddings.patch_embedding = nn.Conv2d(3, c["hidden_size"], self.patch, self.patch)
        self.embeddings.position_embedding = nn.Embedding(self.grid**2, c["hidden_size"])
        self.encoder = Encoder(c)
        self.post_layernorm = nn.LayerNorm(c["hidden_size"], 1e-6)
        self.head = PoolingHead(c)

    def forward(self, pixels):
        """Pixels [B, 3, S, S] in -1 to 1, S any multiple of the patch size, to embeddings [B, width]."""
        return self.head(self.tokens(pixels))

    def tokens(self, pixels):
        """Pixels to what the last block says of each patch [B, patches, width], normed."""
        batch, side, p = len(pixels), pixels.shape[-1] // self.patch, self.patch
        # A convolution whose stride is its size is one matrix product over the patches.
        patches = pixels.view(batch, 3, side, p, side, p).permute(0, 2, 4, 1, 3, 5).reshape(batch, side * side, 3 * p * p)
        conv = self.embeddings.patch_embedding
        x = F.linear(patches, conv.weight.flatten(1), conv.bias)
        return self.post_layernorm(self.encoder(x + self.positions(side)))

    def positions(self, side):
        table = self.embeddings.position_embedding.weight
        return table if side == self.grid else stretched(table, side)


def stretched(places, side):
    """Embeddings of the places of a square [patches, width], for a square with so many patches a side."""
    own = round(len(places) ** 0.5)
    square = places.T.reshape(1, -1, own, own)
    return F.interpolate(square, size=(side, side), mode="bilinear").flatten(2)[0].T


class TextTower(nn.Module):
    def __init__(self, c):
        super().__init__()
        width = c["hidden_size"]
        self.embeddings = nn.Module()
        self.embeddings.token_embedding = nn.Embedding(c["vocab_size"], width)
        self.embeddings.position_embedding = nn.Embedding(c["max_position_embeddings"], width)
        self.encoder = Encoder(c)
        self.final_layer_norm = nn.LayerNorm(width, 1e-6)
        self.head = nn.Linear(width, c["projection_size"])

    def forward(self, ids):
        """Token ids [B, L], padded to L (SigLIP has no mask), to embeddings [B, width]: the last token's state, projected."""
        x = self.embeddings.token_embedding(ids) + self.embeddings.position_embedding.weight
        return self.head(self.final_layer_norm(self.encoder(x))[:, -1])


class Siglip(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.text_model, self.vision_model = TextTower(config["text_config"]), VisionTower(config["vision_config"])
        self.logit_scale = nn.Parameter(torch.tensor([math.log(10.0)]))
        self.logit_bias = nn.Parameter(torch.tensor([-10.0]))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.weight[0].numel()))
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.5 / math.sqrt(module.weight.shape[1]))
        # Residual branches start at nothing, so that each block is the identity at first.
        for tower in (self.text_model, self.vision_model):
            for block in tower.encoder.layers:
                nn.init.zeros_(block.self_attn.out_proj.weight)
                nn.init.zeros_(block.mlp.fc2.weight)


PLACE = 64  # channels that hold the position at first, as many as a head has


def see_well_at_first(tower, pixels):
    """Starts the picture tower as a kind of convolutional network, which a small one needs millions of pictures to find by itself.

    The patch embedding is the whitened principal components of real patches (drawings are mostly one flat colour: with random filters
    every patch embedding is nearly that colour alone). Positions are two-dimensional sines in channels of their own, and the heads of
    the first blocks read only these: each looks at the patches in one direction. After "Structured Initialization for Attention in
    Vision Transformers" (Zheng et al. 2024), which does the same without position channels."""
    p, conv, places = tower.patch, tower.embeddings.patch_embedding, tower.embeddings.position_embedding.weight
    width = conv.out_channels
    patches = pixels.unfold(2, p, p).unfold(3, p, p).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3 * p * p).double()
    mean = patches.mean(0)
    variance, directions = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
    count = min(width - PLACE, 3 * p * p)
    variance, directions = variance.flip(0)[:count], directions.flip(1)[:, :count]
    filters = (directions / (variance + 0.002 * variance[0]).sqrt()).T
    here = conv.weight.device
    radians = torch.linspace(0.1, 2.2, PLACE // 4, device=here)  # for each patch
    along = torch.arange(tower.grid, device=here)[:, None] * radians
    waves = torch.stack([along.cos(), along.sin()], 2).flatten(1)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[PLACE : PLACE + count] = filters.view(count, 3, p, p).float()
        conv.bias.zero_()
        conv.bias[PLACE : PLACE + count] = -(filters @ mean).float()
        places.zero_()
        places[:, :PLACE] = torch.cat([waves[:, None].expand(-1, tower.grid, -1), waves[None].expand(tower.grid, -1, -1)], 2).flatten(0, 1)
        for layer, (near, far) in enumerate(((0, 1), (1, 1), (0, 2), (2, 2))):
            attention = tower.encoder.layers[layer].self_attn
            ways = [(far, near), (-near, far), (-far, -near), (near, -far)]  # down, right; a quarter turn each
            for head, (down, right) in zip(range(attention.heads), ways):
                rows = slice(head * PLACE, (head + 1) * PLACE)
                turn = torch.block_diag(turning(radians * down), turning(radians * right))
                for matrix, start in ((attention.q_proj.weight, turn), (attention.k_proj.weight, torch.eye(PLACE, device=here))):
                    matrix[rows] *= 0.1
                    matrix[rows, :PLACE] += start


def turning(angles):
    """Block-diagonal rotations of (cos, sin) pairs."""
    c, s = angles.cos(), angles.sin()
    return torch.block_diag(*torch.stack([torch.stack([c, -s], 1), torch.stack([s, c], 1)], 1))


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal by Newton-Schulz steps, for matrices (Jordan et al. 2024, kellerjordan.github.io/
    posts/muon). Ours because torch.optim.Muon takes matrices one by one, and always in bf16, which is slow on many CPUs."""

    def __init__(self, matrices, lr, momentum=0.95, weight_decay=0.0, dtype=torch.float32):
        super().__init__(matrices, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))
        self.dtype = dtype

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(p.shape, []).append(p)
            for same in by_shape.values():
                updates = []
                for p in same:
                    mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                    mean.lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(mean, group["momentum"]))
                updates = orthogonal(torch.stack(updates).to(self.dtype)).float()
                rows, columns = updates.shape[1:]
                step = group["lr"] * 0.2 * math.sqrt(max(rows, columns))
                for p, update in zip(same, updates):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update.view_as(p), alpha=step)


def orthogonal(g, steps=4):
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.shape[1] > g.shape[2]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return x.mT if tall else x
