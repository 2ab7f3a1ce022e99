//! Model folders of any shape, filled with random numbers: for tests of sizes that nobody can download, and for benchmarks.
//! They load like published ones and know nothing.

use std::{borrow::Cow, fs, path::Path};

use half::f16;
use safetensors::{Dtype, View};

use crate::{
    checkpoint::{
        Checkpoint, FILES,
        write::{Out, write},
    },
    config::{Config, JsonFiles, TokenizerFiles, Towers},
    error::{Error, Result},
    model,
    random::Random,
    text::{TextEncoder, Tokenizer},
    weights::Entry,
};

/// Most bytes of tensors in one file; published checkpoints are cut at a few GB too.
const SHARD_BYTES: usize = 2_000_000_000;

/// The type of the numbers in the tensor files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Single precision, four bytes.
    F32,
    /// Half precision, two bytes.
    F16,
}

/// The ingredients of a model folder.
pub struct Recipe<'a> {
    /// The content of `config.json`.
    pub config: &'a [u8],
    /// A folder with the `tokenizer.json` and the `tokenizer_config.json` to copy; its ids must be below `vocab_size`.
    pub tokenizer: &'a Path,
    /// The type of the weights.
    pub number: Number,
    /// Seed of the random weights.
    pub seed: u64,
    /// Changes the weights of a tensor; it gets the name, the columns, and the weights row by row.
    pub change: &'a (dyn Fn(&str, usize, &mut [f32]) + Sync),
}

impl Recipe<'_> {
    /// Writes the folder `to`: the JSON files, and `model.safetensors` or shards with an index. One tensor is in memory at a
    /// time.
    ///
    /// # Errors
    /// Whatever is wrong with the recipe, or [`Error::BadInput`] if the folder cannot be written.
    pub fn write(&self, to: &Path) -> Result<()> {
        let failed = |what: &Path, e: &dyn std::fmt::Display| Error::BadInput(format!("{}: {e}", what.display()));
        let read = |path: &Path| fs::read(path).map_err(|e| Error::NotFound(format!("{}: {e}", path.display())));
        let [tokenizer_config, tokenizer] =
            [read(&self.tokenizer.join(FILES[2]))?, read(&self.tokenizer.join(FILES[3]))?];
        let files = JsonFiles { config: self.config, ..JsonFiles::default() };
        let preprocessor = Config::from_files(&files)?.usual_preprocessor().into_bytes();
        let config = Config::parse(self.config, &preprocessor, &tokenizer_config)?;
        let json = TokenizerFiles::Json(tokenizer.clone());
        match config.generator() {
            Ok(_) => Tokenizer::new(&json, config.text_rule.byte_fallback)?.encode_plain("a photo of a cat")?,
            Err(_) => TextEncoder::new(&json, &config)?.encode("a photo of a cat")?,
        };
        let tensors: Vec<Out<Tensor>> = model::entries(&Checkpoint::blank(config))?
            .into_iter()
            .map(|entry| Out { name: entry.name.clone(), tower: Towers::Both, view: Tensor { recipe: self, entry } })
            .collect();

        fs::create_dir_all(to).map_err(|e| failed(to, &e))?;
        for (name, bytes) in FILES.iter().zip([self.config, &preprocessor, &tokenizer_config, &tokenizer]) {
            fs::write(to.join(name), bytes).map_err(|e| failed(&to.join(name), &e))?;
        }
        write(to, tensors, SHARD_BYTES, None)?;
        Ok(())
    }

    /// Numbers at a scale that keeps inputs apart, as `tools/make_fixtures.py` fills its models; none is all 0 or all 1,
    /// where a bug could hide.
    fn fill(&self, entry: &Entry) -> Vec<f32> {
        let name = entry.name.as_str();
        let count = entry.shape.iter().product();
        let cols = entry.shape.iter().skip(1).product::<usize>();
        let seed = name.bytes().fold(self.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut random = Random::new(seed);
        let (mean, deviation) = match name {
            "logit_scale" => (14f32.ln(), 0.0),
            "logit_bias" => (-7.0, 0.0),
            // Of a detector: scores that queries move (tools/make_fixtures.py).
            "class_head.logit_shift.bias" => (-0.4, 0.0),
            "class_head.logit_scale.bias" => (9.0, 0.0),
            // Of a decoder: with rows of length 1 it would repeat one token.
            _ if name.contains("embed_tokens") => (0.0, 0.02),
            _ if name.ends_with("bias") => (0.0, 0.15),
            _ if name.contains("norm") => (1.0, 0.25),
            _ if name.contains("position_embedding") || name.contains("class_embedding") => (0.0, 0.3),
            _ if name.contains("token_embedding") || name.contains("probe") => (0.0, 0.5),
            _ => (0.0, 1.8 / (cols as f32).sqrt()),
        };
        // Of a uniform distribution from -1 to 1 the deviation is 1 / √3.
        let scale = deviation * 3f32.sqrt();
        let mut weights: Vec<f32> = (0..count).map(|_| mean + scale * random.float()).collect();
        (self.change)(name, cols, &mut weights);
        weights
    }
}

struct Tensor<'a> {
    recipe: &'a Recipe<'a>,
    entry: Entry,
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        match self.recipe.number {
            Number::F32 => Dtype::F32,
            Number::F16 => Dtype::F16,
        }
    }
    fn shape(&self) -> &[usize] {
        &self.entry.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let weights = self.recipe.fill(&self.entry);
        match self.recipe.number {
            Number::F32 => weights.iter().flat_map(|w| w.to_le_bytes()).collect(),
            Number::F16 => weights.iter().flat_map(|&w| f16::from_f32(w).to_le_bytes()).collect(),
        }
    }
    fn data_len(&self) -> usize {
        self.entry.shape.iter().product::<usize>() * self.dtype().bitsize() / 8
    }
}
