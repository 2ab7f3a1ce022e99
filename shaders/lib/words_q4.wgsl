// weight_word(row, k4) = W[row, 4·k4 .. 4·k4 + 4] as four signed bytes, widened from half bytes; weight_scales(row, block) =
// the scale of a block of 32, twice. Layout as in lib/weight_q4.

@group(1) @binding(0) var<storage, read> values: array<u32>;  // [cols, ⌈inner / 8⌉], eight half bytes each
@group(1) @binding(1) var<storage, read> scales: array<u32>;  // [cols, ⌈⌈inner / 32⌉ / 2⌉], two f16 each

fn weight_word(row: u32, k4: u32) -> u32 {
    let packed = (values[row * ((params.inner + 7u) / 8u) + k4 / 2u] >> ((k4 & 1u) * 16u)) & 0xffffu;
    // Half bytes apart, each into a byte of its own; where its sign is set, the upper half of the byte is too.
    let pairs = (packed | (packed << 8u)) & 0x00ff00ffu;
    let bytes = (pairs | (pairs << 4u)) & 0x0f0f0f0fu;
    return bytes | ((bytes & 0x08080808u) * 0x1eu);
}

fn weight_scales(row: u32, block: u32) -> vec2f {
    let pair = unpack2x16float(scales[row * ((params.inner + 63u) / 64u) + block / 2u]);
    return vec2f(select(pair.x, pair.y, (block & 1u) == 1u));
}
