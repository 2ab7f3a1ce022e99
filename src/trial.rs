//! A short race of the tiers on this very device, when a model is loaded onto a device that was not met before; and how fast the
//! CPU is, for GPUs that are none.

use std::ops::Range;

use crate::{
    backend::{Backend, Cpu, Executor},
    config::{Activation, Mask},
    error::Result,
    gpu::{Gpu, Tier, milliseconds},
    kernels::{ActId, Attention, Keys, Matmul, MatrixRef, Operand, Queries, Rows, WeightId},
    plan::{GpuPlan, Plan},
    quant::{Format, Matrix},
    random::Random,
    weights::Plane,
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

/// A race that was run.
pub struct Race {
    /// How each tier did.
    pub times: Times,
    /// Floating-point operations of the work.
    flops: u64,
}

impl Race {
    /// Billions of operations a second in the tier to use; 0 if none ran.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let won = choose(&self.times);
        let time = self.times.iter().find(|(tier, _)| *tier == won).and_then(|(_, time)| *time);
        time.map_or(0.0, |time| self.flops as f64 / time / 1e6)
    }
}

/// The tier to use, from how each did.
#[must_use]
pub fn choose(times: &Times) -> Tier {
    let fastest = |exact: bool| {
        let able = times.iter().filter(|(tier, _)| tier.exact() == exact);
        able.filter_map(|&(tier, time)| Some((tier, time?)))
            .filter(|(_, time)| time.is_finite() && *time > 0.0)
            .min_by(|a, b| a.1.total_cmp(&b.1))
    };
    match (fastest(true), fastest(false)) {
        (Some((_, exact)), Some((tier, rounding))) if rounding < exact * WORTH => tier,
        (Some((tier, _)), _) => tier,
        (None, Some((tier, _))) => tier,
        (None, None) => Tier::Plain,
    }
}

/// Races the tiers and sets the one that won. The weights raced on have 8 bits: with others the order was the same wherever it
/// was measured.
///
/// # Errors
/// As [`race`].
pub async fn settle(gpu: &Gpu) -> Result<Race> {
    let race = race(gpu, Format::Q8, candidates(gpu)).await?;
    gpu.set_tier(choose(&race.times))?;
    Ok(race)
}

/// Billions of operations a second on the CPU, for the same work.
///
/// # Errors
/// None that is known: as [`race`].
pub fn cpu_rate() -> Result<f64> {
    let work = Work::new(&Cpu, Format::Q8, LARGE)?;
    let plan = work.plan(&Cpu)?;
    plan.run_all(&Cpu, 1);
    let mut least = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = milliseconds();
        plan.run_all(&Cpu, 1);
        least = least.min(milliseconds() - start);
    }
    Ok(plan.plan().flops(1) as f64 / least.max(1e-3) / 1e6)
}

/// The tiers that may be chosen without being asked for: the 8-bit products round the inputs, and only who asks for that gets it.
pub fn candidates(gpu: &Gpu) -> impl Iterator<Item = Tier> + use<> {
    gpu.tiers().filter(|&tier| tier != Tier::Dot8)
}

/// Rows, and the width of the matrix: small for slow devices, as a picture of 196 patches on a width of 768 for all others.
const SMALL: [usize; 2] = [64, 256];
const LARGE: [usize; 2] = [196, 768];

/// How often each tier runs.
const ROUNDS: usize = 3;

/// A dispatch of the small work that takes longer than this makes a device a slow one.
const SLOW_MS: f64 = 2.0;

/// Races these tiers on weights of this format. The GPU's tier is as before afterwards.
///
/// # Errors
/// [`crate::Error::Gpu`] if not even the plain tier runs.
pub async fn race(gpu: &Gpu, format: Format, tiers: impl IntoIterator<Item = Tier>) -> Result<Race> {
    let before = gpu.tier();
    let result = race_in_turn(gpu, format, tiers.into_iter().collect()).await;
    gpu.set_tier(before)?;
    result
}

async fn race_in_turn(gpu: &Gpu, format: Format, tiers: Vec<Tier>) -> Result<Race> {
    gpu.set_tier(Tier::Plain)?;
    let work = Work::new(gpu, format, SMALL)?;
    let plan = work.plan(gpu)?;
    // The naive twins are too slow for the large work: there the plain tier is the judge, and is judged first.
    if !work.sound(gpu, &plan).await? {
        return Ok(Race { times: tiers.into_iter().map(|tier| (tier, None)).collect(), flops: 0 });
    }
    let slow = time(gpu, &plan, 1, 0..2).await? > SLOW_MS;
    let work = if slow { work } else { Work::new(gpu, format, LARGE)? };
    let plain = work.plan(gpu)?;
    let flops = plain.plan().flops(1);
    let expected = work.outputs(gpu, &plain).await?;
    let mut plans = Vec::new();
    for tier in tiers {
        gpu.set_tier(tier)?;
        let run = async {
            let plan = work.plan(gpu)?;
            let found = work.outputs(gpu, &plan).await?;
            Ok::<_, crate::Error>(alike(&found, &expected, tolerance(tier)).then_some(plan))
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
                let took = time(gpu, plan, 1, 0..2).await?;
                *best = Some(best.map_or(took, |best| took.min(best)));
            }
        }
    }
    Ok(Race { times, flops })
}

/// Whether the GPU computes rightly in its tier: a little of the work, against the naive twins. Drivers change between visits.
///
/// # Errors
/// [`crate::Error::Gpu`] if it does not run at all.
pub async fn sound(gpu: &Gpu) -> Result<bool> {
    let work = Work::new(gpu, Format::Q8, SMALL)?;
    work.sound(gpu, &work.plan(gpu)?).await
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
pub async fn time(gpu: &Gpu, plan: &GpuPlan, batch: u32, steps: Range<usize>) -> Result<f64> {
    let measure = async |runs: u32| {
        gpu.finished().await?;
        let start = milliseconds();
        plan.submit_runs(gpu, batch, steps.clone(), runs);
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

/// A matrix product and an attention, in about the proportion of a transformer block.
struct Work<B: Backend> {
    size: [usize; 2],
    matrix: Matrix,
    weights: B::Weights,
    x: Vec<f32>,
}

impl<B: Backend> Work<B> {
    fn new(device: &B, format: Format, size: [usize; 2]) -> Result<Self> {
        let [rows, width] = size;
        let mut random = Random::new(1);
        let matrix = Matrix::new(format, &random.floats(width * width), width)?;
        let mut weights = B::Weights::default();
        let mut store = device.store(&mut weights);
        store.make_room("trial", format, width, width)?;
        store.write(0, Plane::Values, 0, &matrix.packed.values);
        if !matrix.packed.scales.is_empty() {
            store.write(0, Plane::Scales, 0, &matrix.packed.scales);
        }
        drop(store);
        Ok(Self { size, matrix, weights, x: random.floats(rows * width) })
    }

    fn plan(&self, device: &B) -> Result<B::Executor> {
        let plan = device.compile(self.recorded(), &self.weights, 1)?;
        plan.write(device, ActId(0), 0, bytemuck::cast_slice(&self.x));
        Ok(plan)
    }

    fn recorded(&self) -> Plan {
        let [rows, width] = self.size.map(|n| n as u32);
        let mut plan = Plan::default();
        let x = plan.act("trial.x", (rows * width) as usize);
        let y = plan.act("trial.y", (rows * width) as usize);
        let mixed = plan.act("trial.mixed", (rows * 64) as usize);
        plan.step(
            "trial.matmul",
            Matmul {
                x: Operand::Act(x),
                weight: MatrixRef { id: WeightId(0), format: self.matrix.format, rows: width, cols: width },
                bias: None,
                y,
                rows: Rows::PerItem(rows),
                activation: Activation::None,
                accumulate: false,
                place: None,
            },
        );
        plan.step(
            "trial.attention",
            Attention {
                q: Queries { act: x, len: rows, stride: width, shared: false },
                kv: Keys { act: x, len: rows, stride: width, k: 64, v: 128 },
                y: mixed,
                heads: 1,
                head_size: 64,
                mask: Mask::None,
            },
        );
        plan
    }

    /// Of both steps, by the naive twins.
    fn expected(&self) -> Vec<f32> {
        let inputs = [(ActId(0), bytemuck::cast_slice(&self.x))];
        let run = self.recorded().run_reference(std::slice::from_ref(&self.matrix), &inputs, 1);
        bytemuck::pod_collect_to_vec(&run.acts[1..3].concat())
    }

    /// Whether both steps give what the naive twins give.
    async fn sound(&self, device: &B, plan: &B::Executor) -> Result<bool> {
        Ok(alike(&self.outputs(device, plan).await?, &self.expected(), tolerance(device.tier())))
    }

    /// Of both steps.
    async fn outputs(&self, device: &B, plan: &B::Executor) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for act in [ActId(1), ActId(2)] {
            let bytes = device.bytes(plan.submit(device, 1, act)).await?;
            all.extend(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes));
        }
        Ok(all)
    }
}
