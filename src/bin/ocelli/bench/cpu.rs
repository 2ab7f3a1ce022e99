//! `ocelli bench --backend cpu`: what each step and whole towers reach of what the CPU can do at best.

use std::ops::Range;

use ocelli::{
    Result,
    backend::{Cpu, CpuPlan, Executor},
    gpu::{Tier, Tuning},
    kernels::Run,
    threads::Threads,
};

use super::{
    line::{Chosen, Subject},
    measure::{self, Timed},
    report::Report,
    roofs::{self, least},
};
use crate::{
    bad_input,
    cli::{BenchArgs, Setup},
};

impl Timed for Cpu {
    async fn ms(&self, plan: &CpuPlan, run: Run, steps: Range<usize>) -> Result<f64> {
        Ok(least(|| plan.run(self, run, steps.clone())))
    }

    fn chosen(&self, _: &CpuPlan, _: Run, _: usize) -> Option<Chosen> {
        None
    }
}

pub async fn run(json: bool, setup: &Setup, args: &BenchArgs) -> Result<()> {
    if !args.tiers.is_empty() {
        return Err(bad_input("--tiers: expected a GPU, found the CPU, which has no tiers: leave --tiers out"));
    }
    let formats = args.formats()?;
    let threads = setup.threads.map(Into::into);
    let cpu = Cpu::new(threads)?;
    let (roofs, of_one) = (roofs::measure(&Threads::new(threads)?), roofs::measure(&Threads::ONE));
    let mut report = Report::new(json, format!("CPU, {}, {} threads", Cpu::instructions(), cpu.threads()), roofs);
    (report.threads, report.roofs_of_one) = (Some(cpu.threads()), Some(of_one));
    report.say(|| format!("CPU      {}, {} threads\n", Cpu::instructions(), cpu.threads()))?;
    report.say_roofs("roofs", roofs)?;
    report.say_roofs("of one", of_one)?;
    report.heading()?;
    for model in &args.models {
        for &format in &formats {
            let subject = Subject { model: model.clone(), format: format.name(), tier: None };
            let tuning = Tuning::all(Tier::Plain);
            measure::model(&cpu, &tuning, (&subject, format), args, &roofs, |line| report.line(line)).await?;
        }
    }
    report.end(args)
}
