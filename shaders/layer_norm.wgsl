// y[r, d] = (x[s, d] - mean(x[s, :])) / sqrt(variance(x[s, :]) + eps) * weight[d] + bias[d], s = r · stride + index[r]
// One workgroup a row. Two passes over the row, because mean(x²) - mean(x)² cancels when one channel is large.

override WORKGROUP: u32 = 64;
override HAS_INDEX: bool = false;

struct Params {
    rows: u32,
    dim: u32,
    eps: f32,
    stride: u32,  // rows of x for each row of y; of more than one, index or else the first is taken
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows · stride, dim]
@group(0) @binding(2) var<storage, read> weight: array<f32>;   // [dim]
@group(0) @binding(3) var<storage, read> bias: array<f32>;     // [dim]
@group(0) @binding(4) var<storage, read> index: array<u32>;    // [rows]
@group(0) @binding(5) var<storage, read_write> y: array<f32>;  // [rows, dim]

var<workgroup> partial: array<f32, WORKGROUP>;

fn sum_over_lanes(lane: u32, value: f32) -> f32 {
    workgroupBarrier();  // the last sum has been read
    partial[lane] = value;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < WORKGROUP; i++) {
        sum += partial[i];
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    var source = row * params.stride;
    if HAS_INDEX {
        source += index[row];
    }
    let start = source * params.dim;
    var sum = 0.0;
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        sum += x[start + d];
    }
    let mean = sum_over_lanes(lane, sum) / f32(params.dim);
    var squares = 0.0;
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        let centered = x[start + d] - mean;
        squares += centered * centered;
    }
    let scale = inverseSqrt(sum_over_lanes(lane, squares) / f32(params.dim) + params.eps);
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        y[row * params.dim + d] = (x[start + d] - mean) * scale * weight[d] + bias[d];
    }
}
