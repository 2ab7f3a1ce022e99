//! A text that keeps to a pattern, token by token: which tokens may come next.
//!
//! A token may come if its bytes lead on in the pattern's automaton, be they whole characters or not; the end may come where all that was
//! written matches. Tokens that were added to the vocabulary, special ones or not, never come: what they would say as text, other tokens
//! can say.

use std::{collections::HashMap, sync::Arc};

use super::{
    TextStream, Tokenizer,
    automaton::{Automaton, DEAD},
    pattern,
    spellings::Spellings,
};
use crate::error::{Error, Result};

/// States after which all that is known of them is forgotten but for the last one.
const MOST_STATES: usize = 20_000;

/// A text that keeps to a pattern, as far as it has come.
pub struct Guide {
    tokenizer: Arc<Tokenizer>,
    spellings: Arc<Spellings>,
    automaton: Automaton,
    place: Place,
    stream: TextStream,
    written: String,
    /// Tokens that end the text.
    ends: Vec<u32>,
    /// The tokens that may come, a bit each, by places.
    masks: HashMap<Place, Vec<u32>>,
}

/// How far a text has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    /// Of the automaton.
    state: u32,
    /// No token has come yet.
    first: bool,
    /// Spaces at the text's start that the tokenizer still drops.
    blanks: usize,
}

impl Guide {
    /// A text behind a prompt that leaves `lead` to be written (as [`crate::config::PromptRule::lead`]), which is no part of the text;
    /// `ends` are the tokens that end it, of a model with so many tokens.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a pattern that is none, and [`Error::BadCheckpoint`] for a tokenizer whose tokens have no spelling of their
    /// own.
    pub fn new(tokenizer: &Arc<Tokenizer>, pattern: &str, lead: &str, ends: &[u32], vocab: usize) -> Result<Self> {
        let expression = pattern::parse(pattern)?;
        let spellings = tokenizer.spellings(vocab)?;
        let (blanks, bare) = tokenizer.blanks()?;
        // Some tokenizers drop it themselves.
        let lead = if bare { "" } else { lead };
        let mut automaton = Automaton::new(lead, expression)?;
        Ok(Self {
            tokenizer: Arc::clone(tokenizer),
            spellings,
            place: Place { state: automaton.start(), first: true, blanks },
            automaton,
            stream: tokenizer.stream(true)?.without(lead.len()),
            written: String::new(),
            ends: ends.iter().copied().filter(|&id| (id as usize) < vocab).collect(),
            masks: HashMap::new(),
        })
    }

    /// The tokens that may come next, those that end the text among them: bit n % 32 of word n / 32 is token n's. None of them where the
    /// text is whole and nothing can follow.
    ///
    /// # Errors
    /// [`Error::BadInput`] where the text is not whole, and no token goes on.
    pub fn allowed(&mut self) -> Result<&[u32]> {
        if self.automaton.len() > MOST_STATES {
            self.masks.clear();
            self.place.state = self.automaton.forget_all_but(self.place.state);
        }
        if !self.masks.contains_key(&self.place) {
            let mask = self.mask()?;
            self.masks.insert(self.place, mask);
        }
        Ok(&self.masks[&self.place])
    }

    fn mask(&mut self) -> Result<Vec<u32>> {
        let count = self.spellings.len();
        let (mut mask, mut some) = (vec![0; count.div_ceil(32)], false);
        let mut allow = |id: u32| mask[id as usize / 32] |= 1 << (id % 32);
        for id in 0..count as u32 {
            if self.after(id).is_some() {
                allow(id);
                some = true;
            }
        }
        let whole = self.automaton.accepts(self.place.state);
        if some && whole {
            self.ends.iter().for_each(|&id| allow(id));
        }
        if some || whole {
            return Ok(mask);
        }
        Err(Error::BadInput(format!(
            "pattern: expected a model with a token that goes on from {:?}, found none in its vocabulary",
            self.written
        )))
    }

    /// Where the text is after a token; none where that may not come.
    fn after(&mut self, id: u32) -> Option<Place> {
        let Place { state, first, blanks } = self.place;
        let within = self.spellings.of(id);
        if within.is_empty() {
            return None;
        }
        let opening = if first { self.tokenizer.spelled_first(id) } else { None };
        let bytes = opening.as_deref().unwrap_or(within);
        let dropped = bytes.iter().take(blanks).take_while(|&&byte| byte == b' ').count();
        let blanks = if dropped == bytes.len() { blanks - dropped } else { 0 };
        let state = self.automaton.walk(state, &bytes[dropped..]);
        (state != DEAD).then_some(Place { state, first: false, blanks })
    }

    /// The characters that a token completes, which comes next.
    ///
    /// # Panics
    /// If it was not allowed.
    pub fn push(&mut self, id: u32) -> String {
        self.place = self.after(id).expect("a token that is allowed");
        let text = self.stream.push(id);
        self.written += &text;
        text
    }
}
