//! Byte-pair encoding (Sennrich, Haddow and Birch 2016): `models::bpe` of the tokenizers crate.

use std::{cmp::Reverse, collections::BinaryHeap};

use rustc_hash::FxHashMap;

/// A vocabulary, and which two neighbours become which token in which order.
#[derive(Default)]
pub struct Bpe {
    ids: FxHashMap<String, u32>,
    /// By the ids of both parts: rank and id of the whole.
    merges: FxHashMap<(u32, u32), (u32, u32)>,
    pub unk: Option<u32>,
    /// Whether unknown neighbours are one unknown token.
    pub fuse_unk: bool,
    /// Added to the last character of a word.
    pub suffix: String,
    /// Tokens of single bytes, if what is unknown is spelled in them.
    pub bytes: Option<Vec<Option<u32>>>,
}

/// A part of a word and its neighbours, as indices.
struct Symbol {
    id: u32,
    previous: Option<usize>,
    next: Option<usize>,
    merged: bool,
}

impl Bpe {
    pub fn new(
        ids: FxHashMap<String, u32>,
        merges: impl IntoIterator<Item = Result<(String, String), String>>,
    ) -> Result<Self, String> {
        let mut ranks = FxHashMap::default();
        for (rank, merge) in (0u32..).zip(merges) {
            let (a, b) = merge?;
            let id = |token: &str| {
                let id = ids.get(token).copied();
                id.ok_or_else(|| format!("model: merges: expected {token:?} in the vocabulary, found none"))
            };
            ranks.insert((id(&a)?, id(&b)?), (rank, id(&(a + &b))?));
        }
        Ok(Self { ids, merges: ranks, ..Self::default() })
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn encode(&self, word: &str, ids: &mut Vec<u32>) {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(word.len());
        for id in self.characters(word) {
            let here = symbols.len();
            if let Some(last) = symbols.last_mut() {
                last.next = Some(here);
            }
            symbols.push(Symbol { id, previous: here.checked_sub(1), next: None, merged: false });
        }
        // The lowest rank first, from left to right.
        let mut queue: BinaryHeap<Reverse<(u32, usize, u32)>> = BinaryHeap::new();
        let pair = |symbols: &[Symbol], at: usize| {
            let (rank, id) = self.merges.get(&(symbols[at].id, symbols[symbols[at].next?].id))?;
            Some(Reverse((*rank, at, *id)))
        };
        queue.extend((0..symbols.len()).filter_map(|at| pair(&symbols, at)));
        while let Some(Reverse((_, at, id))) = queue.pop() {
            // A neighbour may have changed since.
            let is_there = pair(&symbols, at).is_some_and(|Reverse((_, _, now))| now == id);
            let Some(right) = symbols[at].next.filter(|_| is_there && !symbols[at].merged) else { continue };
            symbols[right].merged = true;
            let next = symbols[right].next;
            (symbols[at].id, symbols[at].next) = (id, next);
            if let Some(next) = next {
                symbols[next].previous = Some(at);
            }
            queue.extend(symbols[at].previous.and_then(|previous| pair(&symbols, previous)));
            queue.extend(pair(&symbols, at));
        }
        ids.extend(symbols.iter().filter(|symbol| !symbol.merged).map(|symbol| symbol.id));
    }

    /// The ids of single characters; those that are unknown in bytes, or as the unknown token.
    fn characters(&self, word: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(word.len());
        let mut unknown = None;
        for (at, c) in word.char_indices() {
            let mut text = c.to_string();
            if at + c.len_utf8() == word.len() {
                text += &self.suffix;
            }
            if let Some(id) = self.id(&text) {
                ids.extend(unknown.take());
                ids.push(id);
                continue;
            }
            let spelled: Option<Vec<u32>> =
                self.bytes.as_ref().and_then(|bytes| text.bytes().map(|byte| bytes[usize::from(byte)]).collect());
            match spelled {
                Some(spelled) => ids.extend(spelled),
                None => {
                    ids.extend(unknown.filter(|_| !self.fuse_unk));
                    unknown = self.unk;
                }
            }
        }
        ids.extend(unknown);
        ids
    }
}

/// The tokens of single bytes, such as `<0x0A>`.
pub fn byte_tokens(id: impl Fn(&str) -> Option<u32>) -> Vec<Option<u32>> {
    (0..=255u8).map(|byte| id(&format!("<0x{byte:02X}>"))).collect()
}
