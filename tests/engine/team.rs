//! Engines that share a model's steps: any number of them gives the same bits.

use std::{cell::RefCell, collections::VecDeque, path::Path, rc::Rc};

use ocelli::{
    Checkpoint, Error, Session,
    backend::{Backend, Cpu, Executor, Team},
    config::Mask,
    gpu::Tuning,
    kernels::{
        ActId, Attention, Keys, Matmul, MatrixRef, Part, Place, Queries, Rows, Run, Shuffle, VectorRef, WeightId, Work,
        rows_of, worth_sharing,
    },
    plan::Plan,
    quant::{Format, Matrix, Order},
    random::Random,
    session::{LoadOptions, Source, Strip},
    weights::{HostStore, Plane, Store, Usage},
};

use crate::common::fixtures;

type Weights = <Cpu as Backend>::Weights;

/// Helpers in this process. Their parts and answers are kept as a browser's messages would be.
#[derive(Default)]
struct Here {
    helpers: RefCell<Vec<HostStore>>,
    /// Whether answers come at once, or when the test says so.
    at_once: bool,
    /// Turns a number of every answer over.
    wrong: bool,
    posted: Rc<RefCell<VecDeque<Vec<Vec<f32>>>>>,
    asked: Rc<RefCell<usize>>,
}

impl Here {
    fn new(helpers: usize) -> Self {
        let store = || HostStore { order: Order::Panels, ..HostStore::default() };
        Self { helpers: RefCell::new((0..helpers).map(|_| store()).collect()), at_once: true, ..Self::default() }
    }
}

impl Team for Here {
    fn helpers(&self) -> usize {
        self.helpers.borrow().len()
    }
    fn make_room(&self, helper: usize, format: Format, rows: usize, cols: usize) {
        self.helpers.borrow_mut()[helper].make_room("", format, rows, cols).expect("memory does not refuse");
    }
    fn write(&self, helper: usize, index: usize, plane: Plane, offset: usize, bytes: &[u8]) {
        self.helpers.borrow_mut()[helper].write(index, plane, offset, bytes);
    }
    fn ask(&self, parts: Vec<(usize, Part)>) -> Option<Vec<Vec<f32>>> {
        *self.asked.borrow_mut() += parts.len();
        let helpers = self.helpers.borrow();
        let answer = |(helper, part): (usize, Part)| {
            // As it would be posted.
            let work = serde_json::to_string(&part.work).expect("plain data");
            let work: Work = serde_json::from_str(&work).expect("what was written");
            let mut found = work.run(&helpers[helper].weights, [&part.inputs[0], &part.inputs[1]]);
            if self.wrong {
                let last = found.last_mut().expect("a part");
                *last = -*last;
            }
            found
        };
        let answers = parts.into_iter().map(answer).collect();
        if self.at_once {
            return Some(answers);
        }
        self.posted.borrow_mut().push_back(answers);
        None
    }
}

/// The same, for who looks at the helpers afterwards.
struct Of(Rc<Here>);

impl Team for Of {
    fn helpers(&self) -> usize {
        self.0.helpers()
    }
    fn make_room(&self, helper: usize, format: Format, rows: usize, cols: usize) {
        self.0.make_room(helper, format, rows, cols);
    }
    fn write(&self, helper: usize, index: usize, plane: Plane, offset: usize, bytes: &[u8]) {
        self.0.write(helper, index, plane, offset, bytes);
    }
    fn ask(&self, parts: Vec<(usize, Part)>) -> Option<Vec<Vec<f32>>> {
        self.0.ask(parts)
    }
}

/// Stripes, so that no two of them are alike.
struct Stripes(usize);

impl<B: Backend> Source<B> for Stripes {
    fn size(&self) -> (usize, usize) {
        (40 + self.0, 30)
    }
    fn upload(&self, rows: std::ops::Range<usize>, strip: &Strip<B>) -> ocelli::Result<()> {
        let width = 40 + self.0;
        let row = |y: usize| (0..width * 4).map(|x| ((x * x + y * 7) * (self.0 + 3)) as u8).collect::<Vec<u8>>();
        strip.fill(rows.map(row));
        Ok(())
    }
}

/// What a model writes, and what it chose from.
fn writes(session: &Session<Cpu>) -> Vec<u32> {
    let options = ocelli::session::Options { max_tokens: Some(9), logits: true, ..Default::default() };
    let prompt: Vec<u32> = (5..30).collect();
    let mut text = session.generate(&prompt, options).expect("a prompt");
    let mut all = Vec::new();
    while let Some(token) = pollster::block_on(session.next_token(&mut text)).expect("a token") {
        all.push(vec![token.id as f32]);
        all.extend(token.logits);
    }
    bits(&all)
}

const MODELS: [&str; 3] = ["clip", "siglip", "naflex"];

fn load(model: &str, format: Option<Format>, cpu: Cpu) -> Session<Cpu> {
    let checkpoint = Checkpoint::open(&Path::new(&fixtures()).join(model)).expect("a sound fixture");
    Session::load(cpu, &checkpoint, LoadOptions { format, ..LoadOptions::default() }).expect("a sound fixture")
}

fn bits(rows: &[Vec<f32>]) -> Vec<u32> {
    rows.iter().flatten().map(|x| x.to_bits()).collect()
}

/// Pictures in a batch and texts, then all taps.
fn everything(session: &Session<Cpu>) -> Vec<u32> {
    let pictures: Vec<Stripes> = (0..3).map(Stripes).collect();
    let pictures: Vec<&dyn Source<Cpu>> = pictures.iter().map(|p| p as &dyn Source<Cpu>).collect();
    let mut all = pollster::block_on(session.embed_images(&pictures)).expect("sound pictures");
    let texts = ["a cat", "two dogs on a very long beach at night"];
    all.extend(pollster::block_on(session.embed_texts(&texts)).expect("sound texts"));
    let ids = session.tokenize("a cat").expect("a text");
    let taps = pollster::block_on(session.taps(&Stripes(9), &ids)).expect("sound inputs");
    let mut taps: Vec<_> = taps.into_iter().collect();
    taps.sort_by(|a, b| a.0.cmp(&b.0));
    all.extend(taps.into_iter().map(|(_, numbers)| numbers));
    let labels = session.labels(&all[..2]).expect("embeddings");
    let pending = session.classify(&labels, &Stripes(1)).expect("a picture");
    all.extend(pollster::block_on(session.read(pending)).expect("cosines"));
    bits(&all)
}

/// The same of a model that finds things: a look, answers to several questions, all taps.
fn finds(session: &Session<Cpu>) -> Vec<u32> {
    let scene = pollster::block_on(session.look(&Stripes(1))).expect("a sound picture");
    let texts = pollster::block_on(session.embed_texts(&["a cat", "two dogs"])).expect("sound texts");
    let mut all = [scene.features.clone(), texts.clone()].concat();
    if session.mask_side().is_ok() {
        all.extend(pollster::block_on(session.segment(&scene, &texts)).expect("sound prompts"));
    } else {
        let set = session.queries(&texts).expect("sound queries");
        let hits = pollster::block_on(session.detect_all(&scene, &set, f32::NEG_INFINITY)).expect("a sound scene");
        all.push(hits.iter().map(|hit| hit.logit).collect());
        let best = pollster::block_on(session.detect(&scene, &set)).expect("a sound scene");
        all.extend(best.iter().map(|hit| vec![hit.label as f32, hit.logit]));
    }
    let ids = session.tokenize("a cat").expect("a text");
    let mut taps: Vec<_> =
        pollster::block_on(session.taps(&Stripes(9), &ids)).expect("sound inputs").into_iter().collect();
    taps.sort_by(|a, b| a.0.cmp(&b.0));
    all.extend(taps.into_iter().map(|(_, numbers)| numbers));
    bits(&all)
}

/// Any number of engines computes the same bits; helpers have parts of what is shared, and there a wrong answer of theirs shows.
fn same_with_any_team<T: PartialEq>(what: &str, shared: bool, compute: impl Fn(Cpu) -> T) -> T {
    let alone = compute(Cpu::new(Some(1)).expect("one thread"));
    for helpers in [0, 1, 2, 6] {
        let team = Here::new(helpers);
        let asked = team.asked.clone();
        assert!(compute(Cpu::with_team(Box::new(team))) == alone, "{what}, {helpers} helpers");
        assert_eq!(*asked.borrow() > 0, helpers > 0 && shared, "{what}: parts that {helpers} helpers had");
    }
    let wrong = compute(Cpu::with_team(Box::new(Here { wrong: true, ..Here::new(1) })));
    assert_eq!(wrong != alone, shared, "{what}: a wrong answer");
    alone
}

/// What a plan makes of its inputs.
fn run(cpu: &Cpu, plan: Plan, weights: &Weights, run: Run, inputs: &[(ActId, Vec<f32>)], y: ActId) -> Vec<u8> {
    let states = &mut Default::default();
    let plan = cpu.compile(plan, weights, &Tuning::all(Default::default()), run, states).expect("it fits");
    for (input, numbers) in inputs {
        plan.write(cpu, *input, 0, bytemuck::cast_slice(numbers));
    }
    let bytes = pollster::block_on(cpu.bytes(plan.submit(cpu, run, &[y]))).expect("it runs");
    assert!(bytes.iter().any(|&byte| byte != 0), "nothing was computed: this shows nothing");
    bytes
}

#[test]
fn any_number_of_engines_finds_the_same() {
    for model in ["owlv2", "clipseg-refined"] {
        for format in [None, Some(Format::Q8)] {
            same_with_any_team(&format!("{model}, {format:?}"), true, |cpu| finds(&load(model, format, cpu)));
        }
    }
}

#[test]
fn any_number_of_engines_gives_the_same_bits() {
    for model in MODELS {
        for format in [None, Some(Format::F16), Some(Format::Q8), Some(Format::Q4)] {
            same_with_any_team(&format!("{model}, {format:?}"), true, |cpu| everything(&load(model, format, cpu)));
        }
    }
    let session = load("siglip", None, Cpu::with_team(Box::new(Here::new(2))));
    assert_eq!(session.device().threads(), 3);
}

#[test]
fn orders_wait_for_answers_in_order() {
    for model in MODELS {
        let alone = load(model, None, Cpu::new(Some(1)).expect("one thread"));
        let team = Here { at_once: false, ..Here::new(2) };
        let posted = team.posted.clone();
        let session = load(model, None, Cpu::with_team(Box::new(team)));
        let submit = |session: &Session<Cpu>| {
            let labels = session.labels(&[vec![1.0; session.config.embedding]]).expect("an embedding");
            let mut pending = Vec::new();
            for picture in 0..3 {
                session.put_image(&Stripes(picture), 0).expect("a picture");
                session.put_image(&Stripes(picture + 5), 1).expect("a picture");
                pending.push(session.run_images(2).expect("pictures"));
                pending.push(session.classify(&labels, &Stripes(picture + 9)).expect("a picture"));
            }
            (pending, labels)
        };
        let read = |session: &Session<Cpu>, pending: Vec<_>| -> Vec<u32> {
            let read = |pending| pollster::block_on(session.read(pending)).expect("numbers");
            pending.into_iter().flat_map(|pending| bits(&read(pending))).collect()
        };
        let (pending, _labels) = submit(&session);
        let mut answers = 0;
        loop {
            // In a statement of its own: to go on is to post again.
            let next = posted.borrow_mut().pop_front();
            let Some(next) = next else { break };
            assert!(posted.borrow().is_empty(), "one step at a time");
            session.device().answered(next);
            answers += 1;
        }
        assert!(answers > 20, "{answers}");
        assert!(read(&session, pending) == read(&alone, submit(&alone).0), "{model}");

        let (pending, _labels) = submit(&session);
        session.device().forsaken();
        posted.borrow_mut().clear();
        for pending in pending {
            let found = pollster::block_on(session.read(pending));
            assert!(matches!(found, Err(Error::WorkerLost(_))), "{found:?}");
        }
    }
}

/// A model's weights are there once, however many engines there are.
#[test]
fn weights_are_shared_out() {
    for format in [None, Some(Format::Q8)] {
        let team = Rc::new(Here::new(3));
        let session = load("siglip", format, Cpu::with_team(Box::new(Of(team.clone()))));
        let plans = session.plans().into_iter().flatten();
        let rows: u32 = plans
            .flat_map(|plan| plan.steps().filter_map(|(_, kernel)| kernel.matrix()).map(|matrix| matrix.rows))
            .sum();
        let helpers = team.helpers.borrow();
        let shared: usize = helpers.iter().flat_map(|helper| &helper.weights).map(|matrix| matrix.rows).sum();
        // The leader has the first panels.
        assert!(shared > rows as usize / 2 && shared < rows as usize, "{shared} of {rows} rows");
    }
}

/// A transposed convolution, whose columns engines share and whose rows do not lie in order.
fn shuffled(cpu: &Cpu) -> Vec<u8> {
    let (shuffle, channels, inputs) = (Shuffle { lead: 1, grid: 3, kernel: 3 }, 8, 12);
    let (rows, outputs) = (Rows::PerItem(10), channels * 9);
    let mut random = Random::new(4);
    let matrix = |random: &mut Random, rows: usize, cols: usize| {
        Matrix::new(Format::F32, &random.floats(rows * cols), cols).expect("small weights")
    };
    let mut weights = Weights::default();
    let mut store = cpu.model_store(&mut weights);
    for (at, m) in [matrix(&mut random, outputs, inputs), matrix(&mut random, 1, channels)].iter().enumerate() {
        store.make_room("weight", m.format, m.rows, m.cols).expect("it fits");
        store.write(at, Plane::Values, 0, &m.packed.values);
    }
    drop(store);
    let mut plan = Plan::default();
    let x = plan.input("x", rows, inputs);
    let y = plan.scratch("y", Rows::PerItem(81), channels);
    let weight = MatrixRef { id: WeightId(0), format: Format::F32, rows: outputs as u32, cols: inputs as u32 };
    let bias = Some(VectorRef { id: WeightId(1), len: channels as u32 });
    plan.step("shuffled", Matmul { bias, place: Place::Shuffle(shuffle), ..Matmul::new(x, weight, y, rows) });
    let pixels = random.floats(2 * 10 * inputs);
    run(cpu, plan, &weights, Run::items(2), &[(x, pixels)], y)
}

#[test]
fn engines_share_what_is_shuffled() {
    same_with_any_team("shuffled", true, |cpu| shuffled(&cpu));
}

/// A decoder's attention over a state, where pairs of heads share keys.
fn decoded(cpu: &Cpu, tokens: u32) -> Vec<u8> {
    const HEADS: u32 = 6;
    const SIZE: u32 = 20;
    const PAST: u32 = 9;
    let (dim, room, rows) = (HEADS * SIZE, 30, Rows::PerItem(tokens));
    let mut plan = Plan::default();
    let q = plan.input("q", rows, dim as usize);
    let kv = plan.state("kv", room, dim as usize);
    let y = plan.scratch("y", rows, dim as usize);
    let queries = Queries { act: q, len: rows, stride: dim, index: None };
    let keys = Keys { act: kv, len: rows, stride: dim, k: 0, v: dim / 2, most: Some(room), lengths: None };
    let usual = Attention::new(queries, keys, y, [HEADS, SIZE], Mask::Causal);
    plan.step("attention", Attention { kv_heads: HEADS / 2, cap: Some(2.0), window: Some(7), ..usual });
    let mut random = Random::new(6);
    let inputs = [(q, random.floats((2 * tokens * dim) as usize)), (kv, random.floats((2 * room * dim) as usize))];
    run(cpu, plan, &Weights::default(), Run { batch: 2, tokens: 1, past: PAST }, &inputs, y)
}

/// Whole groups of heads with the keys that they share; a step of few tokens is not worth sending keys for.
#[test]
fn engines_share_a_decoders_heads() {
    for (tokens, shared) in [(12, true), (3, false)] {
        same_with_any_team(&format!("{tokens} tokens"), shared, |cpu| decoded(&cpu, tokens));
    }
}

/// Rows of a table are looked up, so that the leader has all of them. Where it is the head, too, helpers have their shares as well.
#[test]
fn a_tied_head_is_shared() {
    for (model, tied) in [("decoders/llama", false), ("decoders/qwen2", true), ("decoders/gemma2", true)] {
        let team = Rc::new(Here::new(2));
        let session = load(model, None, Cpu::with_team(Box::new(Of(team.clone()))));
        let vocab = session.config.text.vocab;
        let shares: Vec<usize> = team.helpers.borrow().iter().map(|helper| helper.weights[0].rows).collect();
        let expected = [1, 2].map(|engine| if tied { rows_of(vocab, 3, engine).len() } else { 0 });
        assert_eq!(shares, expected, "{model}: rows of the table of {vocab}");
    }
}

/// So many rows by a matrix that the leader has whole and helpers have their rows of.
fn lent(cpu: &Cpu, rows: u32) -> Vec<u8> {
    const INPUTS: usize = 128;
    const OUTPUTS: usize = 520;
    let mut random = Random::new(8);
    let matrix = Matrix::new(Format::Q8, &random.floats(INPUTS * OUTPUTS), INPUTS).expect("small weights");
    let mut weights = Weights::default();
    let mut store = cpu.model_store(&mut weights);
    store.make_room_for(Usage::Both, "weight", Format::Q8, OUTPUTS, INPUTS).expect("it fits");
    store.write(0, Plane::Values, 0, &matrix.packed.values);
    store.write(0, Plane::Scales, 0, &matrix.packed.scales);
    drop(store);
    let mut plan = Plan::default();
    let x = plan.input("x", Rows::PerItem(rows), INPUTS);
    let y = plan.scratch("y", Rows::PerItem(rows), OUTPUTS);
    let weight = MatrixRef { id: WeightId(0), format: Format::Q8, rows: OUTPUTS as u32, cols: INPUTS as u32 };
    plan.step("lent", Matmul::new(x, weight, y, Rows::PerItem(rows)));
    let inputs = [(x, random.floats(rows as usize * INPUTS))];
    run(cpu, plan, &weights, Run { batch: 1, tokens: 1, past: 3 }, &inputs, y)
}

/// What takes longer than a message and its answer is shared, and a decoder's single rows are not.
#[test]
fn lent_matrices_are_shared_where_it_is_worth_it() {
    assert!(!worth_sharing(1, 1536, 576) && worth_sharing(1, 5120, 960) && worth_sharing(20, 1536, 576));
    for (rows, shared) in [(1, false), (7, false), (61, true), (300, true)] {
        same_with_any_team(&format!("{rows} rows"), shared, |cpu| lent(&cpu, rows));
    }
}

/// Any number of engines writes the same. Qwen2's and Gemma's tables are the matrices of their logits, too.
#[test]
fn any_number_of_engines_writes_the_same() {
    for model in ["decoders/llama", "decoders/qwen2", "decoders/gemma2"] {
        for format in [None, Some(Format::Q8)] {
            same_with_any_team(&format!("{model}, {format:?}"), true, |cpu| writes(&load(model, format, cpu)));
        }
    }
}
