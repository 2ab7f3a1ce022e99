// out[line, o] = clip8((Σ_i source[line, first[o] + i] · weight[o, i] + 2²¹) >> 22), for red, green and blue
// One axis of Pillow's antialiased resampling in its own fixed-point arithmetic; run along x, then along y.

struct Params {
    lines: u32,  // lines across the axis
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;     // RGBA, red in the low byte
@group(0) @binding(2) var<storage, read> table: array<i32>;      // [7]: taps, outputs, source pixels between neighbours and lines, output pixels likewise, where the first line goes; [outputs, 2 + taps]: first, count, weights in 2⁻²²
@group(0) @binding(3) var<storage, read_write> out: array<u32>;  // RGBA, alpha 255

const HEAD = 7u;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let line = id.y;
    if line >= params.lines {
        return;
    }
    let taps = u32(table[0]);
    let step = u32(table[2]);
    for (var o = id.x; o < u32(table[1]); o += groups.x * 8u) {
        let entry = HEAD + o * (taps + 2u);
        let start = line * u32(table[3]) + u32(table[entry]) * step;
        let count = u32(table[entry + 1u]);
        var sum = vec3i(1 << 21);
        for (var i = 0u; i < count; i++) {
            let pixel = source[start + i * step];
            let weight = table[entry + 2u + i];
            sum += vec3i(vec3u(pixel & 255u, (pixel >> 8u) & 255u, (pixel >> 16u) & 255u)) * weight;
        }
        let byte = vec3u(clamp(sum >> vec3u(22u), vec3i(0), vec3i(255)));
        let to = u32(table[6]) + line * u32(table[5]) + o * u32(table[4]);
        out[to] = byte.x | (byte.y << 8u) | (byte.z << 16u) | (255u << 24u);
    }
}
