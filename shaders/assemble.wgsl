// y[b, t, d] = tokens[b, t, d] + positions[t, d], with the class token as t = 0 if HAS_CLASS

override HAS_CLASS: bool = false;

struct Params {
    batch: u32,
    tokens: u32,  // class token included
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;            // [batch, tokens (- 1 if HAS_CLASS), dim]
@group(0) @binding(2) var<storage, read> class_token: array<f32>;  // [dim]
@group(0) @binding(3) var<storage, read> positions: array<f32>;    // [tokens, dim]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;      // [batch, tokens, dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let item = params.tokens * params.dim;
    if at >= params.batch * item {
        return;
    }
    let b = at / item;
    let d = at % params.dim;
    var value = positions[at % item];
    if HAS_CLASS {
        if at % item < params.dim {
            value += class_token[d];
        } else {
            value += x[at - (b + 1u) * params.dim];
        }
    } else {
        value += x[at];
    }
    y[at] = value;
}
