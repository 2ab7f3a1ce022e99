// y[r, :] = x[r, :] / (√(Σ_d x[r, d]²) + eps)
// One workgroup a row.

override WORKGROUP: u32 = 64;

struct Params {
    rows: u32,
    dim: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows, dim]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [rows, dim]

var<workgroup> partial: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let start = row * params.dim;
    // Scaled by the largest element first, because its square could overflow.
    var own = 1.0e-30;
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        own = max(own, abs(x[start + d]));
    }
    partial[lane] = own;
    workgroupBarrier();
    var peak = own;
    for (var i = 0u; i < WORKGROUP; i++) {
        peak = max(peak, partial[i]);
    }
    var squares = 0.0;
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        let value = x[start + d] / peak;
        squares += value * value;
    }
    workgroupBarrier();  // the peaks have been read
    partial[lane] = squares;
    workgroupBarrier();
    squares = 0.0;
    for (var i = 0u; i < WORKGROUP; i++) {
        squares += partial[i];
    }
    let length = sqrt(squares) + params.eps / peak;
    for (var d = lane; d < params.dim; d += WORKGROUP) {
        y[start + d] = x[start + d] / peak / max(length, 1.0e-30);
    }
}
