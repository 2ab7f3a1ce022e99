//! What is measured, as a line of a table: the work, how long it took, and how much of the device's best that is.

use ocelli::{
    kernels::{Kernel, Run},
    plan::{Act, Kind, Plan},
};
use serde::Serialize;

/// What a device can do at best, measured: the roofs over everything else.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Roofs {
    /// Billions of additions and multiplications a second, f32.
    pub gflops: f64,
    /// Billions of bytes a second that a copy reads and writes.
    pub gbytes: f64,
}

/// Which model, and how it is kept.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    pub model: String,
    pub format: &'static str,
    /// Of a GPU: the tier that everything runs in; `raced` if each size of work has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<&'static str>,
}

/// A race of the tiers of a GPU on one size of work.
#[derive(Serialize)]
pub struct Raced {
    pub size: &'static str,
    pub format: &'static str,
    /// What would be chosen at load.
    pub chosen: &'static str,
    pub ms: Vec<(&'static str, Option<f64>)>,
}

/// The kernel of a step on a GPU.
#[derive(Debug, Clone, Serialize)]
pub struct Chosen {
    /// The shader, and its variant.
    pub kernel: String,
    /// Why this one.
    pub why: String,
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub struct Line {
    #[serde(flatten)]
    pub subject: Subject,
    /// Pictures or texts at a time.
    pub batch: u32,
    /// What runs: `picture`, `text`, `tile`, `prompt of 256`, `step past 100`.
    pub work: String,
    /// Which step of it, if one runs by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    #[serde(flatten)]
    pub chosen: Option<Chosen>,
    pub ms: f64,
    /// Milliseconds for each picture, text or token.
    pub ms_each: f64,
    pub gflops: f64,
    /// Of the roof.
    pub gflops_share: f64,
    /// Of a step, weights and activations, each read or written once; of all steps, matrices and what is kept of earlier tokens.
    pub gbytes: f64,
    pub gbytes_share: f64,
    /// The least that it can take, by operations or by bytes, in the time that it took.
    pub roof_share: f64,
}

/// What a line measures.
pub struct Work<'a> {
    pub name: String,
    pub plan: &'a Plan,
    pub run: Run,
}

impl Work<'_> {
    /// Of one step, or of all of them.
    pub fn line(&self, subject: &Subject, step: Option<usize>, chosen: Option<Chosen>, ms: f64, roofs: &Roofs) -> Line {
        let Self { name, plan, run } = self;
        let (flops, bytes, label) = match step {
            None => (plan.flops(*run), bytes_read(plan, *run), None),
            Some(at) => {
                let (label, kernel) = plan.steps().nth(at).expect("a step of this plan");
                (kernel.flops(*run), plan.bytes(at, *run), Some(label.to_string()))
            }
        };
        let (gflops, gbytes) = (flops as f64 / ms / 1e6, bytes as f64 / ms / 1e6);
        let (gflops_share, gbytes_share) = (gflops / roofs.gflops, gbytes / roofs.gbytes);
        Line {
            subject: subject.clone(),
            batch: run.batch,
            work: name.clone(),
            step: label,
            chosen,
            ms,
            ms_each: ms / f64::from(if name.starts_with("prompt") { run.tokens } else { run.batch }),
            gflops,
            gflops_share,
            gbytes,
            gbytes_share,
            roof_share: gflops_share.max(gbytes_share),
        }
    }
}

impl Line {
    pub fn heading() -> String {
        let [ms, each, flops, bytes, roof] = ["ms", "ms each", "GFLOP/s", "GB/s", "of roof"];
        format!("\n{:54} {ms:>9} {each:>9} {flops:>9} {:>6} {bytes:>8} {:>6} {roof:>8}\n", "", "", "")
    }

    /// What tells it from all others of a run.
    pub fn name(&self) -> String {
        let Subject { model, format, tier } = &self.subject;
        let tier = tier.map_or(String::new(), |tier| format!(" {tier}"));
        let step = self.step.as_ref().map_or(String::new(), |step| format!(", {step}"));
        format!("{model} {format}{tier} × {} {}{step}", self.batch, self.work)
    }

    pub fn text(&self) -> String {
        let Self { ms, ms_each, gflops, gbytes, .. } = self;
        let [flops, bytes, roof] = [self.gflops_share, self.gbytes_share, self.roof_share].map(|share| 100.0 * share);
        let chosen = self.chosen.as_ref().map_or(String::new(), |Chosen { kernel, why }| format!("   {kernel}: {why}"));
        let name = self.name();
        format!(
            "{name:54} {ms:9.3} {ms_each:9.3} {gflops:9.1} {flops:4.0} % {gbytes:8.2} {bytes:4.0} % {roof:6.0} %{chosen}\n"
        )
    }
}

/// Bytes of the matrices that are multiplied by, and of the keys and values of all tokens so far. Of a table of tokens few rows are read.
fn bytes_read(plan: &Plan, run: Run) -> u64 {
    let matrix = |kernel: &dyn Kernel| {
        let matrix = kernel.matrix().filter(|_| kernel.flops(run) > 0)?;
        let (rows, cols) = (matrix.rows as usize, matrix.cols as usize);
        Some((rows * (matrix.format.row_bytes(cols) + matrix.format.scale_bytes(cols))) as u64)
    };
    let kept = |act: &Act| match act.kind {
        Kind::State { .. } => u64::from(run.past + run.tokens) * act.words as u64 * 4,
        _ => 0,
    };
    plan.steps().filter_map(|(_, kernel)| matrix(kernel)).sum::<u64>() + plan.acts().iter().map(kept).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use ocelli::{config::Towers, model, quant::Format, weights::Loader};

    use super::*;
    use crate::bench::shapes::{MODELS, PAST, PROMPT, recorded};

    /// The decoder of SmolVLM-256M.
    fn decoder(format: Format) -> Plan {
        let (_, config, preprocessor) =
            MODELS.into_iter().find(|(name, ..)| *name == "smolvlm-256m").expect("its shape");
        let blank = recorded(config, preprocessor).expect("a config");
        let mut loader = Loader::new(&blank, Some(format)).expect("a loader");
        let model = model::record(&blank.config, Towers::Both, &mut loader).expect("plans");
        model.language.expect("a decoder").plan
    }

    fn step(past: u32) -> Run {
        Run { batch: 1, tokens: 1, past }
    }

    /// By the published shape: 30 blocks of 576, 9 heads of 64 with 3 for keys, an MLP of 1536, and a head of 49,280 tokens.
    #[test]
    fn bytes_of_a_step_by_hand() {
        let blocks = 30 * (576 * (576 + 2 * 192) + 576 * 576 + 3 * 576 * 1536);
        let numbers: u64 = blocks + 49_280 * 576;
        for (format, bits) in [(Format::F16, 16), (Format::F32, 32)] {
            let plan = decoder(format);
            for past in PAST {
                let kept = u64::from(past + 1) * 30 * 2 * 192 * 4;
                assert_eq!(bytes_read(&plan, step(past)), numbers * bits / 8 + kept, "{} past {past}", format.name());
            }
        }
    }

    #[test]
    fn a_line_by_hand() {
        let plan = decoder(Format::F16);
        let roofs = Roofs { gflops: 1000.0, gbytes: 10.0 };
        let subject = Subject { model: "m".into(), format: "f16", tier: None };
        let line =
            |name: &str, run| Work { name: name.into(), plan: &plan, run }.line(&subject, None, None, 100.0, &roofs);
        let (prompt, late) = (line("prompt of 256", Run::tokens(1, PROMPT)), line("step past 2000", step(PAST[1])));
        assert_eq!((prompt.ms_each, late.ms_each), (100.0 / 256.0, 100.0));
        // A prompt is as fast as operations are, a step as bytes: 0.2691 GB of matrices and 0.0922 of 2,001 tokens at 10 GB/s.
        let gflop = plan.flops(Run::tokens(1, PROMPT)) as f64 / 1e9;
        assert!((prompt.roof_share - gflop / 100.0).abs() < 1e-9, "{}", prompt.roof_share);
        assert!((late.roof_share - 0.36131).abs() < 1e-4, "{}", late.roof_share);
        assert_eq!(late.name(), "m f16 × 1 step past 2000");
    }

    /// A step by itself: its own operations and bytes, and a name that says which it is.
    #[test]
    fn a_line_of_one_step() {
        let plan = decoder(Format::F16);
        let roofs = Roofs { gflops: 1000.0, gbytes: 10.0 };
        let subject = Subject { model: "m".into(), format: "f16", tier: Some("wide") };
        let (at, (label, _)) =
            plan.steps().enumerate().find(|(_, (label, _))| label.ends_with("block.1.down")).expect("a step");
        let line = Work { name: "step past 100".into(), plan: &plan, run: step(100) }.line(
            &subject,
            Some(at),
            None,
            2.0,
            &roofs,
        );
        assert_eq!(line.name(), format!("m f16 wide × 1 step past 100, {label}"));
        assert!((line.gflops - 2.0 * 576.0 * 1536.0 / 2e6).abs() < 1e-9, "{}", line.gflops);
        assert!((line.roof_share - line.gbytes_share).abs() < 1e-12 && line.gbytes > 2.0 * 576.0 * 1536.0 / 2e6);
    }
}
