// y[r, h, :] = x[r, h, :] · cos[p, :] + (-x[r, h, half..], x[r, h, ..half]) · sin[p, :]
// Each head turned by the place p of its token, half against half; if HAS_NORM each head has its RMS norm before. The `copied` heads
// after the turned ones go over as they are: values. One workgroup a head. Joined to lib/row_reduce.

override HAS_NORM: bool = false;
override ONE_PLUS: bool = false;

struct Params {
    rows: u32,
    tokens: u32,     // rows of an item of x
    past: u32,       // place of an item's first token
    item: u32,       // rows of an item of y
    first: u32,      // which of them is the first token's
    stride: u32,     // floats of a row of x
    start: u32,      // where its first head starts
    heads: u32,      // that are turned
    copied: u32,     // that follow as they are
    head_size: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows, stride]
@group(0) @binding(2) var<storage, read> turns: array<f32>;    // [places, head_size]: cosines of half a head, then sines
@group(0) @binding(3) var<storage, read> weight: array<f32>;   // [head_size]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // [batch, item, heads + copied, head_size]

fn factor(i: u32) -> f32 {
    if !HAS_NORM {
        return 1.0;
    }
    return select(weight[i], 1.0 + weight[i], ONE_PLUS);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group.y * groups.x + group.x;
    let heads = params.heads + params.copied;
    let row = index / heads;
    if row >= params.rows {
        return;
    }
    let head = index % heads;
    let token = row % params.tokens;
    let size = params.head_size;
    let source = row * params.stride + params.start + head * size;
    let own = ((row / params.tokens * params.item + params.first + token) * heads + head) * size;
    if head >= params.heads {
        for (var i = lane; i < size; i += WORKGROUP) {
            y[own + i] = x[source + i];
        }
        return;
    }
    var scale = 1.0;
    if HAS_NORM {
        var squares = 0.0;
        for (var i = lane; i < size; i += WORKGROUP) {
            squares += x[source + i] * x[source + i];
        }
        scale = inverseSqrt(sum_over_lanes(lane, squares) / f32(size) + params.eps);
    }
    let half = size / 2u;
    let turn = (params.past + token) * size;
    for (var i = lane; i < half; i += WORKGROUP) {
        let low = x[source + i] * scale * factor(i);
        let high = x[source + half + i] * scale * factor(half + i);
        let cosine = turns[turn + i];
        let sine = turns[turn + half + i];
        y[own + i] = low * cosine - high * sine;
        y[own + half + i] = high * cosine + low * sine;
    }
}
