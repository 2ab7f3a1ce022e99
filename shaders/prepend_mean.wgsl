// y[p, 0, d] = mean over r of x[p, r, d];  y[p, 1 + r, d] = x[p, r, d]

struct Params {
    batch: u32,
    rows: u32,  // of an item of x
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [batch, rows, dim]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [batch, 1 + rows, dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let row = at / params.dim;
    let each = params.rows + 1u;
    if row >= params.batch * each {
        return;
    }
    let item = row / each * params.rows * params.dim;
    if row % each > 0u {
        y[at] = x[item + (row % each - 1u) * params.dim + at % params.dim];
        return;
    }
    var sum = 0.0;
    for (var r = 0u; r < params.rows; r++) {
        sum += x[item + r * params.dim + at % params.dim];
    }
    y[at] = sum / f32(params.rows);
}
