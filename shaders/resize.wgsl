// out[line, o] = clip8((Σ_i source[line, first[o] + i] · weight[o, i] + 2²¹) >> 22), for red, green and blue
// One axis of Pillow's antialiased resampling in its own fixed-point arithmetic; run along one axis, then along the other.

struct Params {
    outputs: u32,      // output pixels along the axis
    lines: u32,        // lines across it
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;     // RGBA, red in the low byte
@group(0) @binding(2) var<storage, read> table: array<i32>;      // [7]: taps, 1 to put transparent pixels on white, source pixels between neighbours along the axis and between lines, the same two for the output, where the first line goes; [outputs, 2 + taps]: first, count, weights in 2⁻²²
@group(0) @binding(3) var<storage, read_write> out: array<u32>;  // RGBA, alpha 255

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let o = id.x;
    let line = id.y;
    if o >= params.outputs || line >= params.lines {
        return;
    }
    let step = u32(table[2]);
    let entry = 7u + o * (u32(table[0]) + 2u);
    let start = line * u32(table[3]) + u32(table[entry]) * step;
    let count = u32(table[entry + 1u]);
    var sum = vec3i(1 << 21);
    for (var i = 0u; i < count; i++) {
        let pixel = source[start + i * step];
        let weight = table[entry + 2u + i];
        var channels = vec3u(pixel & 255u, (pixel >> 8u) & 255u, (pixel >> 16u) & 255u);
        if table[1] != 0 {
            let alpha = pixel >> 24u;
            channels = (channels * alpha + 255u * (255u - alpha) + 127u) / 255u;
        }
        sum += vec3i(channels) * weight;
    }
    let byte = vec3u(clamp(sum >> vec3u(22u), vec3i(0), vec3i(255)));
    out[u32(table[6]) + line * u32(table[5]) + o * u32(table[4])] = byte.x | (byte.y << 8u) | (byte.z << 16u) | (255u << 24u);
}
