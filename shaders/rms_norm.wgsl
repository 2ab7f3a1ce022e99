// y[r, d] = x[r, d] / sqrt(mean(x[r, :]²) + eps) * weight[d], or * (1 + weight[d]) if ONE_PLUS   (+ y[r, d] if ACCUMULATE)
// One workgroup a row. Joined to lib/row_sum.

override ONE_PLUS: bool = false;
override ACCUMULATE: bool = false;

struct Params {
    rows: u32,
    dim: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows, dim]
@group(0) @binding(2) var<storage, read> weight: array<f32>;   // [dim]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [rows, dim]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let start = row * params.dim;
    var squares = 0.0;
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        squares += x[start + d] * x[start + d];
    }
    let scale = inverseSqrt(sum_over_lanes(lane, squares) / f32(params.dim) + params.eps);
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        let factor = select(weight[d], 1.0 + weight[d], ONE_PLUS);
        var value = x[start + d] * scale * factor;
        if ACCUMULATE {
            value += y[start + d];
        }
        y[start + d] = value;
    }
}
