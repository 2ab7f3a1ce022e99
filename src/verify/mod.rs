//! `verify`: does this very device compute rightly? Every kernel against its naive twin on the CPU, and a model against what
//! the naive reference made of the same weights when its folder was written; each several times, for a race shows as a
//! difference.

mod case;
mod cases;
mod davit;
mod decoder;
mod goldens;
mod pictures;
#[cfg(not(target_arch = "wasm32"))]
mod reference_run;
#[cfg(not(target_arch = "wasm32"))]
mod written;

use std::{collections::HashMap, pin::Pin};

use serde::Serialize;

pub use case::{Case, Judged, Rough, Step, compare, poison, rough, words};
pub use cases::cases;
pub use goldens::{GOLDENS, Goldens, TEXT, Tower};
#[cfg(not(target_arch = "wasm32"))]
pub use reference_run::{Reference, ReferenceRun};
#[cfg(not(target_arch = "wasm32"))]
pub use written::WrittenRun;

use crate::{
    backend::Backend,
    config::{Head, Task, WRITES},
    error::{Error, Result},
    gpu::Tuning,
    preprocess::{Sampling, resize},
    session::{Options, Session, Source, Strip, View},
};

/// Runs of each check; a data race shows as a difference between them.
pub const RUNS: u32 = 3;

/// The result of a self-test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Whether every check has passed.
    pub ok: bool,
    /// The device, as far as the driver or the browser tells.
    pub adapter: String,
    /// Whether the model itself was checked, or only the kernels.
    pub goldens: bool,
    /// The name of the first check that is off: a kernel, or the first step of a tower.
    pub off: Option<String>,
    /// All checks, in the order in which they ran.
    pub checks: Vec<Check>,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was checked: a kernel with its sizes, or a step of a tower.
    pub name: String,
    /// Number of runs.
    pub runs: u32,
    /// The largest error as a share of what it may be; 0 for what must be equal and is; none if it is off.
    pub share: Option<f64>,
    /// Whether the error is within its bound, and every run gave the same.
    pub ok: bool,
    /// Why the check failed: what was expected, what was found, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Check {
    fn new(name: impl Into<String>, judged: Judged) -> Self {
        let (share, why) = match judged {
            Ok(share) => (Some(share), None),
            Err(why) => (None, Some(why)),
        };
        Self { name: name.into(), runs: RUNS, share, ok: share.is_some(), why }
    }
}

/// Runs of the same must be the same, to the last bit: then the first speaks for all.
fn same<T: PartialEq>(runs: &[T]) -> std::result::Result<&T, String> {
    match runs.iter().position(|run| *run != runs[0]) {
        None => Ok(&runs[0]),
        Some(run) => Err(format!("expected the same in every run, found another in run {}: a race", run + 1)),
    }
}

/// Each case on this device.
pub async fn kernels(device: &impl Backend, tuning: &Tuning, cases: Vec<(Case, Step)>) -> Vec<Check> {
    let mut checks = Vec::with_capacity(cases.len());
    for (case, step) in cases {
        let expected = case.expected(&step);
        let tier = step.kernel.variant(tuning, case.run);
        let runs = case.run(device, tuning, step, RUNS).await.map_err(|e| e.to_string());
        let judged = runs.and_then(|runs| case.judge(tier, same(&runs)?, &expected));
        checks.push(Check::new(case.name, judged));
    }
    checks
}

/// The built-in picture of the self-test.
struct Picture;

impl<B: Backend> Source<B> for Picture {
    fn size(&self) -> (usize, usize) {
        goldens::PICTURE
    }
    fn upload(&self, rows: std::ops::Range<usize>, strip: &Strip<B>) -> Result<()> {
        let row = |y| (0..goldens::PICTURE.0).flat_map(|x| goldens::pixel(x, y)).collect::<Vec<u8>>();
        strip.fill(rows.map(row));
        Ok(())
    }
}

/// What every run gave, or why one failed.
type Runs<T> = std::result::Result<Vec<T>, String>;

impl<B: Backend> Session<B> {
    /// Checks every kernel on this device; the resize of a built-in picture; and, with the `goldens.json` of the model's
    /// folder, every step of both towers, or of a prompt and the tokens that follow it. `tokens` are the ids of
    /// [`goldens::TEXT`], where the tokenizer is not the session's own. What is off is in the report.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the goldens cannot be read.
    pub async fn verify(&self, goldens: Option<&[u8]>, tokens: Option<Vec<u32>>) -> Result<Report> {
        let goldens: Option<Goldens> = goldens.map(Goldens::parse).transpose()?;
        let mut checks = kernels(self.device(), &self.tuning, cases()).await;
        let writes = self.config.expect(Task::Generate).is_ok();
        // Tiles are cut where the text is made.
        if self.towers().vision() && !writes {
            checks.push(Check::new("picture", self.verify_picture().await));
        }
        if let Some(goldens) = &goldens {
            checks.extend(self.verify_whole(goldens, tokens, writes).await);
        }
        let off = checks.iter().find(|check| !check.ok).map(|check| check.name.clone());
        let adapter = self.device().name();
        Ok(Report { ok: off.is_none(), adapter, goldens: goldens.is_some(), off, checks })
    }

    /// A future in a box, and no `await` in a branch: so engines that do not write have no code that would.
    fn verify_whole<'a>(
        &'a self,
        goldens: &'a Goldens,
        tokens: Option<Vec<u32>>,
        writes: bool,
    ) -> Pin<Box<dyn Future<Output = Vec<Check>> + 'a>> {
        if WRITES && writes {
            return Box::pin(self.verify_writing(goldens, tokens));
        }
        Box::pin(self.verify_model(goldens, tokens))
    }

    async fn verify_picture(&self) -> Judged {
        let (width, height) = goldens::PICTURE;
        let pixels = goldens::pixels();
        let text = |e: Error| e.to_string();
        let sampling = Sampling::new(&self.config.preprocessor, width, height).map_err(text)?;
        let expected = resize(&pixels, width, height, &sampling);
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(self.seen(&Picture).await.map_err(text)?.0);
        }
        if sampling.filter.floats() {
            // Two sums of few numbers up to 255, whose weights add up to 1.
            let bound = 16.0 * 2f64.powi(-24);
            let magnitude = vec![255.0; expected.len()];
            return compare(bytemuck::cast_slice(same(&runs)?), bytemuck::cast_slice(&expected), &magnitude, bound);
        }
        match same(&runs)?.iter().zip(&expected).position(|(found, expected)| found != expected) {
            None => Ok(0.0),
            Some(at) => Err(format!("pixel {at}: expected {:#010x}, found {:#010x}", expected[at], runs[0][at])),
        }
    }

    async fn verify_model(&self, goldens: &Goldens, tokens: Option<Vec<u32>>) -> Vec<Check> {
        let bound = goldens::bound(&self.tuning, self.format);
        let mut checks = Vec::new();
        // What the tokenizer makes of the text is what the tower is fed.
        let mut ids = goldens.ids.clone();
        if self.towers().text() {
            let tokens = tokens.map_or_else(|| self.tokenize(goldens::TEXT), Ok);
            checks.push(Check::new("tokens", verify_tokens(&tokens, &goldens.ids)));
            ids = tokens.unwrap_or(ids);
        }
        let taps = self.every_run(async || self.taps(&Picture, &ids).await).await;
        let length = if matches!(self.config.head, Head::Masks(_)) { "as a prompt" } else { "unit length" };
        let mut judge = |name, tower: &goldens::Tower, embeddings: Option<Runs<Vec<Vec<f32>>>>| {
            for tap in &tower.taps {
                checks.push(Check::new(&tap.name, tap_of(&taps, &tap.name).and_then(|taps| tap.judge(bound, taps))));
            }
            if let Some(embeddings) = embeddings {
                let judged = embeddings.and_then(|runs| tower.judge(bound, &same(&runs)?[0]));
                checks.push(Check::new(format!("{name}.embedding, {length}"), judged));
            }
        };
        if let Some(vision) = goldens.vision.as_ref().filter(|_| self.towers().vision()) {
            let embeds = self.config.head == Head::Contrastive;
            let embed = async || self.embed_images(&[&Picture as &dyn Source<B>]).await;
            let runs = if embeds { Some(self.every_run(embed).await) } else { None };
            judge("vision", vision, runs);
        }
        if self.towers().text() {
            let runs = self.every_run(async || self.embed_tokens(std::slice::from_ref(&ids)).await).await;
            judge("text", &goldens.text, Some(runs));
        }
        checks
    }

    /// A picture's tokens, every step of a prompt, and the tokens that follow it.
    async fn verify_writing(&self, goldens: &Goldens, tokens: Option<Vec<u32>>) -> Vec<Check> {
        let mut checks = Vec::new();
        if let Some(tokens) = tokens {
            checks.push(Check::new("tokens", verify_tokens(&Ok(tokens), &goldens.ids)));
        }
        let mut judge = |tower: &goldens::Tower, bound, taps: &Runs<Taps>| {
            let judged = |tap: &goldens::Tap| tap_of(taps, &tap.name).and_then(|taps| tap.judge(bound, taps));
            checks.extend(tower.taps.iter().map(|tap| Check::new(&tap.name, judged(tap))));
        };
        if let Some(vision) = &goldens.vision {
            let taps = self.every_run(async || {
                let low = View { low: true, several: false };
                self.put_square(&self.cut(&goldens::pixels(), goldens::PICTURE, low)?, 0, 0)?;
                self.taps_of_square().await
            });
            judge(vision, goldens::bound(&self.tuning, self.format), &taps.await);
        }
        let taps = self.every_run(async || self.taps_of_prompt(&goldens.ids).await).await;
        judge(&goldens.text, goldens::bound(&self.tuning.without_half(), self.format), &taps);
        let runs = self.every_run(async || self.verify_written(&goldens.ids).await).await;
        let judged = runs.and_then(|runs| match same(&runs)? {
            written if *written == goldens.written => Ok(0.0),
            written => Err(format!("expected the tokens {:?}, found {written:?}", goldens.written)),
        });
        checks.push(Check::new("written", judged));
        checks
    }

    /// The tokens that follow a prompt, each the likeliest.
    async fn verify_written(&self, ids: &[u32]) -> Result<Vec<u32>> {
        let options = Options { max_tokens: Some(goldens::WRITTEN), ..Options::default() };
        let mut text = self.generate(ids, options)?;
        let mut written = Vec::new();
        while let Some(token) = self.next_token(&mut text).await? {
            written.push(token.id);
        }
        Ok(written)
    }

    async fn every_run<T>(&self, run: impl AsyncFn() -> Result<T>) -> std::result::Result<Vec<T>, String> {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(run().await.map_err(|e| e.to_string())?);
        }
        Ok(runs)
    }
}

fn verify_tokens(tokens: &Result<Vec<u32>>, expected: &[u32]) -> Judged {
    match tokens {
        Ok(ids) if ids == expected => Ok(0.0),
        Ok(ids) => Err(format!("expected the ids {expected:?}, found {ids:?}")),
        Err(e) => Err(e.to_string()),
    }
}

type Taps = HashMap<String, Vec<f32>>;

/// The taps of the first run, if this one is the same in all.
fn tap_of<'a>(runs: &'a std::result::Result<Vec<Taps>, String>, name: &str) -> std::result::Result<&'a Taps, String> {
    let runs = runs.as_ref().map_err(Clone::clone)?;
    same(&runs.iter().map(|taps| taps.get(name)).collect::<Vec<_>>())?;
    Ok(&runs[0])
}
