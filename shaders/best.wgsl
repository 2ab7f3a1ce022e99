// y[t] = q, x[t, q]: the largest of a row and its place; of equal ones the first

struct Params {
    rows: u32,
    labels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, labels]
@group(0) @binding(2) var<storage, read_write> y: array<vec2u>;  // [rows]: the place, and the bits of the value

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let row = id.y * groups.x * 64u + id.x;
    if row >= params.rows {
        return;
    }
    let start = row * params.labels;
    var best = 0u;
    var value = x[start];
    for (var q = 1u; q < params.labels; q++) {
        let other = x[start + q];
        if other > value {
            best = q;
            value = other;
        }
    }
    y[row] = vec2u(best, bitcast<u32>(value));
}
