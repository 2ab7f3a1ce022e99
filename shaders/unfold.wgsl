// y[p, (gy, gx), (d, dy, dx)] = x[p, lead + (gy · stride + dy - padding, gx · stride + dx - padding), d], zeros beyond the grid
// What a convolution sees; a row has the order of its weight.

struct Params {
    batch: u32,
    grid: u32,     // places of x along a side
    dim: u32,
    lead: u32,     // rows of an item of x before its grid: a class token
    side: u32,     // of the convolution
    stride: u32,
    padding: u32,
    outputs: u32,  // places of y along a side
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [batch, lead + grid², dim]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [batch, outputs², dim · side²]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let taps = params.side * params.side;
    let area = params.outputs * params.outputs;
    let row = at / (taps * params.dim);
    if row >= params.batch * area {
        return;
    }
    // More by the padding, so that nothing is below 0.
    let py = row % area / params.outputs * params.stride + at / params.side % params.side;
    let px = row % params.outputs * params.stride + at % params.side;
    let end = params.grid + params.padding;
    var value = 0.0;
    if py >= params.padding && px >= params.padding && py < end && px < end {
        let place = (py - params.padding) * params.grid + px - params.padding;
        let token = row / area * (params.lead + params.grid * params.grid) + params.lead + place;
        value = x[token * params.dim + at / taps % params.dim];
    }
    y[at] = value;
}
