//! `ocelli bench` of models that write: a tile of a picture, a prompt, and steps of one token, beside what the device can do at best.

use ocelli::{
    kernels::{Kernel, Run},
    plan::{Act, Kind, Plan},
};
use serde::Serialize;

use super::{
    roofs::Roofs,
    shapes::{PAST, PROMPT},
};

/// What is measured of a decoder.
pub fn runs() -> [(&'static str, Run); 3] {
    let [early, late] = PAST.map(|past| ("step", Run { batch: 1, tokens: 1, past }));
    [("prompt", Run::tokens(1, PROMPT)), early, late]
}

/// One line of the table.
#[derive(Serialize)]
pub struct Line {
    model: String,
    format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'static str>,
    /// tile, prompt or step.
    step: &'static str,
    tokens: u32,
    past: u32,
    ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_second: Option<f64>,
    gflops: f64,
    /// Billions of bytes that it must read: all matrices, and the keys and values so far.
    gbytes: f64,
    /// The least that it can take: those bytes at the speed of a copy, or its operations at the best speed of these.
    roof_ms: f64,
    /// Of the least in the time that it took.
    roof_share: f64,
}

impl Line {
    pub fn new(
        (model, format, tier): (&str, &'static str, Option<&'static str>),
        (step, run): (&'static str, Run),
        plan: &Plan,
        ms: f64,
        roofs: &Roofs,
    ) -> Self {
        let (gflop, gbytes) = (plan.flops(run) as f64 / 1e9, bytes_read(plan, run) as f64 / 1e9);
        let roof_ms = 1e3 * (gbytes / roofs.gbytes).max(gflop / roofs.gflops);
        Self {
            model: model.into(),
            format,
            tier,
            step,
            tokens: run.tokens,
            past: run.past,
            ms,
            tokens_per_second: (step != "tile").then(|| 1e3 * f64::from(run.tokens) / ms),
            gflops: 1e3 * gflop / ms,
            gbytes,
            roof_ms,
            roof_share: roof_ms / ms,
        }
    }

    pub fn heading() -> String {
        let [ms, tokens, flops, bytes, roof] = ["ms", "tokens/s", "GFLOP/s", "MB read", "roof ms"];
        format!("\n{:44} {ms:>9} {tokens:>9} {flops:>9} {bytes:>8} {roof:>9} {:>6}\n", "", "%")
    }

    pub fn text(&self) -> String {
        let Self { model, format, step, tokens, past, ms, gflops, roof_ms, .. } = self;
        let what = match *step {
            "tile" => "a tile".to_string(),
            "prompt" => format!("prompt of {tokens}"),
            _ => format!("step past {past}"),
        };
        let tier = self.tier.map_or(String::new(), |tier| format!(" {tier}"));
        let speed = self.tokens_per_second.map_or(String::new(), |speed| format!("{speed:.1}"));
        let (megabytes, share) = (1e3 * self.gbytes, 100.0 * self.roof_share);
        let name = format!("{model} {format}{tier} {what}");
        format!("{name:44} {ms:9.3} {speed:>9} {gflops:9.1} {megabytes:8.1} {roof_ms:9.3} {share:4.0} %\n")
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
    use crate::bench::shapes::{MODELS, recorded};

    /// The decoder of SmolVLM-256M.
    fn decoder(format: Format) -> Plan {
        let (_, config, preprocessor) =
            MODELS.into_iter().find(|(name, ..)| *name == "smolvlm-256m").expect("its shape");
        let blank = recorded(config, preprocessor).expect("a config");
        let mut loader = Loader::new(&blank, Some(format)).expect("a loader");
        let model = model::record(&blank.config, Towers::Both, &mut loader).expect("plans");
        model.language.expect("a decoder").plan
    }

    /// By the published shape: 30 blocks of 576, 9 heads of 64 with 3 for keys, an MLP of 1536, and a head of 49,280 tokens.
    #[test]
    fn bytes_of_a_step_by_hand() {
        let blocks = 30 * (576 * (576 + 2 * 192) + 576 * 576 + 3 * 576 * 1536);
        let numbers: u64 = blocks + 49_280 * 576;
        for (format, bits) in [(Format::F16, 16), (Format::F32, 32)] {
            let plan = decoder(format);
            for past in PAST {
                let run = Run { batch: 1, tokens: 1, past };
                let kept = u64::from(past + 1) * 30 * 2 * 192 * 4;
                assert_eq!(bytes_read(&plan, run), numbers * bits / 8 + kept, "{} past {past}", format.name());
            }
        }
    }

    #[test]
    fn a_line_by_hand() {
        let plan = decoder(Format::F16);
        let roofs = Roofs { gflops: 1000.0, gbytes: 10.0 };
        let [prompt, _, late] = runs().map(|work| Line::new(("m", "f16", None), work, &plan, 100.0, &roofs));
        assert_eq!((prompt.tokens_per_second, late.tokens_per_second), (Some(2560.0), Some(10.0)));
        // A prompt is as fast as operations are, a step as bytes: 0.2691 GB of matrices and 0.0922 of 2,001 tokens at 10 GB/s.
        let gflop = plan.flops(Run::tokens(1, PROMPT)) as f64 / 1e9;
        assert!((prompt.roof_ms - gflop).abs() < 1e-9, "{}", prompt.roof_ms);
        assert!((late.roof_ms - 36.131).abs() < 1e-2, "{}", late.roof_ms);
        assert!((late.roof_share - late.roof_ms / 100.0).abs() < 1e-12);
    }
}
