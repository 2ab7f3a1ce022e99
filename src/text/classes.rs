pub const LETTERS: [(u32, u32); 0] = [];
pub const NUMBERS: [(u32, u32); 0] = [];
