// weight4(row, k4) = W[row, 4·k4 .. 4·k4 + 4]; rows are padded with zeros to a multiple of 4.

@group(1) @binding(0) var<storage, read> values: array<vec4f>;  // [cols, ⌈inner / 4⌉]

fn weight4(row: u32, k4: u32) -> vec4f {
    return values[row * ((params.inner + 3u) / 4u) + k4];
}
