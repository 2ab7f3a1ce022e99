//! DaViT (Ding et al. 2022) as data: Florence-2's picture tower, as `configuration_florence2.py` in transformers has it, and the remote code
//! before it.

use serde_json::Value;

use crate::{
    error::{Error, Result},
    json::Object,
};

/// A tower of stages, each with fewer and wider tokens than the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct Davit {
    /// In their order.
    pub stages: Vec<Stage>,
    /// Places along a side of a window, in which attention stays.
    pub window: usize,
}

/// A strided convolution, and blocks behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Floats in a token.
    pub dim: usize,
    /// Number of blocks, each of which mixes windows and then channels.
    pub depth: usize,
    /// Heads of attention in windows.
    pub heads: usize,
    /// Groups of columns that attend to each other.
    pub groups: usize,
    /// Floats in the MLP's hidden layer.
    pub intermediate: usize,
    /// Places along a side of the convolution.
    pub side: usize,
    /// Places from one square of it to the next.
    pub stride: usize,
    /// Places beyond the edge at which it begins.
    pub padding: usize,
    /// Whether its layer norm comes before it, and not behind it.
    pub norm_first: bool,
}

/// Most columns of a group: as many as a workgroup has invocations.
const MOST_COLUMNS: usize = 256;

impl Davit {
    /// Places along a side of each stage's grid, of pictures of this side in pixels; none where one of them would be smaller than a
    /// convolution.
    #[must_use]
    pub fn grids(&self, side: usize) -> Option<Vec<usize>> {
        let mut grid = side;
        let next = |stage: &Stage| {
            grid = (grid + 2 * stage.padding).checked_sub(stage.side)? / stage.stride + 1;
            Some(grid)
        };
        self.stages.iter().map(next).collect()
    }

    /// Number of its blocks.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.stages.iter().map(|stage| stage.depth).sum()
    }

    pub(super) fn parse(vision: &mut Object) -> Result<Self> {
        let old: Option<Vec<usize>> = vision.take("dim_embed")?;
        let dims: Vec<usize> = old.or(vision.take("embed_dim")?).unwrap_or_else(|| vec![128, 256, 512, 1024]);
        let mut list = |field: &str, usual: &[usize]| -> Result<Vec<usize>> {
            let found: Vec<usize> = vision.take(field)?.unwrap_or_else(|| usual.into());
            match found.len() == dims.len() {
                true => Ok(found),
                false => bad(vision, field, &format!("{} numbers", dims.len()), &found.len().to_string()),
            }
        };
        let depths = list("depths", &[1, 1, 9, 1])?;
        let [sides, strides, paddings] = [
            list("patch_size", &[7, 3, 3, 3])?,
            list("patch_stride", &[4, 2, 2, 2])?,
            list("patch_padding", &[3, 1, 1, 1])?,
        ];
        let (heads, groups) = (list("num_heads", &[4, 8, 16, 32])?, list("num_groups", &[4, 8, 16, 32])?);
        let first: Vec<bool> = vision.take("patch_prenorm")?.unwrap_or_else(|| vec![false, true, true, true]);
        if first.len() != dims.len() {
            return bad(vision, "patch_prenorm", &format!("{} values", dims.len()), &first.len().to_string());
        }
        let ratio: f64 = vision.take("mlp_ratio")?.unwrap_or(4.0);
        let window = vision.take("window_size")?.unwrap_or(12);
        refuse_others(vision)?;
        let stage = |i: usize| Stage {
            dim: dims[i],
            depth: depths[i],
            heads: heads[i],
            groups: groups[i],
            intermediate: (dims[i] as f64 * ratio) as usize,
            side: sides[i],
            stride: strides[i],
            padding: paddings[i],
            norm_first: first[i],
        };
        let davit = Self { stages: (0..dims.len()).map(stage).collect(), window };
        davit.check(vision)?;
        Ok(davit)
    }

    fn check(&self, vision: &Object) -> Result<()> {
        if self.stages.is_empty() || self.stages.len() > 16 {
            return bad(vision, "depths", "1 to 16 stages", &self.stages.len().to_string());
        }
        if self.stages[0].norm_first {
            return refuse(vision, "patch_prenorm", "false of the first stage, whose tokens are pixels", "true");
        }
        for stage in &self.stages {
            let Stage { dim, depth, heads, groups, intermediate, side, stride, padding, .. } = *stage;
            let sizes = [
                ("embed_dim", dim, 1, 1 << 14),
                ("depths", depth, 0, 1000),
                ("num_heads", heads, 1, dim),
                ("num_groups", groups, 1, dim),
                ("mlp_ratio", intermediate, 1, 1 << 16),
                ("patch_size", side, 1, 64),
                ("patch_stride", stride, 1, 64),
                ("patch_padding", padding, 0, 64),
                ("window_size", self.window, 1, 64),
            ];
            if let Some((field, found, least, most)) =
                sizes.into_iter().find(|(_, found, least, most)| !(*least..=*most).contains(found))
            {
                return bad(vision, field, &format!("{least} to {most}"), &found.to_string());
            }
            let parts = [("num_heads", heads, super::MAX_HEAD_SIZE), ("num_groups", groups, MOST_COLUMNS)];
            for (field, parts, most) in parts {
                if !dim.is_multiple_of(parts) || dim / parts > most {
                    let expected = format!("a divisor of {dim}, with at most {most} columns each");
                    return bad(vision, field, &expected, &parts.to_string());
                }
            }
        }
        Ok(())
    }
}

/// What must be as it is in every published file.
fn refuse_others(vision: &mut Object) -> Result<()> {
    if vision.take::<bool>("qkv_bias")? == Some(false) {
        return refuse(vision, "qkv_bias", "true", "false");
    }
    if let Some(name) = vision.take::<String>("activation_function")?.filter(|name| name != "gelu") {
        return refuse(vision, "activation_function", "gelu", &name);
    }
    for (field, expected) in [("visual_temporal_embedding", "COSINE"), ("image_pos_embed", "learned_abs_2d")] {
        let kind = vision.get(field).map(|settings| settings["type"].clone()).filter(|kind| kind != expected);
        if let Some(kind) = kind {
            return refuse(vision, field, expected, &kind.to_string());
        }
    }
    let source: Option<Value> = vision.take("image_feature_source")?;
    match source {
        Some(source) if source != serde_json::json!(["spatial_avg_pool", "temporal_avg_pool"]) => {
            refuse(vision, "image_feature_source", "spatial_avg_pool and temporal_avg_pool", &source.to_string())
        }
        _ => Ok(()),
    }
}

pub(super) fn refuse<T>(file: &Object, field: &str, expected: &str, found: &str) -> Result<T> {
    Err(Error::WrongModel(format!("{}: expected {expected}, found {found}", file.label(field))))
}

pub(super) fn bad<T>(file: &Object, field: &str, expected: &str, found: &str) -> Result<T> {
    Err(Error::BadCheckpoint(format!("{}: expected {expected}, found {found}", file.label(field))))
}
