// input4(row, k4) = x[row, 4·k4 .. 4·k4 + 4], in one load; for K that is a multiple of 4.

@group(0) @binding(1) var<storage, read> x: array<vec4f>;  // [rows, inner / 4]

fn input4(row: u32, k4: u32) -> vec4f {
    return x[row * (params.inner / 4u) + k4];
}
