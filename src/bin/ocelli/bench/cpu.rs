//! `ocelli bench --backend cpu`: each step and whole towers, beside what the CPU can do at best.

use ocelli::{
    Result,
    backend::{Cpu, CpuPlan, Executor},
    gpu::{Tier, Tuning},
    kernels::Run,
    threads::Threads,
};
use serde::Serialize;

use super::{
    measured,
    roofs::{Roofs, least},
    shapes::{self, Towers},
    text,
};
use crate::{
    bad_input,
    cli::{BenchArgs, Setup},
    output::{print, print_json},
};

/// One line of the table.
#[derive(Serialize)]
struct Line {
    model: String,
    format: &'static str,
    batch: u32,
    /// Of the picture tower; or a whole tower, `picture` or `text`.
    step: String,
    ms: f64,
    /// Milliseconds for each picture or text of the batch.
    ms_each: f64,
    gflops: f64,
    /// Of the roof.
    gflops_share: f64,
    /// Weights and activations of a step, each read or written once.
    #[serde(skip_serializing_if = "Option::is_none")]
    gbytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gbytes_share: Option<f64>,
}

#[derive(Serialize)]
struct Bench {
    version: &'static str,
    instructions: &'static str,
    threads: usize,
    roofs: Roofs,
    roofs_of_one: Roofs,
    lines: Vec<Line>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    texts: Vec<text::Line>,
}

pub fn run(json: bool, setup: &Setup, args: &BenchArgs) -> Result<()> {
    if !args.tiers.is_empty() {
        return Err(bad_input("--tiers: expected a GPU, found the CPU, which has no tiers: leave --tiers out"));
    }
    let say = |line: String| if json { Ok(()) } else { print(&line) };
    let formats = args.formats()?;
    let threads = setup.threads.map(Into::into);
    let cpu = Cpu::new(threads)?;
    let (all, instructions) = (Threads::new(threads)?, Cpu::instructions());
    let (roofs, roofs_of_one) = (Roofs::measure(&all), Roofs::measure(&Threads::ONE));
    say(format!("CPU      {instructions}, {} threads\n", cpu.threads()))?;
    for (name, roofs) in [("roofs", roofs), ("of one", roofs_of_one)] {
        say(format!("{name:8} {:.1} GFLOP/s, a copy {:.1} GB/s\n", roofs.gflops, roofs.gbytes))?;
    }
    let write = args.models.iter().map(|model| shapes::writes(model)).collect::<Result<Vec<bool>>>()?;
    if args.steps || write.contains(&false) {
        say(format!("\n{:44} {:>9} {:>9} {:>6} {:>8} {:>6}\n", "", "ms", "GFLOP/s", "%", "GB/s", "%"))?;
    }
    let (mut lines, mut texts) = (Vec::new(), Vec::new());
    for (model, format) in args.models.iter().flat_map(|model| formats.iter().map(move |&format| (model, format))) {
        let most = args.batches.iter().copied().max().unwrap_or(1);
        let towers = Towers::new(&cpu, &Tuning::all(Tier::Plain), model, format, most)?;
        if shapes::writes(model)? && !args.steps {
            say(text::Line::heading())?;
            let tile = ("tile", Run::items(1), &towers.vision);
            for (step, run, plan) in [tile].into_iter().chain(text::runs().map(|(step, run)| (step, run, &towers.text)))
            {
                plan.run_all(&cpu, run);
                let ms = least(|| plan.run_all(&cpu, run));
                let line = text::Line::new((model, format.name(), None), (step, run), plan.plan(), ms, &roofs);
                say(line.text())?;
                texts.push(line);
            }
            continue;
        }
        for &batch in &args.batches {
            let found = match args.steps {
                true => steps(&cpu, &towers.vision, Run::items(batch), args.block_only),
                false => [("picture", &towers.vision), ("text", &towers.text)]
                    .map(|(name, plan)| Time { step: name.into(), ..whole(&cpu, plan, batch) })
                    .into(),
            };
            for time in found {
                let line = time.line(model, format.name(), batch, &roofs);
                say(line.text())?;
                lines.push(line);
            }
        }
    }
    let threads = cpu.threads();
    let version = env!("CARGO_PKG_VERSION");
    if json { print_json(&Bench { version, instructions, threads, roofs, roofs_of_one, lines, texts }) } else { Ok(()) }
}

/// How long something took, and what it had to do.
struct Time {
    step: String,
    ms: f64,
    flops: u64,
    bytes: Option<u64>,
}

fn steps(cpu: &Cpu, plan: &CpuPlan, run: Run, block_only: bool) -> Vec<Time> {
    // What runs once has run then.
    plan.run_all(cpu, run);
    let wanted = |at: &usize| plan.plan().kernel(*at, true).is_some();
    let steps = plan.plan().steps().enumerate().filter(|(at, (label, _))| wanted(at) && measured(label, block_only));
    steps
        .map(|(at, (label, kernel))| Time {
            step: label.into(),
            ms: least(|| plan.run(cpu, run, at..at + 1)),
            flops: kernel.flops(run),
            bytes: Some(plan.plan().bytes(at, run)),
        })
        .collect()
}

fn whole(cpu: &Cpu, plan: &CpuPlan, batch: u32) -> Time {
    let run = Run { batch, ..plan.most() };
    plan.run_all(cpu, run);
    Time { step: String::new(), ms: least(|| plan.run_all(cpu, run)), flops: plan.plan().flops(run), bytes: None }
}

impl Time {
    fn line(self, model: &str, format: &'static str, batch: u32, roofs: &Roofs) -> Line {
        let Self { step, ms, flops, bytes } = self;
        let (gflops, gbytes) = (flops as f64 / ms / 1e6, bytes.map(|bytes| bytes as f64 / ms / 1e6));
        Line {
            model: model.into(),
            format,
            batch,
            step,
            ms,
            ms_each: ms / f64::from(batch),
            gflops,
            gflops_share: gflops / roofs.gflops,
            gbytes,
            gbytes_share: gbytes.map(|gbytes| gbytes / roofs.gbytes),
        }
    }
}

impl Line {
    fn text(&self) -> String {
        let name = format!("{} {} × {} {}", self.model, self.format, self.batch, self.step);
        let mut text = format!("{name:44} {:9.3} {:9.1} {:4.0} %", self.ms, self.gflops, self.gflops_share * 100.0);
        if let (Some(gbytes), Some(share)) = (self.gbytes, self.gbytes_share) {
            text += &format!(" {gbytes:8.2} {:4.0} %", share * 100.0);
        }
        text + "\n"
    }
}
