// Outputs of an invocation: little work, many invocations.

const WORKGROUP: u32 = 8u;  // invocations along each side
const ROWS: u32 = 4u;
const COLS: u32 = 4u;
