//! Autotuning: which tier is best on this very device, measured when a model is loaded onto a device that was not met before; and
//! how fast the CPU is, for GPUs that are none.

#[cfg(all(feature = "kept-tuning", not(target_arch = "wasm32")))]
mod kept;
mod step;
mod work;

use std::{future::ready, ops::Range, pin::Pin};

#[cfg(all(feature = "kept-tuning", not(target_arch = "wasm32")))]
pub use kept::kept;
use work::Work;

use crate::{
    backend::{Cpu, Executor, GpuPlan},
    config::WRITES,
    error::Result,
    gpu::{Gpu, Size, Tier, Tuning, milliseconds},
    kernels::{RACED, Run},
    plan::Plan,
    quant::Format,
};

/// What a tier may lose in speed to one that is more exact and still not be chosen: what rounds more must be worth it.
const WORTH: f64 = 0.9;

/// How far a tier's outputs may be from the plain one's, as a share of the largest: a driver that computes wrongly is worse than
/// a slow one. Exact tiers differ by the order of their sums.
fn tolerance(tier: Tier) -> f32 {
    match tier {
        Tier::Dot8 => 0.05,
        Tier::Half => 0.01,
        _ => 1e-4,
    }
}

/// How a tier did: milliseconds for the same work, or none if it failed, or computed something else.
pub type Times = Vec<(Tier, Option<f64>)>;

/// How the tiers did on one size of work.
pub struct Race {
    /// Milliseconds of each tier.
    pub times: Times,
    /// Floating-point operations of the work.
    flops: u64,
}

impl Race {
    /// Billions of operations a second in the best tier; 0 if none ran.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let best = choose(&self.times);
        let time = self.times.iter().find(|(tier, _)| *tier == best).and_then(|(_, time)| *time);
        time.map_or(0.0, |time| self.flops as f64 / time / 1e6)
    }
}

/// The tier to use, from how each did.
#[must_use]
pub fn choose(times: &Times) -> Tier {
    match (fastest(times, true), fastest(times, false)) {
        (Some((_, exact)), Some((tier, rounding))) if rounding < exact * WORTH => tier,
        (Some((tier, _)), _) => tier,
        (None, Some((tier, _))) => tier,
        (None, None) => Tier::Plain,
    }
}

/// The tier to use for weights that are stored in f32: none that rounds more, however fast.
#[must_use]
pub fn choose_exact(times: &Times) -> Tier {
    fastest(times, true).map_or(Tier::Plain, |(tier, _)| tier)
}

/// The fastest of the tiers that are exact, or of those that are not.
fn fastest(times: &Times, exact: bool) -> Option<(Tier, f64)> {
    let able = times.iter().filter(|(tier, _)| tier.exact() == exact);
    able.filter_map(|&(tier, time)| Some((tier, time?)))
        .filter(|(_, time)| time.is_finite() && *time > 0.0)
        .min_by(|a, b| a.1.total_cmp(&b.1))
}

/// What autotuning found.
pub struct Tuned {
    /// The best tier for each size of work.
    pub tuning: Tuning,
    /// Billions of operations a second on a picture's rows.
    pub rate: f64,
}

/// Races the tiers on every size of work. The weights have 8 bits: with others the order was the same wherever it was measured.
///
/// # Errors
/// As [`race`].
pub async fn autotune(gpu: &Gpu) -> Result<Tuned> {
    if !self_test(gpu, &Tuning::all(Tier::Plain)).await? {
        return Ok(Tuned { tuning: Tuning::all(Tier::Plain), rate: 0.0 });
    }
    let slow = is_slow(gpu).await?;
    // What is slow has no room for so many invocations, and is spared what its driver needs to compile them.
    let tiers: Vec<Tier> = candidates(gpu).filter(|&tier| !slow || tier != Tier::Sliced).collect();
    let race = async |size| race_judged(gpu, Format::Q8, tiers.clone(), work(size, slow)).await;
    let (few, some) = (race(Size::Few).await?, race(Size::Some).await?);
    // A slow device would take seconds for many rows: there what is best for some is taken.
    let many = if slow { None } else { Some(race(Size::Many).await?) };
    let times = [&few.times, &some.times, &many.as_ref().unwrap_or(&some).times];
    let rate = some.rate();
    gpu.expect(rate);
    Ok(Tuned { tuning: Tuning::new(times.map(choose), times.map(choose_exact)), rate })
}

/// Billions of operations a second on the CPU, for the same work.
///
/// # Errors
/// None that is known: as [`race`].
pub fn cpu_rate() -> Result<f64> {
    let cpu = Cpu::default();
    let work = Work::block(&cpu, Format::Q8, PICTURE)?;
    let (plan, run) = (work.plan(&cpu, Tier::Plain)?, work.run);
    plan.run_all(&cpu, run);
    let mut least = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = milliseconds();
        plan.run_all(&cpu, run);
        least = least.min(milliseconds() - start);
    }
    Ok(plan.plan().flops(run) as f64 / least.max(1e-3) / 1e6)
}

/// Whether the CPU's kernels compute rightly: a little of the work, against the naive twins. WebAssembly leaves to each browser what some
/// instructions of relaxed SIMD come to.
///
/// # Errors
/// None that is known: as [`race`].
pub async fn cpu_self_test() -> Result<bool> {
    let cpu = Cpu::default();
    let work = Work::block(&cpu, Format::Q8, SMALL)?;
    let found = work.outputs(&cpu, &work.plan(&cpu, Tier::Plain)?).await?;
    Ok(alike(&found, &work.expected(), tolerance(Tier::Plain)))
}

/// The tiers that may be chosen without being asked for: the 8-bit products round the inputs, and only who asks for that gets it.
pub fn candidates(gpu: &Gpu) -> impl Iterator<Item = Tier> + use<> {
    gpu.tiers().filter(|&tier| tier != Tier::Dot8)
}

/// Rows, and the width of the matrix.
type Shape = [usize; 2];

/// For slow devices, and for what the naive twins can judge in a moment.
const SMALL: Shape = [64, 256];
/// The width of all but the small work.
const WIDTH: usize = RACED as usize;
/// As a picture of 196 patches.
const PICTURE: Shape = [196, WIDTH];

/// The work that a size is raced on.
#[must_use]
pub fn work(size: Size, slow: bool) -> Shape {
    match (size, slow) {
        (Size::Few, true) => [8, 256],
        (Size::Few, false) => [8, WIDTH],
        (_, true) => SMALL,
        (Size::Some, false) => PICTURE,
        (Size::Many, false) => [8 * 196, WIDTH],
    }
}

/// How often each tier runs.
const ROUNDS: usize = 3;

/// A dispatch of the small work that takes longer than this makes a device a slow one.
const SLOW_MS: f64 = 2.0;

/// Whether this device is so slow that only small work is raced, as software adapters are.
///
/// # Errors
/// [`crate::Error::Gpu`] if not even the plain tier runs.
pub async fn is_slow(gpu: &Gpu) -> Result<bool> {
    let work = Work::block(gpu, Format::Q8, SMALL)?;
    let plan = work.plan(gpu, Tier::Plain)?;
    Ok(time(gpu, &plan, work.run, 0..plan.plan().len()).await? > SLOW_MS)
}

/// Races these tiers on weights of this format and work of this shape.
///
/// # Errors
/// [`crate::Error::Gpu`] if not even the plain tier runs.
pub async fn race(gpu: &Gpu, format: Format, tiers: impl IntoIterator<Item = Tier>, shape: Shape) -> Result<Race> {
    let tiers: Vec<Tier> = tiers.into_iter().collect();
    if !self_test(gpu, &Tuning::all(Tier::Plain)).await? {
        return Ok(Race { times: tiers.into_iter().map(|tier| (tier, None)).collect(), flops: 0 });
    }
    race_judged(gpu, format, tiers, shape).await
}

/// The race, on a device whose plain tier has passed the self-test: it is the judge, because the naive reference is too slow for
/// large work. Of models that write a tier also brings the kernels for few rows, and must compute a decoder's step rightly.
async fn race_judged(gpu: &Gpu, format: Format, tiers: Vec<Tier>, shape: Shape) -> Result<Race> {
    let work = Work::block(gpu, format, shape)?;
    let plain = work.plan(gpu, Tier::Plain)?;
    let flops = plain.plan().flops(work.run);
    let expected = work.outputs(gpu, &plain).await?;
    let mut plans = Vec::new();
    for tier in tiers {
        let run = async {
            let plan = work.plan(gpu, tier)?;
            let found = work.outputs(gpu, &plan).await?;
            let right = alike(&found, &expected, tolerance(tier)) && writes(gpu, tier).await?;
            Ok::<_, crate::Error>(right.then_some(plan))
        };
        // What a driver cannot compile, it cannot race.
        plans.push((tier, run.await.unwrap_or(None)));
    }
    let mut times: Times = plans.iter().map(|(tier, _)| (*tier, None)).collect();
    // In turns, so that whatever else the machine does hits all of them; the least counts.
    for _ in 0..ROUNDS {
        let least = times.iter().filter_map(|(_, time)| *time).fold(f64::INFINITY, f64::min);
        for ((_, plan), (_, best)) in plans.iter().zip(&mut times) {
            let Some(plan) = plan else { continue };
            // Far behind is out of the race.
            if best.is_none_or(|best| best < 2.0 * least) {
                let took = time(gpu, plan, work.run, 0..plan.plan().len()).await?;
                *best = Some(best.map_or(took, |best| took.min(best)));
            }
        }
    }
    Ok(Race { times, flops })
}

/// Whether the GPU computes rightly in these tiers: a little of the work in each, against the naive twins. Drivers change between
/// visits.
///
/// # Errors
/// [`crate::Error::Gpu`] if it does not run at all.
pub async fn self_test(gpu: &Gpu, tuning: &Tuning) -> Result<bool> {
    let work = Work::block(gpu, Format::Q8, SMALL)?;
    let expected = work.expected();
    let mut seen = Vec::new();
    for tier in tuning.tiers() {
        if seen.contains(&tier) {
            continue;
        }
        seen.push(tier);
        let found = work.outputs(gpu, &work.plan(gpu, tier)?).await?;
        if !alike(&found, &expected, tolerance(tier)) || !writes(gpu, tier).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the kernels that only models that write have compute rightly beside this tier, where such models are built in.
///
/// A future in a box, and no `await` in a branch: so engines that do not write have no code for it.
fn writes(gpu: &Gpu, tier: Tier) -> Pin<Box<dyn Future<Output = Result<bool>> + '_>> {
    if WRITES { Box::pin(step_test(gpu, tier, |plan| plan)) } else { Box::pin(ready(Ok(true))) }
}

/// Whether a decoder's steps come out rightly in a tier, against the naive twins: what a few rows are computed by, the reductions in
/// workgroups among it, and the prompt before them. `change` is for tests that break a kernel.
///
/// # Errors
/// [`crate::Error::Gpu`] if it does not run at all.
pub async fn step_test(gpu: &Gpu, tier: Tier, change: impl Fn(Plan) -> Plan) -> Result<bool> {
    // Tiers that round have no kernels of their own for few rows.
    let tuning = Tuning::all(if tier.exact() { tier } else { Tier::Wide });
    for run in step::RUNS {
        let work = step::work(gpu, run)?;
        let found = work.outputs(gpu, &work.changed_plan(gpu, &tuning, &change)?).await?;
        if !alike(&found, &work.expected(), tolerance(tier)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn alike(found: &[f32], expected: &[f32], share: f32) -> bool {
    let largest = expected.iter().fold(0.0f32, |peak, v| peak.max(v.abs()));
    // Not a number is not alike.
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= share * largest)
}

/// Milliseconds of one run of some steps of a plan, the least of a few measurements that are long enough for the clock.
///
/// # Errors
/// As [`Gpu::finished`].
pub async fn time(gpu: &Gpu, plan: &GpuPlan, run: Run, steps: Range<usize>) -> Result<f64> {
    let measure = async |runs: u32| {
        gpu.finished().await?;
        let start = milliseconds();
        plan.submit_runs(gpu, run, steps.clone(), runs);
        gpu.finished().await?;
        Ok::<f64, crate::Error>(milliseconds() - start)
    };
    // The first run may compile. What a round trip costs by itself is taken off: some browsers look for finished work ten times
    // a second.
    measure(1).await?;
    let floor = measure(0).await?;
    let once = measure(1).await?;
    if once > 5.0 && once > 4.0 * floor {
        return Ok((once.min(measure(1).await?) - floor).max(1e-6));
    }
    let enough = (4.0 * floor).max(4.0);
    let mut runs = 1;
    loop {
        let took = measure(runs).await?;
        if took - floor >= enough || runs >= 4096 {
            let again = measure(runs).await?;
            return Ok((took.min(again) - floor).max(1e-6) / f64::from(runs));
        }
        runs *= 4;
    }
}
