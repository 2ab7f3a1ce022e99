// Outputs of an invocation: each load serves eight products, for many rows.

const WORKGROUP: u32 = 8u;  // invocations along each side
const ROWS: u32 = 8u;
const COLS: u32 = 8u;
const DEPTH: u32 = 4u;      // vectors along K that an invocation takes of a tile
const SLICES: u32 = 1u;     // invocations that share the sums of an output
