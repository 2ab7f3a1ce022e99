// y[p, (gy, gx), (d, dy, dx)] = x[p, lead + (gy + dy - 1, gx + dx - 1), d], zeros beyond the grid: what a convolution of 3 × 3 sees
// A row has the order of the convolution's weight.

struct Params {
    batch: u32,
    grid: u32,  // rows along a side
    dim: u32,
    lead: u32,  // rows of an item of x before its grid: a class token
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [batch, lead + grid², dim]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [batch, grid², dim · 9]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let area = params.grid * params.grid;
    let row = at / (9u * params.dim);
    if row >= params.batch * area {
        return;
    }
    // One more than the place, so that nothing is below 0.
    let py = row % area / params.grid + at / 3u % 3u;
    let px = row % params.grid + at % 3u;
    var value = 0.0;
    if py >= 1u && px >= 1u && py <= params.grid && px <= params.grid {
        let token = row / area * (params.lead + area) + params.lead + (py - 1u) * params.grid + px - 1u;
        value = x[token * params.dim + at / 9u % params.dim];
    }
    y[at] = value;
}
