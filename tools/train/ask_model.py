"""A PaliGemma in plain PyTorch: model.py's picture tower, one matrix, and Gemma's decoder. It computes what transformers'
PaliGemmaForConditionalGeneration computes (check.py), but answers several questions of a picture at once.

After "PaliGemma: A versatile 3B VLM for transfer" (Beyer et al. 2024), modeling_paligemma.py and modeling_gemma.py.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from model import VisionTower

VISION = dict(hidden_size=256, intermediate_size=768, num_attention_heads=4, num_hidden_layers=6, image_size=192, patch_size=16)
TEXT = dict(hidden_size=256, intermediate_size=768, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=1, head_dim=64)
PATCHES = (VISION["image_size"] // VISION["patch_size"]) ** 2
LOOKING = 2, (0, 1)  # a block, and its heads that look at what a question is about
IMAGE = -1  # the part of a row that the picture is; questions are 0 and up


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], None, 1e-6) * (1 + self.weight)


class GemmaAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, head = c["hidden_size"], c["head_dim"]
        self.heads, self.head = c["num_attention_heads"], head
        self.q_proj = nn.Linear(width, self.heads * head, bias=False)
        self.k_proj, self.v_proj = (nn.Linear(width, head, bias=False) for _ in range(2))
        self.o_proj = nn.Linear(self.heads * head, width, bias=False)

    def scores(self, x, cos, sin, mask):
        """How much each head wants to look where, from each place [B, heads, T, T]."""
        batch, length = x.shape[:2]
        q = rotate(self.q_proj(x).view(batch, length, self.heads, self.head).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(x)[:, None], cos, sin)
        # All heads have the same keys: their queries stand below each other.
        q = q.reshape(batch, 1, self.heads * length, self.head)
        return (q * self.head**-0.5 @ k.mT).view(batch, self.heads, length, length) + mask

    def forward(self, x, cos, sin, mask):
        batch, length = x.shape[:2]
        weights = torch.softmax(self.scores(x, cos, sin, mask), -1).view(batch, 1, self.heads * length, length)
        mixed = (weights @ self.v_proj(x)[:, None]).view(batch, self.heads, length, self.head)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


def rotate(x, cos, sin):
    """Rotary positions, in halves."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class GemmaMlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, hidden = c["hidden_size"], c["intermediate_size"]
        self.gate_proj, self.up_proj = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.down_proj(F.gelu(self.gate_proj(x), approximate="tanh") * self.up_proj(x))


class GemmaBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn, self.mlp = GemmaAttention(c), GemmaMlp(c)
        self.input_layernorm, self.post_attention_layernorm = (RmsNorm(c["hidden_size"]) for _ in range(2))

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class PaliGemma(nn.Module):
    def __init__(self, vocabulary, places=None):
        """`places` are the rows of <loc…>, which start as one smooth curve."""
        super().__init__()
        width = TEXT["hidden_size"]
        self.vision_tower = VisionTower(VISION)
        self.projector = nn.Linear(VISION["hidden_size"], width)
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(GemmaBlock(TEXT) for _ in range(TEXT["num_hidden_layers"]))
        self.norm = RmsNorm(width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.weight.shape[1]))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.embed_tokens.weight, std=1 / math.sqrt(width))
        for block in self.layers:
            nn.init.zeros_(block.self_attn.o_proj.weight)
            nn.init.zeros_(block.mlp.down_proj.weight)
        if places is not None:
            along = torch.arange(len(places))[:, None] / len(places) * math.pi * 2 ** torch.arange(6)
            waves = torch.cat([along.cos(), along.sin()], 1) / math.sqrt(6)
            with torch.no_grad():
                self.embed_tokens.weight[places] = waves @ torch.randn(12, width) / math.sqrt(width)

    def see(self, pixels):
        """The tower's word on each patch, [B, patches, width]."""
        return self.vision_tower.tokens(pixels)

    def forward(self, seen, ids, parts, prefix, positions, wanted):
        """Logits [wanted, vocabulary] of what follows the wanted places of the rows of `ids` [B, T], behind their pictures' patches; and
        the logarithm of how much the heads LOOKING look at each patch from there [heads, wanted, patches], of which only these heads learn.
        `parts` [B, T] says which question each token belongs to, `prefix` [B, T] whether it is the question."""
        batch, patches = seen.shape[:2]
        width = self.embed_tokens.weight.shape[1]
        x = torch.cat([self.projector(seen), self.embed_tokens(ids) * math.sqrt(width)], 1)
        places = torch.cat([torch.arange(patches, device=ids.device).expand(batch, -1), positions], 1)
        cos, sin = rotation(places, TEXT["head_dim"], x.dtype)
        mask = attention_mask(parts, prefix, patches, x.dtype)
        for number, block in enumerate(self.layers):
            if number == LOOKING[0]:
                scores = block.self_attn.scores(block.input_layernorm(x.detach()), cos, sin, mask)
                looks = torch.stack([scores[:, head, patches:][wanted] for head in LOOKING[1]]).float().log_softmax(-1)[..., :patches]
            x = block(x, cos, sin, mask)
        return self.norm(x[:, patches:][wanted]) @ self.embed_tokens.weight.T, looks


def rotation(places, head, dtype):
    """Cosines and sines [B, 1, T, head] of rotary positions."""
    radians = places[..., None] * 10000.0 ** (-torch.arange(0, head, 2, device=places.device) / head)
    twice = torch.cat([radians, radians], -1)[:, None]
    return twice.cos().to(dtype), twice.sin().to(dtype)


def attention_mask(parts, prefix, patches, dtype):
    """[B, 1, T, T], 0 where a row sees a column. A question sees the picture and itself, an answer also what stands before it in the
    answer. The picture sees itself, and the question too where there is only one, as in PaliGemma: of several it would tell each of the
    others."""
    batch = len(parts)
    picture = torch.full((batch, patches), IMAGE, device=parts.device)
    part, first = torch.cat([picture, parts], 1), torch.cat([torch.ones_like(picture, dtype=torch.bool), prefix], 1)
    order = torch.arange(part.shape[1], device=parts.device)
    alone = (parts.amax(1) == 0)[:, None, None]
    same = (part[:, :, None] == part[:, None]) & (first[:, None] | (order[:, None] >= order))
    seen = same | (part[:, None] == IMAGE) | (alone & (part[:, :, None] == IMAGE) & first[:, None] & (part[:, None] == 0))
    return torch.where(seen, 0.0, -1e4).to(dtype)[:, None]
