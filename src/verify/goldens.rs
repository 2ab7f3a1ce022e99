//! `goldens.json`: what the naive reference makes of one picture and one text with the weights of its own folder. On a device
//! that computes rightly, the GPU makes the same of them.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    error::{Error, Result},
    gpu::{Tier, Tuning},
    json::{Field, Object},
    quant::Format,
};

/// Name of the file in a model folder.
pub const GOLDENS: &str = "goldens.json";

/// Built in, as the picture is. Whatever is changed about them, or about which taps there are, makes another `INPUTS`.
pub const TEXT: &str = "a photo of a cat, isn't it? 2 of 3";
/// Width and height of the picture.
pub const PICTURE: (usize, usize) = (61, 47);
/// Tokens that a model writes after the text.
pub const WRITTEN: usize = 8;
/// Which picture and text.
pub const INPUTS: u32 = 2;

/// RGBA bytes of a pixel: stripes, a gradient and a product, so that every way to resize it looks different.
#[must_use]
pub fn pixel(x: usize, y: usize) -> [u8; 4] {
    let stripes = if (x + y / 3) % 4 < 2 { 255 } else { 40 };
    [(x * 4) as u8, (x * y * 7 % 256) as u8, if y < 20 { stripes } else { (y * 5) as u8 }, 255]
}

/// All of them, as RGBA words.
#[must_use]
pub fn pixels() -> Vec<u32> {
    let (width, height) = PICTURE;
    (0..width * height).map(|i| u32::from_le_bytes(pixel(i % width, i / width))).collect()
}

/// The content of `goldens.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Goldens {
    /// Version of the built-in picture and text.
    pub inputs: u32,
    /// Token ids of the text.
    pub ids: Vec<u32>,
    /// What the picture tower computes, and a connector behind it; none of a model that reads words alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<Tower>,
    /// What the text tower or the decoder computes.
    pub text: Tower,
    /// Of a model that writes the tokens that follow the text, the likeliest each time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<u32>,
}

/// What one tower computes for its input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tower {
    /// The embedding; empty for the pictures of a model that finds things and for a model that writes, which have none.
    pub embedding: Vec<f32>,
    /// The taps, in the order of the steps.
    pub taps: Vec<Tap>,
}

/// A summary of an activation, enough to recognise a difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tap {
    /// The tap's name, such as `vision.block.3.mixed`.
    pub name: String,
    /// Numbers in the activation.
    pub len: usize,
    /// Euclidean length of the activation.
    pub norm: f64,
    /// [`SAMPLES`] of its numbers, at [`place`].
    pub values: Vec<f32>,
}

/// Numbers of an activation that a tap keeps.
const SAMPLES: usize = 24;

/// Where the samples are: all over, and the same for the same length.
fn place(sample: usize, len: usize) -> usize {
    ((sample as u64 * 0x9e37_79b9 + 0x1234) % len.max(1) as u64) as usize
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

/// Share of a sample, or of the tap's root mean square where that is larger, by which it may differ. A sum in f32 is off by
/// 1e-6, and each block of a deep model feeds its own into the next: 5e-6 at most in B/16. An f16 in one place is off by up
/// to 2.4e-4, and one of so many samples is nearly so.
const BOUND: f64 = 1e-4;

/// The bound in these tiers, for weights of this format. What rounds more is seen to be off only if it is far off.
pub fn bound(tuning: &Tuning, format: Format) -> f64 {
    match tuning.leading(format) {
        Tier::Half => 0.05,
        Tier::Dot8 => 0.5,
        _ => BOUND,
    }
}

impl Tap {
    /// Summarises an activation.
    #[must_use]
    pub fn new(name: &str, values: &[f32]) -> Self {
        let samples = (0..SAMPLES).map(|sample| values[place(sample, values.len())]).collect();
        Self { name: name.into(), len: values.len(), norm: norm(values), values: samples }
    }

    /// Whether a run has this tap as it should be.
    ///
    /// # Errors
    /// What is off.
    pub fn judge(&self, bound: f64, taps: &HashMap<String, Vec<f32>>) -> super::Judged {
        let found = taps.get(&self.name).ok_or("expected this step in the model, found none")?;
        if found.len() != self.len || self.values.len() != SAMPLES || self.len == 0 {
            return Err(format!("expected {} numbers, found {}", self.len, found.len()));
        }
        let typical = (self.norm / (self.len as f64).sqrt()) as f32;
        let samples: Vec<f32> = (0..SAMPLES).map(|sample| found[place(sample, self.len)]).collect();
        let magnitude: Vec<f32> = self.values.iter().map(|x| x.abs().max(typical)).collect();
        let share = super::compare(&samples, &self.values, &magnitude, bound)?;
        let (found, expected) = (norm(found) as f32, self.norm as f32);
        let length = super::compare(&[found], &[expected], &[expected], bound).map_err(|e| format!("length: {e}"))?;
        Ok(share.max(length))
    }
}

impl Field for Tap {
    const EXPECTED: &'static str = "name, len, norm and values";
    fn of(value: &Value) -> Option<Self> {
        Some(Self {
            name: Field::of(&value["name"])?,
            len: Field::of(&value["len"])?,
            norm: Field::of(&value["norm"])?,
            values: Field::of(&value["values"])?,
        })
    }
}

impl Tower {
    /// Whether an embedding is what it should be.
    ///
    /// # Errors
    /// What is off.
    pub fn judge(&self, bound: f64, embedding: &[f32]) -> super::Judged {
        let typical = (norm(&self.embedding) / (self.embedding.len() as f64).sqrt()) as f32;
        let magnitude: Vec<f32> = self.embedding.iter().map(|x| x.abs().max(typical)).collect();
        super::compare(embedding, &self.embedding, &magnitude, bound)
    }
}

impl Goldens {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is not what is expected, or of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes)
            .map_err(|e| Error::BadCheckpoint(format!("{e}: write the folder again with `ocelli quantize`")))
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let mut object = Object::parse(GOLDENS, bytes)?;
        let inputs = object.need("inputs")?;
        if inputs != INPUTS {
            return Err(Error::BadCheckpoint(format!("{GOLDENS}: inputs: expected {INPUTS}, found {inputs}")));
        }
        let writes = object.get("written").is_some();
        let written = if writes { object.need("written")? } else { Vec::new() };
        let words_alone = writes && object.get("vision").is_none();
        let mut tower = |name: &str| {
            let mut object = object.need_object(name)?;
            let tower = Tower { embedding: object.need("embedding")?, taps: object.need("taps")? };
            if tower.taps.is_empty() {
                let what = "expected steps, found none";
                return Err(Error::BadCheckpoint(format!("{GOLDENS}: {name}: {what}")));
            }
            Ok(tower)
        };
        let vision = if words_alone { None } else { Some(tower("vision")?) };
        let text = tower("text")?;
        Ok(Self { inputs, ids: object.need("ids")?, vision, text, written })
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod write {
    use std::{fs, path::Path};

    use super::{GOLDENS, Goldens, INPUTS, PICTURE, TEXT, Tap, Tower, WRITTEN, pixels};
    use crate::{
        checkpoint::Checkpoint,
        error::{Error, Result},
        verify::{Reference, ReferenceRun, WrittenRun},
    };

    impl Goldens {
        /// Runs the naive reference. All weights are in memory, and it takes its time.
        ///
        /// # Errors
        /// Whatever is wrong with the checkpoint; [`Error::NotFinite`] where the reference itself overflows f32.
        pub fn compute(checkpoint: Checkpoint) -> Result<Self> {
            let ((width, height), pixels) = (PICTURE, pixels());
            if checkpoint.config.generator().is_ok() {
                let run = WrittenRun::of(checkpoint, (&pixels, width, height), (TEXT, WRITTEN))?;
                let (vision, text) = (run.vision.map(tower).transpose()?, tower(run.text)?);
                return Ok(Self { inputs: INPUTS, ids: run.ids, vision, text, written: run.written });
            }
            let run = ReferenceRun::of(&checkpoint, None, (&pixels, width, height), TEXT)?;
            let (vision, text) = (Some(tower(run.vision)?), tower(run.text)?);
            Ok(Self { inputs: INPUTS, ids: run.ids, vision, text, written: Vec::new() })
        }

        /// Adds them to a folder.
        ///
        /// # Errors
        /// As [`Goldens::compute`], and [`Error::BadInput`] if the file cannot be written.
        pub fn write(folder: &Path) -> Result<()> {
            let goldens = Self::compute(Checkpoint::open(folder)?)?;
            let path = folder.join(GOLDENS);
            let failed = |e: &dyn std::fmt::Display| Error::BadInput(format!("{}: {e}", path.display()));
            let json = serde_json::to_vec(&goldens).map_err(|e| failed(&e))?;
            fs::write(&path, json).map_err(|e| failed(&e))
        }
    }

    fn tower(Reference { runs, embedding }: Reference) -> Result<Tower> {
        let taps = runs.iter().flat_map(|(plan, run)| plan.taps().map(|name| Tap::new(name, &run.taps[name])));
        let taps: Vec<Tap> = taps.collect();
        match taps.iter().find(|tap| !tap.norm.is_finite()) {
            None => Ok(Tower { embedding, taps }),
            Some(tap) => Err(Error::NotFinite(format!(
                "{GOLDENS}: {}: expected finite numbers, found a norm of {}: the weights are too large for f32",
                tap.name, tap.norm
            ))),
        }
    }
}
