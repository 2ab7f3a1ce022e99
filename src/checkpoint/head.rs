//! A tensor file that is somewhere else, of which only what its header takes is fetched at first.

use std::{cell::RefCell, collections::BTreeMap, ops::Range};

use super::{Bytes, read_header};
use crate::error::Result;

/// The parts of a tensor file that are here; the rest is handed over piece by piece.
#[derive(Default)]
pub struct Head {
    parts: BTreeMap<u64, Vec<u8>>,
    /// Length of the whole file, if it is known by now.
    pub size: Option<u64>,
    /// The first range that was read and is not here.
    absent: RefCell<Option<Range<u64>>>,
}

impl Head {
    /// The next range that the header of the file `name` takes; none once all of it is here.
    ///
    /// # Errors
    /// What is wrong with the header as far as it is here.
    pub fn wanted(&self, name: &str) -> Result<Option<Range<u64>>> {
        let header = read_header(name, self);
        match self.absent.take() {
            Some(range) => Ok(Some(range)),
            None => header.map(|_| None),
        }
    }

    /// Takes a range that was wanted.
    pub fn put(&mut self, start: u64, bytes: Vec<u8>) {
        self.parts.insert(start, bytes);
    }

    /// The first part of a range that is not here.
    fn absent(&self, range: Range<u64>) -> Option<Range<u64>> {
        let mut at = range.start;
        for (&start, part) in self.parts.range(..range.end) {
            let end = start + part.len() as u64;
            match start <= at {
                true => at = at.max(end),
                false if at < range.end => return Some(at..start),
                false => break,
            }
        }
        (at < range.end).then_some(at..range.end)
    }
}

impl Bytes for Head {
    fn size(&self) -> Option<u64> {
        self.size
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> std::result::Result<(), String> {
        let range = offset..offset + into.len() as u64;
        if let Some(absent) = self.absent(range.clone()) {
            self.absent.borrow_mut().get_or_insert(absent);
            return Err("the file ends too early".into());
        }
        for (&start, part) in self.parts.range(..range.end) {
            let from = range.start.max(start);
            let to = range.end.min(start + part.len() as u64);
            if from < to {
                let place = (from - range.start) as usize..(to - range.start) as usize;
                into[place].copy_from_slice(&part[(from - start) as usize..(to - start) as usize]);
            }
        }
        Ok(())
    }

    fn has(&self, range: Range<u64>) -> bool {
        self.absent(range).is_none()
    }
}
