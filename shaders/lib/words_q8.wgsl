// weight_word(row, k4) = W[row, 4·k4 .. 4·k4 + 4] as four signed bytes; weight_scales(row, block) = the scales of the two
// halves of a block of 32. Layout as in lib/weight_q8.

@group(1) @binding(0) var<storage, read> values: array<u32>;  // [cols, ⌈inner / 4⌉], four i8 each
@group(1) @binding(1) var<storage, read> scales: array<u32>;  // [cols, ⌈⌈inner / 16⌉ / 2⌉], two f16 each

fn weight_word(row: u32, k4: u32) -> u32 {
    return values[row * ((params.inner + 3u) / 4u) + k4];
}

fn weight_scales(row: u32, block: u32) -> vec2f {
    return unpack2x16float(scales[row * ((params.inner + 31u) / 32u) + block]);
}
