//! What each token of a vocabulary says.

/// The bytes that each token adds within a text.
pub struct Spellings {
    bytes: Vec<u8>,
    /// Where those of each token end, and those of the next one begin; a token that may not come has none.
    ends: Vec<u32>,
}

impl Spellings {
    pub fn new(all: impl Iterator<Item = Vec<u8>>) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for token in all {
            bytes.extend(token);
            ends.push(bytes.len() as u32);
        }
        Self { bytes, ends }
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// None of a token that is not there, too.
    pub fn of(&self, id: u32) -> &[u8] {
        let end_of = |id: u32| self.ends.get(id as usize).copied();
        let start = id.checked_sub(1).map_or(Some(0), end_of);
        start.zip(end_of(id)).map_or(&[], |(start, end)| &self.bytes[start as usize..end as usize])
    }
}
