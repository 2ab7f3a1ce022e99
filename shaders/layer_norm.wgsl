// y[r, d] = (x[r, d] - mean(x[r, :])) / sqrt(variance(x[r, :]) + eps) * weight[d] + bias[d]
// If MERGE, of x[b, 1 + t, :] · x[b, 0, :]: each of an item's tokens times its class token, which has no row of y.
// One workgroup a row. Two passes over the row, because mean(x²) - mean(x)² cancels when one channel is large. Joined to
// lib/row_sum.

override MERGE: bool = false;

struct Params {
    rows: u32,
    dim: u32,
    eps: f32,
    tokens: u32,  // rows of an item
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows, dim], or [batch, 1 + tokens, dim]
@group(0) @binding(2) var<storage, read> weight: array<f32>;   // [dim]
@group(0) @binding(3) var<storage, read> bias: array<f32>;     // [dim]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // [rows, dim]

fn input(row: u32, d: u32) -> f32 {
    if !MERGE {
        return x[row * params.dim + d];
    }
    // A class token leads every item up to this one.
    let item = row / params.tokens;
    let class_token = item * (params.tokens + 1u);
    return x[(row + item + 1u) * params.dim + d] * x[class_token * params.dim + d];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    var sum = 0.0;
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        sum += input(row, d);
    }
    let mean = sum_over_lanes(lane, sum) / f32(params.dim);
    var squares = 0.0;
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        let centered = input(row, d) - mean;
        squares += centered * centered;
    }
    let scale = inverseSqrt(sum_over_lanes(lane, squares) / f32(params.dim) + params.eps);
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        y[row * params.dim + d] = (input(row, d) - mean) * scale * weight[d] + bias[d];
    }
}
