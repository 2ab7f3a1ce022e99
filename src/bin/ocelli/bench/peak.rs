//! What a GPU can do at best, measured: the roofs over every kernel.

use ocelli::{
    Gpu, Result,
    autotune::time,
    backend::{Backend, GpuPlan, GpuWeights},
    gpu::{Shader, Tier, Tuning, milliseconds},
    kernels::{ActId, Field, Host, Kernel, Operand, Rows, Run},
    plan::Plan,
};

use super::line::Roofs;

/// Multiplications and additions of one invocation in one turn.
const PER_TURN: u64 = 2 * 64;
const INVOCATIONS: u32 = 65_536;

#[derive(Debug)]
struct Fma {
    y: ActId,
    turns: u32,
}

impl Kernel for Fma {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("fma", include_str!("fma.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        &[("turns", 0)]
    }
    fn params(&self, _run: Run) -> Vec<u8> {
        self.turns.to_le_bytes().to_vec()
    }
    fn workgroups(&self, _tier: Tier, _run: Run) -> [u32; 3] {
        [INVOCATIONS / 64, 1, 1]
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.y)]
    }
    fn flops(&self, _run: Run) -> u64 {
        u64::from(INVOCATIONS) * u64::from(self.turns) * PER_TURN
    }
    fn reference(&self, _run: Run, _host: &mut Host) {
        unreachable!("only measured");
    }
}

/// The roofs of a GPU. Takes a second or two.
pub async fn measure(gpu: &Gpu) -> Result<Roofs> {
    Ok(Roofs { gflops: arithmetic(gpu).await?, gbytes: copy(gpu).await? })
}

fn compiled(gpu: &Gpu, plan: Plan) -> Result<GpuPlan> {
    gpu.compile(plan, &GpuWeights::new(), &Tuning::all(Tier::Plain), Run::items(1), &mut Default::default())
}

async fn arithmetic(gpu: &Gpu) -> Result<f64> {
    let mut best = 0.0f64;
    // Few turns for software, many where a launch costs more than the work.
    for turns in [64, 1024, 16_384] {
        let mut plan = Plan::default();
        let y = plan.scratch("fma", Rows::Shared(INVOCATIONS), 1);
        plan.step("fma", Fma { y, turns });
        let flops = plan.flops(Run::items(1)) as f64;
        let plan = compiled(gpu, plan)?;
        let took = time(gpu, &plan, Run::items(1), 0..1).await?;
        best = best.max(flops / took / 1e6);
        if took > 20.0 {
            break;
        }
    }
    Ok(best)
}

async fn copy(gpu: &Gpu) -> Result<f64> {
    const BYTES: u64 = 64 << 20;
    let mut plan = Plan::default();
    let from = plan.scratch("copy.from", Rows::Shared(1), BYTES as usize / 4);
    let plan = compiled(gpu, plan)?;
    let to = gpu.buffer("copy.to", BYTES)?;
    let measure = async |runs: u32| {
        gpu.finished().await?;
        let start = milliseconds();
        for _ in 0..runs {
            plan.copy_into(gpu, from, &to, 0);
        }
        gpu.finished().await?;
        Ok::<f64, ocelli::Error>(milliseconds() - start)
    };
    measure(1).await?;
    let floor = measure(0).await?;
    let mut best = 0.0f64;
    for runs in [4, 4, 64] {
        let took = (measure(runs).await? - floor) / f64::from(runs);
        best = best.max(2.0 * BYTES as f64 / took / 1e6);
        if took > 20.0 {
            break;
        }
    }
    Ok(best)
}
