//! timm's SigLIP towers, by name: in open_clip's files nothing else says how large they are.

use super::{
    Activation::{self, Gelu, GeluTanh},
    Encoder,
    section::Section,
};
use crate::error::{Error, Result};

/// The sizes of a tower, which its name stands for.
pub struct Tower {
    pub encoder: Encoder,
    pub patch_size: usize,
}

/// Width, blocks, heads, and `mlp_ratio`.
type Size = (usize, usize, usize, f64);

const BASE: Size = (768, 12, 12, 4.0);
const LARGE: Size = (1024, 24, 16, 4.0);
const SO400M: Size = (1152, 27, 16, 3.7362);
const GIANT: Size = (1536, 40, 16, 4.0);

/// Name, size, patch, picture, and the nonlinearity, which is exact gelu unless the model says `gelu_tanh`
/// (timm 1.0.31, `vision_transformer.py`). The towers with `_gap_` in their names have no pooling head.
const TOWERS: [(&str, Size, usize, usize, Activation); 16] = [
    ("vit_base_patch32_siglip_256", BASE, 32, 256, GeluTanh),
    ("vit_base_patch16_siglip_224", BASE, 16, 224, Gelu),
    ("vit_base_patch16_siglip_256", BASE, 16, 256, Gelu),
    ("vit_base_patch16_siglip_384", BASE, 16, 384, Gelu),
    ("vit_base_patch16_siglip_512", BASE, 16, 512, Gelu),
    ("vit_large_patch16_siglip_256", LARGE, 16, 256, Gelu),
    ("vit_large_patch16_siglip_384", LARGE, 16, 384, Gelu),
    ("vit_large_patch16_siglip_512", LARGE, 16, 512, GeluTanh),
    ("vit_so400m_patch14_siglip_224", SO400M, 14, 224, Gelu),
    ("vit_so400m_patch14_siglip_378", SO400M, 14, 378, Gelu),
    ("vit_so400m_patch14_siglip_384", SO400M, 14, 384, Gelu),
    ("vit_so400m_patch16_siglip_256", SO400M, 16, 256, GeluTanh),
    ("vit_so400m_patch16_siglip_384", SO400M, 16, 384, GeluTanh),
    ("vit_so400m_patch16_siglip_512", SO400M, 16, 512, GeluTanh),
    ("vit_giantopt_patch16_siglip_256", GIANT, 16, 256, GeluTanh),
    ("vit_giantopt_patch16_siglip_384", GIANT, 16, 384, GeluTanh),
];

/// The tower of this name, for pictures of `image_size`; `section` is the name's own, `vision_cfg`.
///
/// open_clip ignores the sizes beside a name. Ocelli takes them where timm knows no such name, so that a SigLIP tower that
/// somebody made and registered can say how large it is.
pub fn siglip(name: &str, image_size: usize, section: &mut Section) -> Result<Tower> {
    let label = section.label("timm_model_name");
    let wrong = |expected: &str| Err(Error::WrongModel(format!("{label}: expected {expected}, found {name:?}")));
    // `NAME.TAG` says which weights it had at first.
    let (plain, _) = name.split_once('.').unwrap_or((name, ""));
    let sizes = (section.take("width")?, section.take("layers")?, section.take("head_width")?);
    let ratio: Option<f64> = section.take("mlp_ratio")?;
    let patch = section.take("patch_size")?;
    let act = section.activation(false)?;
    let known = TOWERS.iter().find(|(tower, ..)| *tower == plain);
    let (width, layers, heads, ratio, patch_size, activation) = match (known, sizes, ratio, patch) {
        (Some(&(_, _, _, side, _)), ..) if side != image_size => {
            return Err(Error::BadCheckpoint(format!(
                "{}: expected {side}, as {plain} has it, found {image_size}",
                section.label("image_size")
            )));
        }
        (Some(&(_, (width, layers, heads, ratio), patch, _, activation)), ..) => {
            (width, layers, heads, ratio, patch, activation)
        }
        _ if !plain.contains("_siglip_") || plain.contains("_gap_") => {
            return wrong("one of timm's SigLIP towers with a pooling head, such as vit_base_patch16_siglip_224");
        }
        (None, (Some(width), Some(layers), Some(head_width)), Some(ratio), Some(patch)) => {
            (width, layers, usize::checked_div(width, head_width).unwrap_or(0), ratio, patch, act)
        }
        _ => {
            return wrong(
                "a name that timm 1.0.31 knows, or width, layers, head_width, mlp_ratio and patch_size beside it",
            );
        }
    };
    let intermediate = (width as f64 * ratio) as usize;
    let encoder = Encoder { hidden: width, heads, layers, intermediate, activation, eps: 1e-6 };
    Ok(Tower { encoder, patch_size })
}
