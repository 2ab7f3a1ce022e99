// weight4(row, k4) = scale · q, q = W[row, 4·k4 .. 4·k4 + 4] as signed bytes, one f16 scale for 16 of them along K;
// rows are padded with zeros to a multiple of 4, rows of scales to a multiple of 2.

@group(1) @binding(0) var<storage, read> values: array<u32>;  // [cols, ⌈inner / 4⌉], four i8 each
@group(1) @binding(1) var<storage, read> scales: array<u32>;  // [cols, ⌈⌈inner / 16⌉ / 2⌉], two f16 each

fn weight4(row: u32, k4: u32) -> vec4f {
    let packed = values[row * ((params.inner + 3u) / 4u) + k4];
    let block = k4 / 4u;
    let pair = unpack2x16float(scales[row * ((params.inner + 31u) / 32u) + block / 2u]);
    let scale = select(pair.x, pair.y, (block & 1u) == 1u);
    return scale * vec4f(unpack4xI8(packed));
}
