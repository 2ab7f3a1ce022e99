// y[r, :] = x[r, :] / (√(Σ_d x[r, d]²) + eps)
// One workgroup a row. Joined to one lib/row_f32* and lib/row_reduce.

struct Params {
    rows: u32,
    dim: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Numbers>;        // [rows, dim / WIDTH]
@group(0) @binding(2) var<storage, read_write> y: array<Numbers>;  // [rows, dim / WIDTH]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let start = row * (params.dim / WIDTH);
    let end = start + params.dim / WIDTH;
    // Scaled by the largest element first, because its square could overflow.
    var own = Numbers(1.0e-30);
    for (var at = start + lane; at < end; at += WORKGROUP) {
        own = max(own, abs(x[at]));
    }
    let peak = largest_over_lanes(lane, largest_of(own));
    var squares = Numbers(0.0);
    for (var at = start + lane; at < end; at += WORKGROUP) {
        let value = x[at] / peak;
        squares += value * value;
    }
    let length = sqrt(sum_over_lanes(lane, sum_of(squares))) + params.eps / peak;
    for (var at = start + lane; at < end; at += WORKGROUP) {
        y[at] = x[at] / peak / max(length, 1.0e-30);
    }
}
