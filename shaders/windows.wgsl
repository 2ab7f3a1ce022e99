// y[p, (wy, wx), (iy, ix), d] = x[p, (wy · window + iy, wx · window + ix), d], zeros beyond the grid; if BACK the reverse
// A grid cut into windows, and put together again: what lies beyond the grid is then left out.

override BACK: bool = false;

struct Params {
    batch: u32,
    grid: u32,    // places along a side
    window: u32,  // places along a side of a window
    across: u32,  // windows along a side
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [batch, grid², dim], BACK: [batch, across², window², dim]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [batch, across², window², dim], BACK: [batch, grid², dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let row = at / params.dim;
    let d = at % params.dim;
    let area = params.grid * params.grid;
    let inside = params.window * params.window;
    let all = params.across * params.across * inside;
    if BACK {
        if row >= params.batch * area {
            return;
        }
        let gy = row % area / params.grid;
        let gx = row % params.grid;
        let window = gy / params.window * params.across + gx / params.window;
        let place = gy % params.window * params.window + gx % params.window;
        y[at] = x[(row / area * all + window * inside + place) * params.dim + d];
        return;
    }
    if row >= params.batch * all {
        return;
    }
    let window = row % all / inside;
    let place = row % inside;
    let gy = window / params.across * params.window + place / params.window;
    let gx = window % params.across * params.window + place % params.window;
    var value = 0.0;
    if gy < params.grid && gx < params.grid {
        value = x[(row / all * area + gy * params.grid + gx) * params.dim + d];
    }
    y[at] = value;
}
