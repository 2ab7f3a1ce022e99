// Outputs of an invocation: as tile_4x4, with four invocations along K, where there are too few tiles for all of a large GPU.

const WORKGROUP: u32 = 8u;  // invocations along each side
const ROWS: u32 = 4u;
const COLS: u32 = 4u;
const DEPTH: u32 = 2u;      // vectors along K that an invocation takes of a tile
const SLICES: u32 = 4u;     // invocations that share the sums of an output
