// weight4(row, k4) = W[row, 4·k4 .. 4·k4 + 4] from f16; rows are padded with zeros to a multiple of 4.

@group(1) @binding(0) var<storage, read> values: array<vec2u>;  // [cols, ⌈inner / 4⌉], four f16 each

fn weight4(row: u32, k4: u32) -> vec4f {
    let packed = values[row * ((params.inner + 3u) / 4u) + k4];
    return vec4f(unpack2x16float(packed.x), unpack2x16float(packed.y));
}
