//! Where in the files the tensors are. Models, `quant` and `quantize` use transformers' names; a file may have others,
//! and may store tensors joined or transposed. There is one table for each naming scheme.

use std::ops::Range;

use crate::config::{Family, Head, Towers, WRITES};

/// The naming scheme of a folder's tensor files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// transformers' names, which need no translation.
    Transformers,
    /// open_clip's names (`model.py`, `transformer.py`).
    OpenClip {
        /// Whether the picture tower is timm's (`timm_model.py`).
        timm: bool,
        /// Whether the names of the text tower begin with `text.` (`CustomTextCLIP`, in contrast to `CLIP`).
        custom_text: bool,
    },
    /// Those of Florence-2's remote code.
    Florence,
}

/// A range of rows of a tensor in the file. A requested tensor is one such range, or several in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The tensor's name in the file.
    pub name: String,
    /// The shape that the whole tensor must have in the file.
    pub shape: Vec<usize>,
    /// The rows of it that belong to the requested tensor.
    pub rows: Range<usize>,
    /// Whether the file stores `[cols, rows]` in place of `[rows, cols]`. The range then covers all columns.
    pub transposed: bool,
}

/// How the file stores a tensor. `{n}` in a name is the number of a block, `{p}` is `weight` or `bias`.
#[derive(Clone, Copy)]
enum Kept {
    /// In the shape that the model requests.
    Whole,
    /// With a leading dimension of 1.
    Batched,
    /// Transposed: `[inputs, outputs]`.
    Transposed,
    /// As the n-th third of the rows: queries, keys, values.
    Third(usize),
    /// Queries apart from keys and values, which are joined under this name.
    Stacked(&'static str),
}
use Kept::{Batched, Stacked, Third, Transposed, Whole};

/// transformers' name, the file's name, and how the file stores the tensor.
type Rule = (&'static str, &'static str, Kept);

/// The rules of a tower: the prefixes of its blocks in transformers and in the file, the rules of a block, and all others.
struct Scheme {
    blocks: (&'static str, &'static str),
    block: &'static [Rule],
    other: &'static [Rule],
}

/// `ResidualAttentionBlock`, in both of open_clip's own towers.
const RESBLOCK: [Rule; 8] = [
    ("layer_norm1.{p}", "ln_1.{p}", Whole),
    ("self_attn.q_proj.{p}", "attn.in_proj_{p}", Third(0)),
    ("self_attn.k_proj.{p}", "attn.in_proj_{p}", Third(1)),
    ("self_attn.v_proj.{p}", "attn.in_proj_{p}", Third(2)),
    ("self_attn.out_proj.{p}", "attn.out_proj.{p}", Whole),
    ("layer_norm2.{p}", "ln_2.{p}", Whole),
    ("mlp.fc1.{p}", "mlp.c_fc.{p}", Whole),
    ("mlp.fc2.{p}", "mlp.c_proj.{p}", Whole),
];

/// `VisionTransformer` in open_clip.
const VISION: Scheme = Scheme {
    blocks: ("vision_model.encoder.layers.{n}.", "visual.transformer.resblocks.{n}."),
    block: &RESBLOCK,
    other: &[
        ("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight", Whole),
        ("vision_model.embeddings.class_embedding", "visual.class_embedding", Whole),
        ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding", Whole),
        ("vision_model.pre_layrnorm.{p}", "visual.ln_pre.{p}", Whole),
        ("vision_model.post_layernorm.{p}", "visual.ln_post.{p}", Whole),
        ("visual_projection.weight", "visual.proj", Transposed),
    ],
};

/// `VisionTransformer` in timm, with `AttentionPoolLatent`: SigLIP's picture tower.
const TIMM_VISION: Scheme = Scheme {
    blocks: ("vision_model.encoder.layers.{n}.", "visual.trunk.blocks.{n}."),
    block: &[
        ("layer_norm1.{p}", "norm1.{p}", Whole),
        ("self_attn.q_proj.{p}", "attn.qkv.{p}", Third(0)),
        ("self_attn.k_proj.{p}", "attn.qkv.{p}", Third(1)),
        ("self_attn.v_proj.{p}", "attn.qkv.{p}", Third(2)),
        ("self_attn.out_proj.{p}", "attn.proj.{p}", Whole),
        ("layer_norm2.{p}", "norm2.{p}", Whole),
        ("mlp.fc1.{p}", "mlp.fc1.{p}", Whole),
        ("mlp.fc2.{p}", "mlp.fc2.{p}", Whole),
    ],
    other: &[
        ("vision_model.embeddings.patch_embedding.{p}", "visual.trunk.patch_embed.proj.{p}", Whole),
        ("vision_model.embeddings.position_embedding.weight", "visual.trunk.pos_embed", Batched),
        ("vision_model.post_layernorm.{p}", "visual.trunk.norm.{p}", Whole),
        ("vision_model.head.probe", "visual.trunk.attn_pool.latent", Whole),
        (
            "vision_model.head.attention.in_proj_{p}",
            "visual.trunk.attn_pool.q.{p}",
            Stacked("visual.trunk.attn_pool.kv.{p}"),
        ),
        ("vision_model.head.attention.out_proj.{p}", "visual.trunk.attn_pool.proj.{p}", Whole),
        ("vision_model.head.layernorm.{p}", "visual.trunk.attn_pool.norm.{p}", Whole),
        ("vision_model.head.mlp.fc1.{p}", "visual.trunk.attn_pool.mlp.fc1.{p}", Whole),
        ("vision_model.head.mlp.fc2.{p}", "visual.trunk.attn_pool.mlp.fc2.{p}", Whole),
    ],
};

/// `TextTransformer` in open_clip, without the prefix that it has in `CustomTextCLIP`.
const TEXT: Scheme = Scheme {
    blocks: ("text_model.encoder.layers.{n}.", "transformer.resblocks.{n}."),
    block: &RESBLOCK,
    other: &[
        ("text_model.embeddings.token_embedding.weight", "token_embedding.weight", Whole),
        ("text_model.embeddings.position_embedding.weight", "positional_embedding", Whole),
        ("text_model.final_layer_norm.{p}", "ln_final.{p}", Whole),
        // CLIP's is a bare matrix, SigLIP's a layer with a bias.
        ("text_projection.weight", "text_projection", Transposed),
        ("text_model.head.{p}", "text_projection.{p}", Whole),
    ],
};

/// Buffers that some versions saved, by the ends of their names; they are made anew, and no version reads them.
const BUFFERS: [&str; 5] = [
    // 0, 1, 2, …: older versions of transformers
    "embeddings.position_ids",
    // The causal mask: older versions of open_clip
    "attn_mask",
    // Sizes: OpenAI's own files
    "input_resolution",
    "context_length",
    "vocab_size",
];

/// What the names of Florence-2's tower have in its remote code in place of transformers' (`convert_florence2_original_pytorch_to_hf.py`).
const FLORENCE_TOWER: [(&str, &str); 10] = [
    (".conv.", ".proj."),
    (".conv1.", ".conv1.fn.dw."),
    (".conv2.", ".conv2.fn.dw."),
    (".spatial_block.norm1.", ".spatial_block.window_attn.norm."),
    (".channel_block.norm1.", ".channel_block.channel_attn.norm."),
    (".norm2.", ".ffn.norm."),
    ("_attn.qkv.", "_attn.fn.qkv."),
    ("_attn.proj.", "_attn.fn.proj."),
    (".ffn.fc1.", ".ffn.fn.net.fc1."),
    (".ffn.fc2.", ".ffn.fn.net.fc2."),
];

/// Its projection, which is a bare matrix there: the name tells this layout from transformers'.
pub const FLORENCE_PROJECTION: &str = "image_projection";

/// Where models with pictures keep their decoder, in place of a decoder's own `model` and `lm_head`: transformers 5, and before it.
const DECODERS: [(&str, &str); 4] = [
    ("model.", "model.language_model."),
    ("model.", "language_model.model."),
    ("model.", "model.text_model."),
    ("lm_head.", "language_model.lm_head."),
];

/// Likewise their picture tower and what leads from it into the decoder.
const IN_GENERATORS: [&str; 3] = ["model.", "model.vision_tower.", "vision_tower."];

/// The names under which transformers finds a tensor in a file, best first: its own; behind `base_model_prefix`, in a model with a
/// CLIP inside; of a single tower also without the tower's name, as `SiglipVisionModel` saves it; in a model that writes, those of its
/// parts.
pub fn alternatives(name: &str, family: Family, towers: Towers) -> Vec<String> {
    if family.generates() {
        let decoder = DECODERS.iter().filter_map(|(own, other)| Some(format!("{other}{}", name.strip_prefix(own)?)));
        let inside = IN_GENERATORS.map(|prefix| format!("{prefix}{name}"));
        // transformers 5 drops the tower's own name.
        let tower = name.strip_prefix("vision_model.").unwrap_or(name);
        let towers = ["model.vision_tower.", "vision_tower."].map(|prefix| format!("{prefix}{tower}"));
        return [name.into()].into_iter().chain(decoder).chain(inside).chain(towers).collect();
    }
    let inside = format!("{}.{name}", family.prefix());
    let single = match towers {
        Towers::Both => None,
        Towers::Vision => name.strip_prefix("vision_model."),
        Towers::Text => name.strip_prefix("text_model."),
    };
    [name.into(), inside].into_iter().chain(single.map(String::from)).collect()
}

impl Naming {
    /// open_clip's names, as far as they hang on the file: `names` are its tensors'.
    #[must_use]
    pub fn open_clip<'a>(timm: bool, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::OpenClip { timm, custom_text: names.into_iter().any(|name| name.starts_with("text.")) }
    }

    /// The sources of the file that are the tensor `name` (transformers' name) of this shape. A name that no table has, such as
    /// `logit_scale`, is the file's own.
    #[must_use]
    pub fn sources(self, name: &str, shape: &[usize]) -> Vec<Source> {
        let Self::OpenClip { timm, custom_text } = self else {
            let of_remote_code = WRITES && self == Self::Florence;
            return vec![if of_remote_code { florence(name, shape) } else { Source::whole(name.into(), shape) }];
        };
        let (vision, prefix) = (if timm { &TIMM_VISION } else { &VISION }, if custom_text { "text." } else { "" });
        vision
            .find(name, "", shape)
            .or_else(|| TEXT.find(name, prefix, shape))
            .unwrap_or_else(|| vec![Source::whole(name.into(), shape)])
    }

    /// Whether a tensor that nobody asked for is known to be of no use in a model with this head.
    #[must_use]
    pub fn ignores(name: &str, head: &Head) -> bool {
        let untrained: &[&str] = match head {
            Head::Contrastive => &[],
            // Blocks of the tower behind the one whose features are taken, and its head.
            // Where a table is there several times, or made anew, other names stand for it.
            Head::Generate(generator) => {
                let tower = name.contains("vision_tower.") || name.contains("vision_model.");
                return tower || WRITES && generator.seq2seq.is_some() && is_copy(name);
            }
            Head::Boxes(_) => &["visual_projection.weight", "logit_scale"],
            Head::Masks(_) => &["logit_scale"],
        };
        let ends = |end: &str| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        BUFFERS.iter().chain(untrained).any(|end| ends(end))
    }
}

impl Scheme {
    fn find(&self, name: &str, prefix: &str, shape: &[usize]) -> Option<Vec<Source>> {
        let in_block = |(from, to, kept): &Rule| {
            (format!("{}{from}", self.blocks.0), format!("{prefix}{}{to}", self.blocks.1), *kept)
        };
        let blocks = self.block.iter().map(in_block);
        let other = self.other.iter().map(|(from, to, kept)| (from.to_string(), format!("{prefix}{to}"), *kept));
        let (to, kept, [n, p]) =
            blocks.chain(other).find_map(|(from, to, kept)| Some((to, kept, matched(&from, name)?)))?;
        let filled = |to: &str| to.replace("{n}", n).replace("{p}", p);
        Some(kept.sources(&filled(&to), &filled, shape))
    }
}

/// What `{n}` and `{p}` stand for if `name` is of this pattern; empty where the pattern has none.
fn matched<'a>(pattern: &str, name: &'a str) -> Option<[&'a str; 2]> {
    let (start, end) = pattern.split_once("{n}").unwrap_or(("", pattern));
    let rest = name.strip_prefix(start)?;
    let digits = if start.is_empty() { 0 } else { rest.find(|c: char| !c.is_ascii_digit())? };
    let (n, rest) = rest.split_at(digits);
    match end.strip_suffix("{p}") {
        None => (rest == end).then_some([n, ""]),
        Some(end) => {
            let p = rest.strip_prefix(end)?;
            ["weight", "bias"].contains(&p).then_some([n, p])
        }
    }
}

impl Kept {
    fn sources(self, name: &str, filled: &dyn Fn(&str) -> String, shape: &[usize]) -> Vec<Source> {
        let rows = shape.first().copied().unwrap_or(1);
        let of = |rows: usize| [&[rows], &shape[1.min(shape.len())..]].concat();
        let whole = Source::whole(name.into(), shape);
        match self {
            Whole => vec![whole],
            Batched => vec![Source { shape: [&[1], shape].concat(), ..whole }],
            Transposed => vec![Source { shape: shape.iter().rev().copied().collect(), transposed: true, ..whole }],
            Third(n) => vec![Source { shape: of(3 * rows), rows: n * rows..(n + 1) * rows, ..whole }],
            Stacked(second) => {
                let (first, rest) = (rows / 3, rows - rows / 3);
                vec![Source::whole(name.into(), &of(first)), Source::whole(filled(second), &of(rest))]
            }
        }
    }
}

impl Source {
    fn whole(name: String, shape: &[usize]) -> Self {
        Self { name, shape: shape.into(), rows: 0..shape.first().copied().unwrap_or(1), transposed: false }
    }
}

/// Where a tensor is in the layout of Florence-2's remote code.
fn florence(name: &str, shape: &[usize]) -> Source {
    let whole = |name: String| Source::whole(name, shape);
    if let Some(rest) = name.strip_prefix("model.language_model.") {
        return whole(format!("language_model.model.{rest}"));
    }
    if let Some(rest) = name.strip_prefix("model.vision_tower.") {
        let other = FLORENCE_TOWER.iter().find(|(own, _)| rest.contains(own));
        return whole(format!("vision_tower.{}", other.map_or(rest.into(), |(own, other)| rest.replace(own, other))));
    }
    match name.strip_prefix("model.multi_modal_projector.") {
        Some("image_projection.weight") => {
            let shape = shape.iter().rev().copied().collect();
            Source { shape, transposed: true, ..whole(FLORENCE_PROJECTION.into()) }
        }
        Some(rest) => whole(rest.replace("image_position_embed.", "image_pos_embed.")),
        None => whole(format!("language_model.{name}")),
    }
}

/// Whether a tensor is one of those that files of Florence-2 hold beside what it is made of: copies of the table, and cosines.
fn is_copy(name: &str) -> bool {
    let copies = ["coder.embed_tokens.weight", "lm_head.weight", "visual_temporal_embed.pos_idx_to_embed"];
    copies.iter().any(|end| name.ends_with(end))
}
