//! Steps that several engines share: the orders that wait while the others compute.
//!
//! One engine leads. It has the plans and their activations, and hands parts of matrix products and attention to helpers, each of
//! which has a slice of every matrix. It never blocks: an engine in a browser hears of an answer only between two calls.

use std::{cell::RefCell, collections::VecDeque, ops::Range};

use super::cpu_plan::CpuPlan;
use crate::{
    error::Result,
    kernels::{Part, Run, rows_of},
    quant::Format,
    threads::Threads,
    weights::{HostStore, Plane, Store, Usage},
};

/// The helpers of an engine, as it speaks to them. Each begins with an empty [`HostStore`] in panels.
pub trait Team {
    /// How many there are.
    fn helpers(&self) -> usize;
    /// Makes room for the next weight of a helper.
    fn make_room(&self, helper: usize, format: Format, rows: usize, cols: usize);
    /// Fills a weight of a helper, as [`Store::write`] does.
    fn write(&self, helper: usize, index: usize, plane: Plane, offset: usize, bytes: &[u8]);
    /// Hands out parts of a step, each with the number of its helper. Returns what they came to, if that is known at once; else it
    /// comes by [`super::Cpu::answered`].
    fn ask(&self, parts: Vec<(usize, Part)>) -> Option<Vec<Vec<f32>>>;
}

/// Orders in order. They are carried out at once until one waits for helpers.
pub struct Queue {
    team: Box<dyn Team>,
    orders: RefCell<VecDeque<Order>>,
    asked: RefCell<Option<Asked>>,
    /// The model's weights.
    shared: RefCell<Vec<Shared>>,
}

/// A weight as a whole.
#[derive(Clone, Copy)]
struct Shared {
    format: Format,
    rows: usize,
    cols: usize,
    usage: Usage,
}

enum Order {
    Steps { plan: CpuPlan, run: Run, steps: Range<usize> },
    Then(Box<dyn FnOnce()>),
}

/// A step of which helpers have parts.
struct Asked {
    plan: CpuPlan,
    run: Run,
    /// It, and those after it.
    steps: Range<usize>,
    /// Engines that were asked.
    engines: Vec<usize>,
}

impl Queue {
    pub fn new(team: Box<dyn Team>) -> Self {
        Self { team, orders: RefCell::default(), asked: RefCell::default(), shared: RefCell::default() }
    }

    pub fn engines(&self) -> usize {
        1 + self.team.helpers()
    }

    /// Whether something waits.
    pub fn busy(&self) -> bool {
        self.asked.borrow().is_some()
    }

    pub fn steps(&self, plan: &CpuPlan, run: Run, steps: Range<usize>) {
        self.order(Order::Steps { plan: plan.clone(), run, steps });
    }

    pub fn then(&self, work: impl FnOnce() + 'static) {
        self.order(Order::Then(Box::new(work)));
    }

    /// What the parts that were handed out came to.
    pub fn answered(&self, answers: Vec<Vec<f32>>) {
        let Some(asked) = self.asked.take() else { return };
        let rest = self.join(asked, answers);
        self.orders.borrow_mut().push_front(rest);
        self.advance();
    }

    /// Drops what waits.
    pub fn clear(&self) {
        self.asked.take();
        self.orders.take();
    }

    fn order(&self, order: Order) {
        self.orders.borrow_mut().push_back(order);
        if !self.busy() {
            self.advance();
        }
    }

    fn advance(&self) {
        loop {
            // In a statement of its own, or the queue would be borrowed by what may add to it.
            let next = self.orders.borrow_mut().pop_front();
            match next {
                None => return,
                Some(Order::Then(work)) => work(),
                Some(Order::Steps { plan, run, steps }) => {
                    if let Some(asked) = self.begin(plan, run, steps) {
                        self.asked.replace(Some(asked));
                        return;
                    }
                }
            }
        }
    }

    /// Runs steps up to the first whose parts do not come at once.
    fn begin(&self, plan: CpuPlan, run: Run, mut steps: Range<usize>) -> Option<Asked> {
        while !steps.is_empty() {
            let asked = plan.kernel(steps.start).and_then(|kernel| {
                plan.with_host(&Threads::ONE, |host| {
                    let parts = kernel.parts(run, host, self.engines());
                    if parts.is_empty() {
                        kernel.cpu(run, host);
                        return None;
                    }
                    let engines = parts.iter().map(|(engine, _)| *engine).collect();
                    let answers = self.team.ask(parts.into_iter().map(|(engine, part)| (engine - 1, part)).collect());
                    kernel.own_part(run, host, self.engines());
                    Some((engines, answers))
                })
            });
            if let Some((engines, answers)) = asked {
                let asked = Asked { plan: plan.clone(), run, steps: steps.clone(), engines };
                let Some(answers) = answers else { return Some(asked) };
                self.join(asked, answers);
            }
            steps.start += 1;
        }
        plan.done(steps.end);
        None
    }

    /// Ends a step; returns those after it.
    fn join(&self, Asked { plan, run, steps, engines }: Asked, answers: Vec<Vec<f32>>) -> Order {
        let kernel = plan.kernel(steps.start).expect("it was begun");
        let parts: Vec<_> = engines.into_iter().zip(answers).collect();
        plan.with_host(&Threads::ONE, |host| kernel.join(run, host, self.engines(), &parts));
        Order::Steps { steps: steps.start + 1..steps.end, plan, run }
    }
}

/// A model's weights, shared out: of each matrix the rows that [`rows_of`] says, to this engine and its helpers. Tables this engine has
/// whole, tied heads besides.
pub struct TeamStore<'a> {
    queue: &'a Queue,
    own: &'a RefCell<HostStore>,
}

impl<'a> TeamStore<'a> {
    pub fn new(queue: &'a Queue, own: &'a RefCell<HostStore>) -> Self {
        Self { queue, own }
    }
}

impl TeamStore<'_> {
    fn room(&self, label: &str, shared: Shared) -> Result<()> {
        let Shared { format, cols, .. } = shared;
        for engine in 1..self.queue.engines() {
            self.queue.team.make_room(engine - 1, format, self.rows(&shared, engine).len(), cols);
        }
        let (mut own, rows) = (self.own.borrow_mut(), self.rows(&shared, 0).len());
        if shared.usage == Usage::Both {
            let number = own.weights.len();
            own.lent.push(number);
        }
        self.queue.shared.borrow_mut().push(shared);
        own.make_room(label, format, rows, cols)
    }

    /// Which rows an engine has.
    fn rows(&self, shared: &Shared, engine: usize) -> Range<usize> {
        match (shared.usage, engine) {
            (Usage::Table | Usage::Both, 0) => 0..shared.rows,
            (Usage::Table, _) => shared.rows..shared.rows,
            _ => rows_of(shared.rows, self.queue.engines(), engine),
        }
    }
}

impl Store for TeamStore<'_> {
    fn make_room(&mut self, label: &str, format: Format, rows: usize, cols: usize) -> Result<()> {
        self.make_room_for(Usage::Product, label, format, rows, cols)
    }

    /// This engine looks rows up.
    fn make_room_for(&mut self, usage: Usage, label: &str, format: Format, rows: usize, cols: usize) -> Result<()> {
        self.room(label, Shared { format, rows, cols, usage })
    }

    /// Of a matrix, whole rows.
    fn write(&mut self, index: usize, plane: Plane, offset: usize, bytes: &[u8]) {
        let shared = self.queue.shared.borrow()[index];
        let row = match plane {
            Plane::Values => shared.format.row_bytes(shared.cols),
            Plane::Scales => shared.format.scale_bytes(shared.cols),
        };
        for engine in 0..self.queue.engines() {
            let own = self.rows(&shared, engine);
            let (start, end) = ((own.start * row).max(offset), (own.end * row).min(offset + bytes.len()));
            if start >= end {
                continue;
            }
            let (at, bytes) = (start - own.start * row, &bytes[start - offset..end - offset]);
            match engine {
                0 => self.own.borrow_mut().write(index, plane, at, bytes),
                _ => self.queue.team.write(engine - 1, index, plane, at, bytes),
            }
        }
    }
}
