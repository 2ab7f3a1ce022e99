//! Models as published, by their configs; weights of random bits in their place on the device.

use ocelli::{
    Checkpoint, Result,
    backend::{Backend, Executor},
    config::{Config, Towers as Which},
    gpu::Tuning,
    kernels::Run,
    model::{self, Model},
    plan::Plan,
    quant::Format,
    random::Random,
    weights::{Loader, Plane, Store, Weight},
};

/// Tokens of a prompt, as many as a session takes at a time.
pub const PROMPT: u32 = 256;
/// Tokens that stand before a step.
pub const PAST: [u32; 2] = [100, 2000];
/// Room for tokens.
const ROOM: u32 = PAST[1] + PROMPT;
/// As large as any run.
const MOST: Run = Run { batch: 1, tokens: PROMPT, past: ROOM };

/// A short name, and what `config.json` and `preprocessor_config.json` of the model say beyond transformers' defaults.
pub const MODELS: [(&str, &str, &str); 10] = [
    (
        "ocelli-tiny",
        include_str!("../../../../www/models/ocelli-tiny/config.json"),
        include_str!("../../../../www/models/ocelli-tiny/preprocessor_config.json"),
    ),
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
    (
        "owlvit-b32",
        r#"{"model_type":"owlvit","projection_dim":512,"text_config":{},"vision_config":{"image_size":768,"patch_size":32}}"#,
        r#"{"image_processor_type":"OwlViTImageProcessor","size":{"height":768,"width":768}}"#,
    ),
    (
        "owlv2-b16",
        r#"{"model_type":"owlv2","projection_dim":512,"text_config":{},"vision_config":{"image_size":960,"patch_size":16}}"#,
        r#"{"image_processor_type":"Owlv2ImageProcessor","size":{"height":960,"width":960}}"#,
    ),
    (
        "smolvlm-256m",
        r#"{"model_type":"smolvlm","scale_factor":4,"tie_word_embeddings":false,"image_token_id":49190,
            "text_config":{"model_type":"llama","hidden_size":576,"intermediate_size":1536,"num_hidden_layers":30,
                           "num_attention_heads":9,"num_key_value_heads":3,"head_dim":64,"max_position_embeddings":8192,
                           "rms_norm_eps":1e-5,"rope_theta":100000.0,"vocab_size":49280},
            "vision_config":{"model_type":"smolvlm_vision","hidden_size":768,"intermediate_size":3072,"num_hidden_layers":12,
                             "num_attention_heads":12,"image_size":512,"patch_size":16}}"#,
        r#"{"image_processor_type":"SmolVLMImageProcessor","do_image_splitting":true,"resample":1,"size":{"longest_edge":2048},
            "max_image_size":{"longest_edge":512},"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}"#,
    ),
    (
        "florence-2-base",
        include_str!("../../../../tests/shapes/florence-2-base.json"),
        r#"{"image_processor_type":"CLIPImageProcessor","do_center_crop":false,"resample":3,"size":{"height":768,"width":768},
            "image_mean":[0.485,0.456,0.406],"image_std":[0.229,0.224,0.225]}"#,
    ),
];

const CLIP: &str = r#"{"size":{"shortest_edge":224},"crop_size":{"height":224,"width":224}}"#;

/// Both towers on a device, compiled for batches of up to `batch`; of a model that writes what makes tokens of tiles, and the decoder, or
/// the encoder where that reads prompts: what its decoder does depends on what the encoder has left.
pub struct Towers<B: Backend> {
    vision: B::Executor,
    text: B::Executor,
    writes: bool,
    decodes: bool,
    /// Bound by both plans; what is on a GPU must outlive them.
    _weights: B::Weights,
}

impl<B: Backend> Towers<B> {
    pub fn new(device: &B, tuning: &Tuning, name: &str, format: Format, batch: u32) -> Result<Self> {
        let blank = named(name)?;
        let mut loader = Loader::new(&blank, Some(format))?;
        let Model { vision, look, text, language, pictures, .. } =
            model::record(&blank.config, Which::Both, &mut loader)?;
        let mut weights = B::Weights::default();
        fill(&mut *device.store(&mut weights), &loader.weights)?;
        let plan = |plan: Plan, most: Run| {
            let most = Run { batch: device.capacity(&plan, most)?, ..most };
            device.compile(plan, &weights, tuning, most, &mut Default::default())
        };
        let writes = blank.config.family.generates();
        let decodes = language.as_ref().is_some_and(|language| language.reader.is_none());
        let (vision, text) = match (language, pictures) {
            (Some(language), Some(pictures)) => {
                let text = language.reader.map_or(language.plan, |reader| reader.plan);
                (plan(pictures.plan, Run::items(1))?, plan(text, MOST)?)
            }
            _ => {
                let seen = vision.map(|tower| tower.plan).or(look.map(|look| look.plan));
                let texts = Run::tokens(batch, blank.config.text.tokens as u32);
                (plan(seen.expect("both"), Run::items(batch))?, plan(text.expect("both").plan, texts)?)
            }
        };
        Ok(Self { vision, text, writes, decodes, _weights: weights })
    }

    /// What is measured: a name, the plan, and the run. A model that writes takes a tile, a prompt, and steps of one token.
    pub fn works(&self, batches: &[u32]) -> Vec<(String, &B::Executor, Run)> {
        if self.writes {
            let tile = ("tile".into(), &self.vision, Run::items(1));
            let prompt = (format!("prompt of {PROMPT}"), &self.text, Run::tokens(1, PROMPT));
            let step = |past| (format!("step past {past}"), &self.text, Run { batch: 1, tokens: 1, past });
            return [tile, prompt].into_iter().chain(PAST.into_iter().filter(|_| self.decodes).map(step)).collect();
        }
        let of = |(name, plan): (&str, _), batch| (name.to_string(), plan, Run { batch, ..B::Executor::most(plan) });
        let both = |&batch| [("picture", &self.vision), ("text", &self.text)].map(|work| of(work, batch));
        batches.iter().flat_map(both).filter(|(_, plan, run)| run.batch <= plan.most().batch).collect()
    }
}

fn named(name: &str) -> Result<Checkpoint> {
    let (_, config, preprocessor) = MODELS.into_iter().find(|(n, ..)| *n == name).ok_or_else(|| {
        let names = MODELS.map(|(name, ..)| name).join(", ");
        ocelli::Error::BadInput(format!("model: expected one of {names}, found {name:?}"))
    })?;
    recorded(config, preprocessor)
}

/// A checkpoint of nothing but its configuration; of a model that writes with [`ROOM`] for tokens.
pub fn recorded(config: &str, preprocessor: &str) -> Result<Checkpoint> {
    let tokenizer = if config.contains("siglip") { "SiglipTokenizer" } else { "CLIPTokenizer" };
    let tokenizer = format!(r#"{{"tokenizer_class":"{tokenizer}","model_max_length":64}}"#);
    let mut config = Config::parse(config.as_bytes(), preprocessor.as_bytes(), tokenizer.as_bytes())?;
    if config.family.generates() {
        config.text.tokens = ROOM as usize;
    }
    Ok(Checkpoint::blank(config))
}

/// Small numbers in whatever format: zeros would be kind to some hardware.
fn fill(store: &mut dyn Store, weights: &[Weight]) -> Result<()> {
    let mut random = Random::new(1);
    // As f32, as two f16 and as bytes, these are all finite and at most about 1.
    let words: Vec<u32> = (0..1 << 18).map(|_| (random.bits() & 0x83ff_83ff) | 0x3000_3000).collect();
    let block: &[u8] = bytemuck::cast_slice(&words);
    for (index, w) in weights.iter().enumerate() {
        w.make_room(store)?;
        let planes = [(Plane::Values, w.format.row_bytes(w.cols)), (Plane::Scales, w.format.scale_bytes(w.cols))];
        for (plane, row) in planes.into_iter().filter(|(_, row)| *row > 0) {
            let rows = block.repeat(row.div_ceil(block.len()));
            let most = rows.len() / row;
            for first in (0..w.rows).step_by(most) {
                store.write(index, plane, first * row, &rows[..most.min(w.rows - first) * row]);
            }
        }
    }
    Ok(())
}
