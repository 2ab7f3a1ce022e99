// y[r, :] = x[r, :] / √(Σ_d x[r, d]²)
// One invocation a row: rows are few and short here.

struct Params {
    rows: u32,
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows, dim]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [rows, dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= params.rows {
        return;
    }
    let start = id.x * params.dim;
    // Scaled by the largest element first, because its square could overflow.
    var peak = 1.0e-30;
    for (var d = 0u; d < params.dim; d++) {
        peak = max(peak, abs(x[start + d]));
    }
    var squares = 0.0;
    for (var d = 0u; d < params.dim; d++) {
        let value = x[start + d] / peak;
        squares += value * value;
    }
    let length = sqrt(squares);
    for (var d = 0u; d < params.dim; d++) {
        y[start + d] = x[start + d] / peak / max(length, 1.0e-30);
    }
}
