//! `ocelli bench` on a GPU: the tiers, each kernel, and whole towers, beside what the device can do at best.

use ocelli::{
    Gpu, Power, Result,
    autotune::{Race, Times, candidates, choose, is_slow, race, time, work},
    backend::{Executor, GpuPlan},
    gpu::{Size, Tier, Tuning},
    kernels::Run,
};
use serde::Serialize;

use super::{
    measured,
    peak::Peak,
    roofs::Roofs,
    shapes::{self, Towers},
    text,
};
use crate::{
    cli::BenchArgs,
    output::{print, print_json},
};

/// One line of the table of kernels.
#[derive(Serialize)]
struct Kernel {
    model: String,
    format: &'static str,
    tier: &'static str,
    batch: u32,
    /// Of the plan: the step of a tower.
    step: String,
    ms: f64,
    gflops: f64,
    /// Weights and activations, each read or written once.
    gbytes: f64,
}

/// One line of the table from end to end.
#[derive(Serialize)]
struct Tower {
    model: String,
    format: &'static str,
    tier: &'static str,
    batch: u32,
    tower: &'static str,
    /// For each picture or text of the batch.
    ms_each: f64,
    gflops: f64,
    dispatches: usize,
    gpu_bytes: u64,
}

/// A race of the tiers on one size of work.
#[derive(Serialize)]
struct Raced {
    size: &'static str,
    format: &'static str,
    /// What would be chosen at load.
    chosen: &'static str,
    ms: Vec<(&'static str, Option<f64>)>,
}

#[derive(Serialize)]
struct Bench {
    adapter: String,
    version: &'static str,
    peak: Peak,
    races: Vec<Raced>,
    kernels: Vec<Kernel>,
    towers: Vec<Tower>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    texts: Vec<text::Line>,
}

pub async fn run(json: bool, args: &BenchArgs) -> Result<()> {
    let gpu = Gpu::new(Power::High).await?;
    let say = |line: String| if json { Ok(()) } else { print(&line) };
    say(format!("adapter  {}\n", gpu.name()))?;
    let peak = Peak::measure(&gpu).await?;
    say(format!("peak     {:.1} GFLOP/s, a copy {:.1} GB/s\n", peak.gflops, peak.gbytes))?;
    let mut bench = Bench {
        adapter: gpu.name().into(),
        version: env!("CARGO_PKG_VERSION"),
        peak,
        races: Vec::new(),
        kernels: Vec::new(),
        towers: Vec::new(),
        texts: Vec::new(),
    };
    let formats = args.formats()?;
    let slow = is_slow(&gpu).await?;
    let mut tiers = Vec::new();
    for &format in &formats {
        let mut chosen = Tier::Plain;
        for size in Size::ALL {
            let able = gpu.tiers().filter(|t| t.suits(format));
            let Race { times, .. } = race(&gpu, format, able, work(size, slow)).await?;
            let able: Times = times.iter().copied().filter(|(t, _)| candidates(&gpu).any(|c| c == *t)).collect();
            let best = choose(&able);
            if size == Size::Some {
                chosen = best;
            }
            let seen: Vec<_> = times.iter().map(|(tier, ms)| (tier.name(), *ms)).collect();
            let word =
                |(name, ms): &(&str, Option<f64>)| ms.map_or(format!("{name} failed"), |ms| format!("{name} {ms:.3}"));
            let words = seen.iter().map(word).collect::<Vec<_>>().join(", ");
            say(format!("race     {} {} rows: {words} ms: {}\n", format.name(), size.name(), best.name()))?;
            bench.races.push(Raced { size: size.name(), format: format.name(), chosen: best.name(), ms: seen });
        }
        tiers.push(match args.tiers.as_slice() {
            [] => vec![chosen],
            [all] if all == "all" => gpu.tiers().filter(|t| t.suits(format)).collect(),
            names => names.iter().map(|n| Tier::parse(n)).collect::<Result<Vec<_>>>()?,
        });
    }
    if args.steps {
        say(format!("\n{:44} {:>9} {:>9} {:>6} {:>8} {:>6}\n", "step", "ms", "GFLOP/s", "%", "GB/s", "%"))?;
    }
    for model in &args.models {
        for (&format, tiers) in formats.iter().zip(&tiers) {
            for &tier in tiers {
                let most = args.batches.iter().copied().max().unwrap_or(1);
                let on_gpu = Towers::new(&gpu, &Tuning::all(tier), model, format, most)?;
                // What was written is on its way before anything is measured.
                gpu.finished().await?;
                if shapes::writes(model)? && !args.steps {
                    say(text::Line::heading())?;
                    let name = (model.as_str(), format.name(), Some(tier.name()));
                    let roofs = Roofs { gflops: peak.gflops, gbytes: peak.gbytes };
                    let tile = ("tile", Run::items(1), &on_gpu.vision);
                    let decoder = text::runs().map(|(step, run)| (step, run, &on_gpu.text));
                    for (step, run, plan) in [tile].into_iter().chain(decoder) {
                        let ms = time(&gpu, plan, run, 0..plan.plan().len()).await?;
                        let line = text::Line::new(name, (step, run), plan.plan(), ms, &roofs);
                        say(line.text())?;
                        bench.texts.push(line);
                    }
                    continue;
                }
                let name = |batch| format!("{model} {} {} × {batch}", format.name(), tier.name());
                for &batch in &args.batches {
                    if args.steps {
                        for kernel in steps(&gpu, &on_gpu.vision, Run::items(batch), args.block_only).await? {
                            let (step, ms, gflops, gbytes) = kernel;
                            say(format!(
                                "{:44} {ms:9.3} {gflops:9.1} {:5.0} % {gbytes:8.2} {:4.0} %\n",
                                format!("{} {step}", name(batch)),
                                gflops / peak.gflops * 100.0,
                                gbytes / peak.gbytes * 100.0
                            ))?;
                            let (model, format, tier) = (model.clone(), format.name(), tier.name());
                            bench.kernels.push(Kernel { model, format, tier, batch, step, ms, gflops, gbytes });
                        }
                    }
                    for (tower, plan) in [("picture", &on_gpu.vision), ("text", &on_gpu.text)] {
                        if batch > plan.most().batch || args.steps {
                            continue;
                        }
                        let run = Run { batch, ..plan.most() };
                        let flops = plan.plan().flops(run) as f64;
                        let ms = time(&gpu, plan, run, 0..plan.plan().len()).await?;
                        let line = Tower {
                            model: model.clone(),
                            format: format.name(),
                            tier: tier.name(),
                            batch,
                            tower,
                            ms_each: ms / f64::from(batch),
                            gflops: flops / ms / 1e6,
                            dispatches: plan.plan().dispatches(),
                            gpu_bytes: gpu.bytes(),
                        };
                        say(format!(
                            "{:32} {:>10.3} ms a {tower:7} {:9.1} GFLOP/s ({:.0} %), {} dispatches, {:.0} MB on the GPU\n",
                            name(batch),
                            line.ms_each,
                            line.gflops,
                            line.gflops / peak.gflops * 100.0,
                            line.dispatches,
                            line.gpu_bytes as f64 / 1e6
                        ))?;
                        bench.towers.push(line);
                    }
                }
            }
        }
    }
    if json { print_json(&bench) } else { Ok(()) }
}

/// Milliseconds, GFLOP/s and GB/s of each step; of blocks that are all alike only of the second, which in q4 has 4 bits.
async fn steps(gpu: &Gpu, plan: &GpuPlan, run: Run, block_only: bool) -> Result<Vec<(String, f64, f64, f64)>> {
    let mut lines = Vec::new();
    for (at, (label, kernel)) in plan.plan().steps().enumerate() {
        if !measured(label, block_only) {
            continue;
        }
        let ms = time(gpu, plan, run, at..at + 1).await?;
        let bytes = plan.plan().bytes(at, run) as f64;
        lines.push((label.to_string(), ms, kernel.flops(run) as f64 / ms / 1e6, bytes / ms / 1e6));
    }
    Ok(lines)
}
