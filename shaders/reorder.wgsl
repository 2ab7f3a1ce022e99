// state[b, t, d] = state[source[b], t, d] as it was, for the tokens of earlier runs
// Each invocation moves one number of every item, so that none is read after it was written.

const MOST: u32 = 16u;  // items

struct Params {
    batch: u32,
    past: u32,  // tokens of earlier runs
    item: u32,  // tokens that there is room for
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;       // [batch]
@group(0) @binding(2) var<storage, read_write> state: array<f32>;  // [batch, item, dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    if at >= params.past * params.dim {
        return;
    }
    let each = params.item * params.dim;
    var numbers: array<f32, MOST>;
    for (var b = 0u; b < params.batch; b++) {
        numbers[b] = state[source[b] * each + at];
    }
    for (var b = 0u; b < params.batch; b++) {
        state[b * each + at] = numbers[b];
    }
}
