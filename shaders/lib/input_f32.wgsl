// input4(row, k4) = x[row, 4·k4 .. 4·k4 + 4], zeros beyond the row; for any K.

@group(0) @binding(1) var<storage, read> x: array<f32>;  // [rows, inner]

fn input4(row: u32, k4: u32) -> vec4f {
    let k = k4 * 4u;
    let at = row * params.inner + k;
    let left = params.inner - k;
    if left >= 4u {
        return vec4f(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
    }
    var tail = vec4f(x[at], 0.0, 0.0, 0.0);
    if left > 1u {
        tail.y = x[at + 1u];
    }
    if left > 2u {
        tail.z = x[at + 2u];
    }
    return tail;
}
