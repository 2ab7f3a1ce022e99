//! Models as published, by their configs; weights of random bits in their place on the GPU.

use ocelli::{
    Checkpoint, Gpu, Result,
    backend::{Backend, GpuPlan, GpuWeights},
    config::{Config, Towers},
    gpu::Tuning,
    kernels::Run,
    model::{self, Model},
    plan::Plan,
    quant::Format,
    random::Random,
    weights::{GpuStore, Loader, Store},
};

/// A short name, and what `config.json` and `preprocessor_config.json` of the model say beyond transformers' defaults.
pub const MODELS: [(&str, &str, &str); 5] = [
    ("clip-b32", r#"{"model_type":"clip","text_config":{},"vision_config":{}}"#, CLIP),
    ("clip-b16", r#"{"model_type":"clip","text_config":{},"vision_config":{"patch_size":16}}"#, CLIP),
    (
        "clip-l14",
        r#"{"model_type":"clip","projection_dim":768,
            "text_config":{"hidden_size":768,"intermediate_size":3072,"num_attention_heads":12},
            "vision_config":{"hidden_size":1024,"intermediate_size":4096,"num_hidden_layers":24,"num_attention_heads":16,"patch_size":14}}"#,
        CLIP,
    ),
    (
        "siglip-b16",
        r#"{"model_type":"siglip","text_config":{},"vision_config":{}}"#,
        r#"{"size":{"height":224,"width":224}}"#,
    ),
    (
        "so400m",
        r#"{"model_type":"siglip",
            "text_config":{"hidden_size":1152,"intermediate_size":4304,"num_hidden_layers":27,"num_attention_heads":16},
            "vision_config":{"hidden_size":1152,"intermediate_size":4304,"num_hidden_layers":27,"num_attention_heads":16,
                             "image_size":384,"patch_size":14}}"#,
        r#"{"size":{"height":384,"width":384}}"#,
    ),
];

const CLIP: &str = r#"{"size":{"shortest_edge":224},"crop_size":{"height":224,"width":224}}"#;

/// Both towers on the GPU, compiled for batches of up to `batch`.
pub struct OnGpu {
    pub vision: GpuPlan,
    pub text: GpuPlan,
    /// Bound by both plans; a destroyed buffer must not be.
    _weights: GpuWeights,
}

impl OnGpu {
    pub fn new(gpu: &Gpu, tuning: &Tuning, name: &str, format: Format, batch: u32) -> Result<Self> {
        let (_, config, preprocessor) = MODELS.into_iter().find(|(n, ..)| *n == name).ok_or_else(|| {
            let names = MODELS.map(|(name, ..)| name).join(", ");
            ocelli::Error::BadInput(format!("model: expected one of {names}, found {name:?}"))
        })?;
        let tokenizer = if config.contains("siglip") { "SiglipTokenizer" } else { "CLIPTokenizer" };
        let tokenizer = format!(r#"{{"tokenizer_class":"{tokenizer}","model_max_length":64}}"#);
        let config = Config::parse(config.as_bytes(), preprocessor.as_bytes(), tokenizer.as_bytes())?;
        let blank = Checkpoint::blank(config);
        let mut loader = Loader::new(&blank, Some(format))?;
        let Model { vision, text, .. } = model::record(&blank.config, Towers::Both, &mut loader)?;
        let mut weights = GpuWeights::new();
        let mut store = GpuStore { gpu, weights: &mut weights };
        for w in &loader.weights {
            store.make_room(&w.label, w.format, w.rows, w.cols)?;
        }
        fill(gpu, &weights);
        let plan = |plan: Plan, most: Run| {
            let most = Run { batch: gpu.capacity(&plan, most)?, ..most };
            gpu.compile(plan, &weights, tuning, most, &mut Default::default())
        };
        let vision = plan(vision.expect("both").plan, Run::items(batch))?;
        let text = plan(text.expect("both").plan, Run::tokens(batch, blank.config.text.tokens as u32))?;
        Ok(Self { vision, text, _weights: weights })
    }
}

/// Small numbers in whatever format: zeros would be kind to some hardware.
fn fill(gpu: &Gpu, weights: &GpuWeights) {
    let mut random = Random::new(1);
    // As f32, as two f16 and as bytes, these are all finite and at most about 1.
    let block: Vec<u32> = (0..1 << 18).map(|_| (random.bits() & 0x83ff_83ff) | 0x3000_3000).collect();
    for buffer in weights.iter().flat_map(|(values, scales)| [Some(values), scales.as_ref()]).flatten() {
        let mut at = 0;
        while at < buffer.size() {
            let bytes = &bytemuck::cast_slice::<u32, u8>(&block)[..(buffer.size() - at).min(1 << 20) as usize];
            gpu.write(buffer, at, bytes);
            at += bytes.len() as u64;
        }
        gpu.submitted();
    }
}
