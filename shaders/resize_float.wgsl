// out[line, o] = Σ_i source[line, first[o] + i] · weight[o, i], added to out if ADD, for red, green and blue
// One axis of a resize in floats; run along one axis, then along the other. If FIRST the source is bytes.

override FIRST: bool = false;

struct Params {
    lines: u32,  // lines across the axis
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;     // [pixels, 3] in f32; if FIRST RGBA, red in the low byte
@group(0) @binding(2) var<storage, read> table: array<u32>;      // [8]: taps, outputs, 1 to put transparent pixels on white, source words between neighbours along the axis and between lines, the same two for the output, ADD; [outputs, 2 + taps]: first, count, weights in f32
@group(0) @binding(3) var<storage, read_write> out: array<f32>;  // [pixels, 3]

const HEAD = 8u;

fn pixel(at: u32) -> vec3f {
    if !FIRST {
        return bitcast<vec3f>(vec3u(source[at], source[at + 1u], source[at + 2u]));
    }
    let word = source[at];
    var channels = vec3u(word & 255u, (word >> 8u) & 255u, (word >> 16u) & 255u);
    if table[2] != 0u {
        let alpha = word >> 24u;
        channels = (channels * alpha + 255u * (255u - alpha) + 127u) / 255u;
    }
    return vec3f(channels);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let line = id.y;
    if line >= params.lines {
        return;
    }
    let step = table[3];
    for (var o = id.x; o < table[1]; o += groups.x * 8u) {
        let entry = HEAD + o * (table[0] + 2u);
        let start = line * table[4] + table[entry] * step;
        let count = table[entry + 1u];
        let to = line * table[6] + o * table[5];
        var sum = vec3f(0.0);
        for (var i = 0u; i < count; i++) {
            sum += pixel(start + i * step) * bitcast<f32>(table[entry + 2u + i]);
        }
        if table[7] != 0u {
            sum += vec3f(out[to], out[to + 1u], out[to + 2u]);
        }
        out[to] = sum.x;
        out[to + 1u] = sum.y;
        out[to + 2u] = sum.z;
    }
}
