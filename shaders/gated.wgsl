// y[r, d] = activate(x[r, d]) · x[r, dim + d]: a gate, then what it lets through
// Joined to lib/activation.

struct Params {
    rows: u32,
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows, 2 · dim]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [rows, dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    if at >= params.rows * params.dim {
        return;
    }
    let gate = at / params.dim * 2u * params.dim + at % params.dim;
    y[at] = activate(x[gate]) * x[gate + params.dim];
}
