// y[p, (gy, gx), d] = x[p, (gy, gx), d] + bias[d] + sum over (dy, dx) of weight[d, dy, dx] · x[p, (gy + dy - 1, gx + dx - 1), d]
// A convolution of 3 × 3 of each column by itself, and its residual; zeros beyond the grid.

struct Params {
    batch: u32,
    grid: u32,  // places along a side
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [batch, grid², dim]
@group(0) @binding(2) var<storage, read> weight: array<f32>;   // [dim, 3, 3]
@group(0) @binding(3) var<storage, read> bias: array<f32>;     // [dim]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // [batch, grid², dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let area = params.grid * params.grid;
    let row = at / params.dim;
    if row >= params.batch * area {
        return;
    }
    let d = at % params.dim;
    let gy = row % area / params.grid;
    let gx = row % params.grid;
    var sum = x[at] + bias[d];
    for (var tap = 0u; tap < 9u; tap++) {
        // One more than the place, so that nothing is below 0.
        let py = gy + tap / 3u;
        let px = gx + tap % 3u;
        if py >= 1u && px >= 1u && py <= params.grid && px <= params.grid {
            let token = row / area * area + (py - 1u) * params.grid + px - 1u;
            sum += weight[d * 9u + tap] * x[token * params.dim + d];
        }
    }
    y[at] = sum;
}
