// weight4(row, k4) = scale · q, q = W[row, 4·k4 .. 4·k4 + 4] as signed half bytes, the first in the lowest bits, one f16
// scale for 32 of them along K; rows are padded with zeros to a multiple of 8, rows of scales to a multiple of 2.

@group(1) @binding(0) var<storage, read> values: array<u32>;  // [cols, ⌈inner / 8⌉], eight half bytes each
@group(1) @binding(1) var<storage, read> scales: array<u32>;  // [cols, ⌈⌈inner / 32⌉ / 2⌉], two f16 each

fn weight4(row: u32, k4: u32) -> vec4f {
    let packed = values[row * ((params.inner + 7u) / 8u) + k4 / 2u] >> ((k4 & 1u) * 16u);
    // Each half byte to the top, and down again with its sign.
    let q = bitcast<vec4i>(vec4u(packed) << vec4u(28u, 24u, 20u, 16u)) >> vec4u(28u);
    let block = k4 / 8u;
    let pair = unpack2x16float(scales[row * ((params.inner + 63u) / 64u) + block / 2u]);
    let scale = select(pair.x, pair.y, (block & 1u) == 1u);
    return scale * vec4f(q);
}
