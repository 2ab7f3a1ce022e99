// y[r, d] = (x[r, d] - mean(x[r, :])) / sqrt(variance(x[r, :]) + eps) * weight[d] + bias[d]
// If MERGE, of x[b, 1 + t, :] · x[b, 0, :]: each of an item's tokens times its class token, which has no row of y.
// One workgroup a row. Two passes over the row, because mean(x²) - mean(x)² cancels when one channel is large. Joined to one
// lib/row_f32* and lib/row_reduce.

override MERGE: bool = false;

struct Params {
    rows: u32,
    dim: u32,
    eps: f32,
    tokens: u32,  // rows of an item
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Numbers>;        // [rows, dim / WIDTH], or [batch, 1 + tokens, dim / WIDTH]
@group(0) @binding(2) var<storage, read> weight: array<Numbers>;   // [dim / WIDTH]
@group(0) @binding(3) var<storage, read> bias: array<Numbers>;     // [dim / WIDTH]
@group(0) @binding(4) var<storage, read_write> y: array<Numbers>;  // [rows, dim / WIDTH]

fn input(row: u32, at: u32) -> Numbers {
    let each = params.dim / WIDTH;
    if !MERGE {
        return x[row * each + at];
    }
    // A class token leads every item up to this one.
    let item = row / params.tokens;
    let class_token = item * (params.tokens + 1u);
    return x[(row + item + 1u) * each + at] * x[class_token * each + at];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let each = params.dim / WIDTH;
    var sum = Numbers(0.0);
    for (var at = lane; at < each; at += WORKGROUP) {
        sum += input(row, at);
    }
    let mean = sum_over_lanes(lane, sum_of(sum)) / f32(params.dim);
    var squares = Numbers(0.0);
    for (var at = lane; at < each; at += WORKGROUP) {
        let centered = input(row, at) - mean;
        squares += centered * centered;
    }
    let scale = inverseSqrt(sum_over_lanes(lane, sum_of(squares)) / f32(params.dim) + params.eps);
    for (var at = lane; at < each; at += WORKGROUP) {
        y[row * each + at] = (input(row, at) - mean) * scale * weight[at] + bias[at];
    }
}
