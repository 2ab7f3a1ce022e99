// y[r, d] = x[r, d] / sqrt(mean(x[r, :]²) + eps) * weight[d], or * (1 + weight[d]) if ONE_PLUS   (+ y[r, d] if ACCUMULATE)
// One workgroup a row. Joined to one lib/row_f32* and lib/row_reduce.

override ONE_PLUS: bool = false;
override ACCUMULATE: bool = false;

struct Params {
    rows: u32,
    dim: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Numbers>;        // [rows, dim / WIDTH]
@group(0) @binding(2) var<storage, read> weight: array<Numbers>;   // [dim / WIDTH]
@group(0) @binding(3) var<storage, read_write> y: array<Numbers>;  // [rows, dim / WIDTH]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let each = params.dim / WIDTH;
    let start = row * each;
    var squares = Numbers(0.0);
    for (var at = lane; at < each; at += WORKGROUP) {
        squares += x[start + at] * x[start + at];
    }
    let scale = inverseSqrt(sum_over_lanes(lane, sum_of(squares)) / f32(params.dim) + params.eps);
    for (var at = lane; at < each; at += WORKGROUP) {
        let factor = select(weight[at], 1.0 + weight[at], ONE_PLUS);
        var value = x[start + at] * scale * factor;
        if ACCUMULATE {
            value += y[start + at];
        }
        y[start + at] = value;
    }
}
