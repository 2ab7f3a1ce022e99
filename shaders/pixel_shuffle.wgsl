// y[b, (gy, gx), (sy, sx, d)] = x[b, lead + (gy · scale + sy, gx · scale + sx), d]: squares of tokens as single tokens

struct Params {
    batch: u32,
    grid: u32,   // rows along a side of x
    scale: u32,  // of them along a side of a square
    lead: u32,   // rows of an item of x before its grid: a class token
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [batch, lead + grid², dim]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [batch, (grid / scale)², scale² · dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let area = params.grid * params.grid;
    // Tokens of x in the order in which they come out.
    let token = at / params.dim;
    if token >= params.batch * area {
        return;
    }
    let square = params.scale * params.scale;
    let across = params.grid / params.scale;
    let row = token % area / square;
    let inside = token % square;
    let y_place = row / across * params.scale + inside / params.scale;
    let x_place = row % across * params.scale + inside % params.scale;
    let source = token / area * (params.lead + area) + params.lead + y_place * params.grid + x_place;
    y[at] = x[source * params.dim + at % params.dim];
}
