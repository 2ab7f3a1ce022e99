// y[r, d] = x[r · item + index[r], d]: one row of each item, by its index or else the first

override HAS_INDEX: bool = false;

struct Params {
    rows: u32,
    dim: u32,
    item: u32,  // rows of an item of x
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows · item, dim]
@group(0) @binding(2) var<storage, read> index: array<u32>;    // [rows]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [rows, dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    if at >= params.rows * params.dim {
        return;
    }
    let row = at / params.dim;
    var source = row * params.item;
    if HAS_INDEX {
        source += index[row];
    }
    y[at] = x[source * params.dim + at % params.dim];
}
