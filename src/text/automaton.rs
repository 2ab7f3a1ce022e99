//! A regular expression as an automaton over bytes, whose states are made as they are met.

use std::collections::HashMap;

use regex_automata::{
    nfa::thompson::{Compiler, Config, NFA, State, WhichCaptures},
    util::primitives::StateID,
};
use regex_syntax::hir::Hir;

use crate::error::{Error, Result};

/// Most memory of an expression that was compiled.
const MOST_BYTES: usize = 8 << 20;

/// The state from which nothing matches.
pub const DEAD: u32 = 0;
/// No state yet.
const UNKNOWN: u32 = u32::MAX;

/// A deterministic automaton. From every state but [`DEAD`] some text leads to the end of a match.
pub struct Automaton {
    nfa: NFA,
    /// Whether a match can be reached, by states of `nfa`.
    alive: Vec<bool>,
    /// The round in which each state of `nfa` was met last.
    met: Vec<u32>,
    round: u32,
    /// The states of `nfa` that each state stands for: those that read a byte or match.
    sets: Vec<Box<[StateID]>>,
    numbers: HashMap<Box<[StateID]>, u32>,
    /// Where each state's classes of bytes lead.
    next: Vec<u32>,
    accepting: Vec<bool>,
}

impl Automaton {
    /// Compiles an expression, behind which and before which nothing may be but `lead` before it.
    ///
    /// # Errors
    /// [`Error::BadInput`] if it is too large, or nothing matches it.
    pub fn new(lead: &str, hir: Hir) -> Result<Self> {
        let hir = Hir::concat(vec![Hir::literal(lead.as_bytes()), hir]);
        let config = Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(MOST_BYTES));
        let nfa = Compiler::new().configure(config).build_from_hir(&hir).map_err(|_| {
            Error::BadInput(format!(
                "pattern: expected one of at most {} MB when compiled, found a larger one: repeat less in it",
                MOST_BYTES >> 20
            ))
        })?;
        let mut all = Self {
            alive: alive(&nfa),
            met: vec![0; nfa.states().len()],
            nfa,
            round: 0,
            sets: Vec::new(),
            numbers: HashMap::new(),
            next: Vec::new(),
            accepting: Vec::new(),
        };
        all.number(Vec::new());
        match all.start() {
            DEAD => {
                Err(Error::BadInput("pattern: expected one that some text matches, found one that none does".into()))
            }
            _ => Ok(all),
        }
    }

    /// The state before the first byte.
    pub fn start(&mut self) -> u32 {
        let start = self.nfa.start_anchored();
        self.reached([start].into())
    }

    /// Whether what led to this state is a match.
    pub fn accepts(&self, state: u32) -> bool {
        self.accepting[state as usize]
    }

    /// How many states there are.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// The state after a byte.
    pub fn step(&mut self, state: u32, byte: u8) -> u32 {
        let classes = self.nfa.byte_classes();
        let at = state as usize * classes.alphabet_len() + classes.get(byte) as usize;
        if self.next[at] == UNKNOWN {
            let after = |&id: &StateID| match self.nfa.state(id) {
                State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
                State::Sparse(sparse) => sparse.matches_byte(byte),
                State::Dense(dense) => dense.matches_byte(byte),
                _ => None,
            };
            let open = self.sets[state as usize].iter().filter_map(after).collect();
            self.next[at] = self.reached(open);
        }
        self.next[at]
    }

    /// The state after some bytes.
    pub fn walk(&mut self, state: u32, bytes: &[u8]) -> u32 {
        bytes.iter().fold(state, |state, &byte| if state == DEAD { DEAD } else { self.step(state, byte) })
    }

    /// Forgets all states but one, which has another number then.
    pub fn forget_all_but(&mut self, state: u32) -> u32 {
        let kept = self.sets[state as usize].to_vec();
        self.sets.clear();
        self.numbers.clear();
        self.next.clear();
        self.accepting.clear();
        self.number(Vec::new());
        self.number(kept)
    }

    /// The state that stands for these and for what they lead to without a byte.
    fn reached(&mut self, mut open: Vec<StateID>) -> u32 {
        self.round += 1;
        let mut set = Vec::new();
        while let Some(id) = open.pop() {
            if !self.alive[id] || std::mem::replace(&mut self.met[id], self.round) == self.round {
                continue;
            }
            match self.nfa.state(id) {
                State::Union { alternates } => open.extend(alternates),
                State::BinaryUnion { alt1, alt2 } => open.extend([alt1, alt2]),
                State::Capture { next, .. } => open.push(*next),
                _ => set.push(id),
            }
        }
        set.sort_unstable();
        self.number(set)
    }

    /// The number of the state that stands for these.
    fn number(&mut self, set: Vec<StateID>) -> u32 {
        if let Some(&number) = self.numbers.get(&*set) {
            return number;
        }
        let number = self.sets.len() as u32;
        self.accepting.push(set.iter().any(|&id| matches!(self.nfa.state(id), State::Match { .. })));
        self.next.extend(std::iter::repeat_n(UNKNOWN, self.nfa.byte_classes().alphabet_len()));
        self.sets.push(set.clone().into());
        self.numbers.insert(set.into(), number);
        number
    }
}

/// From which states of an automaton a match can be reached.
fn alive(nfa: &NFA) -> Vec<bool> {
    let mut alive: Vec<bool> = nfa.states().iter().map(|state| matches!(state, State::Match { .. })).collect();
    loop {
        let mut more = false;
        for (at, state) in nfa.states().iter().enumerate().rev() {
            let leads = |id: &StateID| alive[*id];
            let lives = match state {
                State::ByteRange { trans } => leads(&trans.next),
                State::Sparse(sparse) => sparse.transitions.iter().any(|trans| leads(&trans.next)),
                State::Dense(dense) => dense.transitions.iter().any(leads),
                State::Union { alternates } => alternates.iter().any(leads),
                State::BinaryUnion { alt1, alt2 } => leads(alt1) || leads(alt2),
                State::Capture { next, .. } => leads(next),
                State::Look { .. } | State::Fail | State::Match { .. } => false,
            };
            more |= lives && !alive[at];
            alive[at] |= lives;
        }
        if !more {
            return alive;
        }
    }
}
