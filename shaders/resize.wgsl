// out[line, o] = clip8((Σ_i source[line, first[o] + i] · weight[o, i] + 2²¹) >> 22), for red, green and blue
// One axis of Pillow's antialiased resampling in its own fixed-point arithmetic; run along one axis, then along the other.

struct Params {
    lines: u32,  // lines across the axis
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;     // RGBA, red in the low byte
@group(0) @binding(2) var<storage, read> table: array<i32>;      // [8]: taps, outputs, 1 to put transparent pixels on white, source pixels between neighbours along the axis and between lines, the same two for the output, where the first line goes; [outputs, 2 + taps]: first, count, weights in 2⁻²²
@group(0) @binding(3) var<storage, read_write> out: array<u32>;  // RGBA, alpha 255

const HEAD = 8u;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let line = id.y;
    if line >= params.lines {
        return;
    }
    let step = u32(table[3]);
    for (var o = id.x; o < u32(table[1]); o += groups.x * 8u) {
        let entry = HEAD + o * (u32(table[0]) + 2u);
        let start = line * u32(table[4]) + u32(table[entry]) * step;
        let count = u32(table[entry + 1u]);
        var sum = vec3i(1 << 21);
        for (var i = 0u; i < count; i++) {
            let pixel = source[start + i * step];
            let weight = table[entry + 2u + i];
            var channels = vec3u(pixel & 255u, (pixel >> 8u) & 255u, (pixel >> 16u) & 255u);
            if table[2] != 0 {
                let alpha = pixel >> 24u;
                channels = (channels * alpha + 255u * (255u - alpha) + 127u) / 255u;
            }
            sum += vec3i(channels) * weight;
        }
        let byte = vec3u(clamp(sum >> vec3u(22u), vec3i(0), vec3i(255)));
        let to = u32(table[7]) + line * u32(table[6]) + o * u32(table[5]);
        out[to] = byte.x | (byte.y << 8u) | (byte.z << 16u) | (255u << 24u);
    }
}
