//! Work that tiers are raced and judged on: a plan of a few steps with numbers for it.

use super::Shape;
use crate::{
    backend::{Backend, Executor},
    config::Mask,
    error::Result,
    gpu::{Tier, Tuning},
    kernels::{ActId, Attention, Keys, Matmul, MatrixRef, Queries, Rows, Run, WeightId},
    plan::Plan,
    quant::{Format, Matrix, Plane},
    random::Random,
};

/// Weights, and what activations hold before a run.
pub type Numbers = (Vec<Matrix>, Vec<(ActId, Vec<f32>)>);

/// Steps, and what they are given.
pub struct Work<B: Backend> {
    record: Box<dyn Fn() -> Plan>,
    /// The run that is judged.
    pub run: Run,
    matrices: Vec<Matrix>,
    weights: B::Weights,
    inputs: Vec<(ActId, Vec<f32>)>,
    outputs: Vec<ActId>,
}

impl<B: Backend> Work<B> {
    /// A matrix product and an attention, in about the proportion of a transformer block.
    pub fn block(device: &B, format: Format, [rows, width]: Shape) -> Result<Self> {
        let mut random = Random::new(1);
        let matrices = vec![Matrix::new(format, &random.floats(width * width), width)?];
        let inputs = vec![(ActId(0), random.floats(rows * width))];
        let record = move || block(format, [rows, width].map(|n| n as u32));
        let outputs = vec![ActId(1), ActId(2)];
        Self::new(device, record, Run::items(1), (matrices, inputs), outputs)
    }

    /// These steps with these numbers, judged by these activations.
    pub fn new(
        device: &B,
        record: impl Fn() -> Plan + 'static,
        run: Run,
        (matrices, inputs): Numbers,
        outputs: Vec<ActId>,
    ) -> Result<Self> {
        let mut weights = B::Weights::default();
        let mut store = device.store(&mut weights);
        for (index, matrix) in matrices.iter().enumerate() {
            store.make_room("work", matrix.format, matrix.rows, matrix.cols)?;
            store.write(index, Plane::Values, 0, &matrix.packed.values);
            if !matrix.packed.scales.is_empty() {
                store.write(index, Plane::Scales, 0, &matrix.packed.scales);
            }
        }
        drop(store);
        Ok(Self { record: Box::new(record), run, matrices, weights, inputs, outputs })
    }

    /// The steps made ready in a tier.
    pub fn plan(&self, device: &B, tier: Tier) -> Result<B::Executor> {
        self.changed_plan(device, &Tuning::all(tier), |plan| plan)
    }

    /// The same with the plan changed.
    pub fn changed_plan(&self, device: &B, tuning: &Tuning, change: impl Fn(Plan) -> Plan) -> Result<B::Executor> {
        let (plan, states) = (change((self.record)()), &mut B::States::default());
        let plan = device.compile(plan, &self.weights, tuning, self.run, states)?;
        for (act, numbers) in &self.inputs {
            plan.write(device, *act, 0, bytemuck::cast_slice(numbers));
        }
        Ok(plan)
    }

    /// What comes out by the naive twins.
    pub fn expected(&self) -> Vec<f32> {
        let inputs: Vec<(ActId, &[u32])> =
            self.inputs.iter().map(|(act, numbers)| (*act, bytemuck::cast_slice(numbers))).collect();
        let run = (self.record)().run_reference(&self.matrices, &inputs, self.run);
        self.outputs.iter().flat_map(|act| bytemuck::pod_collect_to_vec::<u32, f32>(&run.acts[act.0])).collect()
    }

    /// What comes out on the device.
    pub async fn outputs(&self, device: &B, plan: &B::Executor) -> Result<Vec<f32>> {
        let bytes = device.bytes(plan.submit(device, self.run, &self.outputs)).await?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }
}

fn block(format: Format, [rows, width]: [u32; 2]) -> Plan {
    let mut plan = Plan::default();
    let all = Rows::PerItem(rows);
    let x = plan.input("work.x", all, width as usize);
    let y = plan.scratch("work.y", all, width as usize);
    let mixed = plan.scratch("work.mixed", all, 64);
    let weight = MatrixRef { id: WeightId(0), format, rows: width, cols: width };
    plan.step("work.matmul", Matmul::new(x, weight, y, all));
    let q = Queries { act: x, len: all, stride: width, index: None };
    let kv = Keys { act: x, len: all, stride: width, k: 64, v: 128, most: None, lengths: None };
    plan.step("work.attention", Attention::new(q, kv, mixed, [1, 64], Mask::None));
    plan
}
