//! The same work on every device: whole towers and decoders, or each of their steps by itself.

use std::ops::Range;

use ocelli::{
    Result,
    backend::{Backend, Executor},
    gpu::Tuning,
    kernels::Run,
    plan::Plan,
    quant::Format,
};

use super::{
    line::{Chosen, Line, Roofs, Subject, Work},
    shapes::Towers,
};
use crate::cli::BenchArgs;

/// A device with a clock.
pub trait Timed: Backend {
    /// The least milliseconds that some steps take.
    fn ms(&self, plan: &Self::Executor, run: Run, steps: Range<usize>) -> impl Future<Output = Result<f64>>;
    /// The kernel that a step runs in, where there is a choice.
    fn chosen(&self, plan: &Self::Executor, run: Run, step: usize) -> Option<Chosen>;
}

/// Measures a model in one format, and says each line as soon as it is there.
pub async fn model<B: Timed>(
    device: &B,
    tuning: &Tuning,
    (subject, format): (&Subject, Format),
    args: &BenchArgs,
    roofs: &Roofs,
    mut say: impl FnMut(Line) -> Result<()>,
) -> Result<()> {
    let most = args.batches.iter().copied().max().unwrap_or(1);
    let towers = Towers::new(device, tuning, &subject.model, format, most)?;
    for (name, executor, run) in towers.works(&args.batches) {
        // A text tower has a picture tower's steps.
        if args.steps && name == "text" {
            continue;
        }
        let plan = executor.plan();
        // What runs once has run then.
        executor.run_all(device, run);
        let work = Work { name, plan, run };
        if !args.steps {
            let ms = device.ms(executor, run, 0..plan.len()).await?;
            say(work.line(subject, None, None, ms, roofs))?;
            continue;
        }
        for (at, (label, _)) in plan.steps().enumerate() {
            if plan.kernel(at, true).is_some() && measured(plan, label, args.block_only) {
                let ms = device.ms(executor, run, at..at + 1).await?;
                say(work.line(subject, Some(at), device.chosen(executor, run, at), ms, roofs))?;
            }
        }
    }
    Ok(())
}

/// Whether a step is measured: of blocks that are all alike only those of the second, which in q4 has 4 bits.
fn measured(plan: &Plan, label: &str, block_only: bool) -> bool {
    let Some((stage, _)) = label.split_once(".block.") else {
        return !block_only;
    };
    let second = format!("{stage}.block.1.");
    label.starts_with(&second) || !plan.steps().any(|(other, _)| other.starts_with(&second))
}
