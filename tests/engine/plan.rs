//! The recording, on the GPU and on the CPU: runs of any number of items and tokens, states that outlive a run and are shared by
//! plans, several outputs of one run, and copies that never ran.

use ocelli::{
    Gpu, Power,
    backend::{Backend, Cpu, Executor},
    config::Mask,
    gpu::{Tier, Tuning},
    kernels::{
        ActId, Attention, Gather, Keys, Matmul, MatrixRef, Place, Positions, Queries, Rows, Run, VectorRef, WeightId,
    },
    plan::{Kind, Plan},
    quant::{Format, Matrix},
    random::Random,
    weights::Plane,
};

use crate::common;

const DIM: usize = 8;
/// Tokens that a state has room for.
const MOST: u32 = 12;

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}

fn close(found: &[f32], expected: &[f32]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-5)
}

/// Matrices in f32 on a device.
fn weights<B: Backend>(device: &B, matrices: &[Matrix]) -> B::Weights {
    let mut weights = B::Weights::default();
    let mut store = device.store(&mut weights);
    for (at, matrix) in matrices.iter().enumerate() {
        store.make_room("weight", matrix.format, matrix.rows, matrix.cols).expect("it fits");
        store.write(at, Plane::Values, 0, &matrix.packed.values);
    }
    drop(store);
    weights
}

fn compile<B: Backend>(device: &B, plan: Plan, weights: &B::Weights, most: Run, states: &mut B::States) -> B::Executor {
    device.compile(plan, weights, &Tuning::all(Tier::Tiled), most, states).expect("it fits")
}

/// Queries of this run's tokens over the keys and values in a state, which the test fills as a model's kernel would.
fn over_a_state() -> (Plan, [ActId; 3]) {
    let mut plan = Plan::default();
    let q = plan.input("q", Rows::PerToken, DIM);
    let kv = plan.state("kv", MOST, 2 * DIM);
    let y = plan.scratch("y", Rows::PerToken, DIM);
    plan.output("y", y);
    let dim = DIM as u32;
    let queries = Queries { act: q, len: Rows::PerToken, stride: dim, index: None };
    let keys = Keys { act: kv, len: Rows::PerToken, stride: 2 * dim, k: 0, v: dim, most: Some(MOST), lengths: None };
    plan.step("attention", Attention::new(queries, keys, y, [2, dim / 2], Mask::Causal));
    (plan, [q, kv, y])
}

/// A text at once, and token by token over a state that two plans share, must be the same.
fn steps_over_a_state<B: Backend>(device: &B) {
    const TOKENS: usize = 7;
    const BATCH: usize = 2;
    let mut random = Random::new(3);
    let (q, kv) = (random.floats(BATCH * TOKENS * DIM), random.floats(BATCH * TOKENS * 2 * DIM));
    // Rows of tokens of each item, from a token on.
    let rows = |all: &[f32], words: usize, tokens: std::ops::Range<usize>| -> Vec<f32> {
        all.chunks_exact(TOKENS * words)
            .flat_map(|item| item[tokens.start * words..tokens.end * words].to_vec())
            .collect()
    };
    let none = B::Weights::default();
    let fill = |plan: &B::Executor, [q_act, kv_act, _]: [ActId; 3], tokens: std::ops::Range<usize>| {
        plan.write(device, q_act, 0, bytemuck::cast_slice(&rows(&q, DIM, tokens.clone())));
        for (item, rows) in rows(&kv, 2 * DIM, tokens.clone()).chunks_exact(tokens.len() * 2 * DIM).enumerate() {
            let at = (item * MOST as usize + tokens.start) * 2 * DIM;
            plan.write(device, kv_act, at, bytemuck::cast_slice(rows));
        }
    };
    let whole = Run::tokens(BATCH as u32, TOKENS as u32);
    let (plan, acts) = over_a_state();
    let at_once = compile(device, plan, &none, whole, &mut B::States::default());
    fill(&at_once, acts, 0..TOKENS);
    let expected =
        floats(&pollster::block_on(device.bytes(at_once.submit(device, whole, &[acts[2]]))).expect("it runs"));
    assert!(expected.iter().any(|x| x.abs() > 0.01), "nothing was computed: this shows nothing");

    let mut states = B::States::default();
    let most = Run::tokens(BATCH as u32, 4);
    let [prefill, step] = [(); 2].map(|()| compile(device, over_a_state().0, &none, most, &mut states));
    let mut forgetful = compile(device, over_a_state().0, &none, most, &mut B::States::default());
    let mut past = 0;
    for (plan, tokens) in [(&prefill, 4), (&step, 1), (&step, 1), (&prefill, 1)] {
        let run = Run { batch: BATCH as u32, tokens: tokens as u32, past: past as u32 };
        let run_on = |plan: &B::Executor| {
            fill(plan, acts, past..past + tokens);
            floats(&pollster::block_on(device.bytes(plan.submit(device, run, &[acts[2]]))).expect("it runs"))
        };
        let right = rows(&expected, DIM, past..past + tokens);
        assert!(close(&run_on(plan), &right), "tokens {past} to {}", past + tokens);
        if past > 0 {
            // With a state of its own it has not seen what is past.
            assert!(!close(&run_on(&forgetful), &right), "the comparison does not see a state that was forgotten");
            forgetful = compile(device, over_a_state().0, &none, most, &mut B::States::default());
        }
        past += tokens;
    }
    assert_eq!(past, TOKENS);
}

/// Runs of different sizes, one after the other on one plan, and two outputs of each.
fn runs_of_any_size<B: Backend>(device: &B) {
    let matrix = Matrix::new(Format::F32, &Random::new(5).floats(3 * DIM), DIM).expect("small weights");
    let weights = weights(device, std::slice::from_ref(&matrix));
    let mut plan = Plan::default();
    let (x, index) = (plan.input("x", Rows::PerToken, DIM), plan.input("index", Rows::PerItem(1), 1));
    let y = plan.scratch("y", Rows::PerToken, 3);
    let one = plan.scratch("one", Rows::PerItem(1), 3);
    plan.output("all", y);
    plan.output("one", one);
    let weight = MatrixRef { id: WeightId(0), format: Format::F32, rows: 3, cols: DIM as u32 };
    plan.step("product", Matmul::new(x, weight, y, Rows::PerToken));
    plan.step("gather", Gather { x: y, index: Some(index), y: one, of: Rows::PerToken, dim: 3 });
    assert_eq!(plan.outputs().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["all", "one"]);
    let most = Run::tokens(3, 20);
    let executor = compile(device, plan, &weights, most, &mut B::States::default());
    for (batch, tokens) in [(1, 1), (3, 20), (2, 5), (3, 1), (1, 20)] {
        let run = Run::tokens(batch, tokens);
        let (rows, items) = ((batch * tokens) as usize, batch as usize);
        let input = Random::new(u64::from(batch * 100 + tokens)).floats(rows * DIM);
        let places: Vec<u32> = (0..batch).map(|item| (item * 3) % tokens).collect();
        executor.write(device, x, 0, bytemuck::cast_slice(&input));
        executor.write(device, index, 0, bytemuck::cast_slice(&places));
        let found =
            floats(&pollster::block_on(device.bytes(executor.submit(device, run, &[y, one]))).expect("it runs"));
        assert_eq!(found.len(), rows * 3 + items * 3, "both outputs, one after the other");
        let reference = executor.plan().run_reference(
            std::slice::from_ref(&matrix),
            &[(x, bytemuck::cast_slice(&input)), (index, &places)],
            run,
        );
        let expected: Vec<f32> =
            bytemuck::pod_collect_to_vec(&[reference.acts[y.0].clone(), reference.acts[one.0].clone()].concat());
        assert!(close(&found, &expected), "{batch} items of {tokens} tokens");
        let mut wrong = expected;
        wrong[rows * 3] += 0.01;
        assert!(!close(&found, &wrong), "the comparison does not see a wrong output");
    }
}

#[test]
fn on_the_cpu() {
    steps_over_a_state(&Cpu::default());
    runs_of_any_size(&Cpu::default());
}

#[test]
fn on_the_gpu() {
    if !common::runs_on_gpu() {
        return;
    }
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    steps_over_a_state(&gpu);
    runs_of_any_size(&gpu);
}

#[test]
#[should_panic(expected = "run: expected at most")]
fn a_run_beyond_the_largest_is_refused() {
    let (plan, acts) = over_a_state();
    let most = Run::tokens(1, 4);
    let executor = compile(&Cpu::default(), plan, &Default::default(), most, &mut Default::default());
    let _ = executor.submit(&Cpu::default(), Run::tokens(1, 5), &[acts[2]]);
}

#[test]
fn sizes_go_by_the_run() {
    let (plan, [q, kv, _]) = over_a_state();
    let [small, large] = [Run::tokens(2, 1), Run::tokens(2, 7)];
    assert_eq!([small, large].map(|run| plan.acts()[q.0].size(run)), [2 * DIM, 14 * DIM]);
    // A state has its room whatever a run is.
    assert_eq!([small, large].map(|run| plan.acts()[kv.0].size(run)), [2 * 12 * 2 * DIM; 2]);
    assert_eq!(plan.acts()[kv.0].kind, Kind::State { most: MOST });
    assert_eq!(plan.acts()[q.0].kind, Kind::Input);
    assert_eq!(Rows::Shared(3).of(large), 3);
}

/// Rows of an item in [`long_steps`]: several stretches of 64, and a rest.
const LONG: u32 = 520;

/// Steps that can be cut, with a tap between: attention, a product with positions, one that adds.
fn long_steps(mask: Mask) -> (Plan, ActId, [ActId; 2]) {
    let (dim, rows) = (DIM as u32, Rows::PerItem(LONG));
    let mut plan = Plan::default();
    let x = plan.input("x", rows, 3 * DIM);
    let mixed = plan.scratch("mixed", rows, DIM);
    let y = plan.scratch("y", rows, 3);
    let q = Queries { act: x, len: rows, stride: 3 * dim, index: None };
    let kv = Keys { act: x, len: rows, stride: 3 * dim, k: dim, v: 2 * dim, most: None, lengths: None };
    plan.step("attention", Attention::new(q, kv, mixed, [2, dim / 2], mask));
    plan.tap("mixed", mixed);
    let weight = MatrixRef { id: WeightId(0), format: Format::F32, rows: 3, cols: dim };
    let table = VectorRef { id: WeightId(1), len: LONG * 3 };
    let place = Place::Positions(Positions { class_token: None, table });
    plan.step("placed", Matmul { place, ..Matmul::new(mixed, weight, y, rows) });
    plan.step("added", Matmul { place: Place::Add, ..Matmul::new(mixed, weight, y, rows) });
    plan.tap("end", y);
    (plan, x, [mixed, y])
}

/// The weights of [`long_steps`].
fn long_weights() -> [Matrix; 2] {
    let mut random = Random::new(8);
    [(3 * DIM, DIM), (3 * LONG as usize, 3 * LONG as usize)]
        .map(|(len, cols)| Matrix::new(Format::F32, &random.floats(len), cols).expect("small weights"))
}

#[test]
fn long_steps_are_cut() {
    let run = Run::items(2);
    let labels = |plan: &Plan| plan.steps().map(|(label, _)| label.to_string()).collect::<Vec<_>>();
    let whole = || long_steps(Mask::None).0;
    // 17 million operations of attention, 49,920 of a product.
    let flops: Vec<u64> = whole().steps().map(|(_, kernel)| kernel.flops(run)).collect();
    assert_eq!(flops, [4 * 2 * 520 * 520 * 8, 2 * 1040 * 3 * 8, 2 * 1040 * 3 * 8]);
    assert_eq!(labels(&whole().cut(run, flops[0])), ["attention", "placed", "added"]);
    let half = whole().cut(run, flops[0] / 2);
    assert_eq!(labels(&half), ["attention", "attention", "attention", "placed", "added"]);
    let finest = whole().cut(run, 0);
    assert_eq!(finest.len(), 9 + 17 + 17);
    for (plan, attentions) in [(half, 3), (finest, 9)] {
        assert_eq!(plan.flops(run), flops.iter().sum::<u64>());
        assert_eq!(plan.taps_at(attentions).map(|(name, _)| name).collect::<Vec<_>>(), ["mixed"]);
        assert_eq!(plan.taps_at(plan.len()).map(|(name, _)| name).collect::<Vec<_>>(), ["end"]);
    }
    let x = Random::new(9).floats(2 * LONG as usize * 3 * DIM);
    for mask in [Mask::None, Mask::Causal] {
        let (plan, input, _) = long_steps(mask);
        let acts = |plan: &Plan| plan.run_reference(&long_weights(), &[(input, bytemuck::cast_slice(&x))], run).acts;
        let expected = acts(&plan);
        assert_eq!(acts(&plan.cut(run, 0)), expected);
    }
}

#[test]
fn cut_steps_leave_the_same_bits() {
    if !common::runs_on_gpu() {
        return;
    }
    let most = Run::items(2);
    let x = Random::new(9).floats(2 * LONG as usize * 3 * DIM);
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    let weights = weights(&gpu, &long_weights());
    let compiled = |mask, tier| {
        let (plan, input, outputs) = long_steps(mask);
        let plan = gpu.compile(plan, &weights, &Tuning::all(tier), most, &mut Default::default()).expect("it fits");
        plan.write(&gpu, input, 0, bytemuck::cast_slice(&x));
        (plan, outputs)
    };
    let each = [Mask::None, Mask::Causal].into_iter().flat_map(|mask| gpu.tiers().map(move |tier| (mask, tier)));
    let all: Vec<_> = each.map(|(mask, tier)| (mask, tier, compiled(mask, tier))).collect();
    // A device so slow that every step is long.
    gpu.observe(1, 50.0);
    for (mask, tier, (whole, outputs)) in all {
        let (cut, _) = compiled(mask, tier);
        assert_eq!((whole.plan().len(), cut.plan().len()), (3, 43));
        for batch in [2, 1] {
            let run = Run::items(batch);
            let [expected, found] = [&whole, &cut].map(|plan| {
                pollster::block_on(Backend::bytes(&gpu, plan.submit(&gpu, run, &outputs))).expect("it runs")
            });
            assert!(floats(&expected).iter().any(|x| x.abs() > 0.01), "nothing was computed: this shows nothing");
            assert_eq!(found, expected, "{mask:?}, {}, {batch} items", tier.name());
        }
        let (partly, _) = compiled(mask, tier);
        partly.run(&gpu, most, 1..43);
        let [expected, found] = [&whole, &partly]
            .map(|plan| pollster::block_on(Backend::bytes(&gpu, plan.read(&gpu, outputs[1]))).expect("it runs"));
        assert_ne!(found, expected, "the comparison does not see a part that was left out");
    }
}
