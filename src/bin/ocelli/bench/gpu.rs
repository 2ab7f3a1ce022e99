//! `ocelli bench` on a GPU: a race of the tiers, and what each kernel and whole towers reach of what the device can do at best.

use std::ops::Range;

use ocelli::{
    Gpu, Power, Result,
    autotune::{Race, Times, candidates, choose, choose_exact, is_slow, race, time, work},
    backend::{Executor, GpuPlan},
    gpu::{Size, Tier, Tuning},
    kernels::Run,
    quant::Format,
};

use super::{
    line::{Chosen, Raced, Subject},
    measure::{self, Timed},
    peak,
    report::Report,
};
use crate::cli::BenchArgs;

impl Timed for Gpu {
    async fn ms(&self, plan: &GpuPlan, run: Run, steps: Range<usize>) -> Result<f64> {
        time(self, plan, run, steps).await
    }

    fn chosen(&self, plan: &GpuPlan, run: Run, step: usize) -> Option<Chosen> {
        let (tier, shader) = plan.shader(step, run);
        let format = plan.plan().kernel(step, false)?.matrix().map_or(Format::F32, |matrix| matrix.format);
        let tuning = plan.tuning();
        let sizes: Vec<_> =
            Size::ALL.iter().filter(|s| tuning.at(s.least(), format) == tier).map(|s| s.name()).collect();
        let why = match sizes.as_slice() {
            [] => "by its shape".into(),
            all if all.len() == Size::ALL.len() => format!("tier {}", tier.name()),
            some => format!("tier {}, for {} rows", tier.name(), some.join(" and ")),
        };
        let variant = if shader.variant.is_empty() { String::new() } else { format!(" {}", shader.variant) };
        Some(Chosen { kernel: format!("{}{variant}", shader.name), why })
    }
}

pub async fn run(json: bool, args: &BenchArgs) -> Result<()> {
    let gpu = Gpu::new(Power::High).await?;
    let roofs = peak::measure(&gpu).await?;
    let mut report = Report::new(json, gpu.name().into(), roofs);
    report.say(|| format!("adapter  {}\n", gpu.name()))?;
    report.say_roofs("roofs", roofs)?;
    let formats = args.formats()?;
    let mut tunings = Vec::new();
    for &format in &formats {
        tunings.push(match args.tiers.as_slice() {
            [] => vec![("raced", raced(&gpu, format, &mut report).await?)],
            [all] if all == "all" => {
                gpu.tiers().filter(|t| t.suits(format)).map(|t| (t.name(), Tuning::all(t))).collect()
            }
            names => {
                let tiers = names.iter().map(|n| Tier::parse(n)).collect::<Result<Vec<_>>>()?;
                tiers.into_iter().map(|t| (t.name(), Tuning::all(t))).collect()
            }
        });
    }
    report.heading()?;
    for model in &args.models {
        for (&format, tunings) in formats.iter().zip(&tunings) {
            for (tier, tuning) in tunings {
                let subject = Subject { model: model.clone(), format: format.name(), tier: Some(*tier) };
                measure::model(&gpu, tuning, (&subject, format), args, &roofs, |line| report.line(line)).await?;
            }
        }
    }
    report.end(args)
}

/// The tiers that loading a model would choose for weights of this format.
async fn raced(gpu: &Gpu, format: Format, report: &mut Report) -> Result<Tuning> {
    let slow = is_slow(gpu).await?;
    let (mut any, mut exact) = ([Tier::Plain; 3], [Tier::Plain; 3]);
    for size in Size::ALL {
        let able = gpu.tiers().filter(|t| t.suits(format));
        let Race { times, .. } = race(gpu, format, able, work(size, slow)).await?;
        let able: Times = times.iter().copied().filter(|(t, _)| candidates(gpu).any(|c| c == *t)).collect();
        (any[size as usize], exact[size as usize]) = (choose(&able), choose_exact(&able));
        let chosen = if format == Format::F32 { exact } else { any }[size as usize].name();
        let ms: Vec<_> = times.iter().map(|(tier, ms)| (tier.name(), *ms)).collect();
        report.say(|| {
            let word =
                |(name, ms): &(&str, Option<f64>)| ms.map_or(format!("{name} failed"), |ms| format!("{name} {ms:.3}"));
            let words = ms.iter().map(word).collect::<Vec<_>>().join(", ");
            format!("race     {} {} rows: {words} ms: {chosen}\n", format.name(), size.name())
        })?;
        report.races.push(Raced { size: size.name(), format: format.name(), chosen, ms });
    }
    Ok(Tuning::new(any, exact))
}
