// Outputs of an invocation: each load serves eight products, for many rows.

const WORKGROUP: u32 = 8u;  // invocations along each side
const ROWS: u32 = 8u;
const COLS: u32 = 8u;
