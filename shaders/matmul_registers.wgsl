// matmul for devices whose barriers are slow, such as software adapters: each invocation keeps 16 × 8 outputs and needs none.
// What costs there is each load and each turn of a loop, so a large tile is written out line by line: a loop over an array of
// sums would be run as it stands. Fragments as for matmul.wgsl.

struct Params {
    rows: u32,   // M, or where a part of them ends
    inner: u32,  // K
    cols: u32,   // N
    tokens: u32, // rows that have positions of their own; 0 where there are none
    first: u32,  // the first row of a part
}

@group(0) @binding(0) var<uniform> params: Params;

fn store4(row: u32, col: u32, sums: vec4f) {
    for (var c = 0u; c < 4u; c++) {
        store(row, col + c, sums[c]);
    }
}

@compute @workgroup_size(4, 2)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let col = id.x * 8u;
    let row = params.first + id.y * 16u;
    if col >= params.cols || row >= params.rows {
        return;
    }
    let last = params.rows - 1u;
    let cols0 = min(vec4u(col, col + 1u, col + 2u, col + 3u), vec4u(params.cols - 1u));
    let cols1 = min(cols0 + 4u, vec4u(params.cols - 1u));
    // Of each row two vectors of four columns.
    var a0 = vec4f();
    var b0 = vec4f();
    var a1 = vec4f();
    var b1 = vec4f();
    var a2 = vec4f();
    var b2 = vec4f();
    var a3 = vec4f();
    var b3 = vec4f();
    var a4 = vec4f();
    var b4 = vec4f();
    var a5 = vec4f();
    var b5 = vec4f();
    var a6 = vec4f();
    var b6 = vec4f();
    var a7 = vec4f();
    var b7 = vec4f();
    var a8 = vec4f();
    var b8 = vec4f();
    var a9 = vec4f();
    var b9 = vec4f();
    var a10 = vec4f();
    var b10 = vec4f();
    var a11 = vec4f();
    var b11 = vec4f();
    var a12 = vec4f();
    var b12 = vec4f();
    var a13 = vec4f();
    var b13 = vec4f();
    var a14 = vec4f();
    var b14 = vec4f();
    var a15 = vec4f();
    var b15 = vec4f();
    let inner4 = (params.inner + 3u) / 4u;
    for (var k4 = 0u; k4 < inner4; k4++) {
        let w0 = mat4x4f(weight4(cols0.x, k4), weight4(cols0.y, k4), weight4(cols0.z, k4), weight4(cols0.w, k4));
        let w1 = mat4x4f(weight4(cols1.x, k4), weight4(cols1.y, k4), weight4(cols1.z, k4), weight4(cols1.w, k4));
        let x0 = input4(row, k4);
        a0 += x0 * w0;
        b0 += x0 * w1;
        let x1 = input4(min(row + 1u, last), k4);
        a1 += x1 * w0;
        b1 += x1 * w1;
        let x2 = input4(min(row + 2u, last), k4);
        a2 += x2 * w0;
        b2 += x2 * w1;
        let x3 = input4(min(row + 3u, last), k4);
        a3 += x3 * w0;
        b3 += x3 * w1;
        let x4 = input4(min(row + 4u, last), k4);
        a4 += x4 * w0;
        b4 += x4 * w1;
        let x5 = input4(min(row + 5u, last), k4);
        a5 += x5 * w0;
        b5 += x5 * w1;
        let x6 = input4(min(row + 6u, last), k4);
        a6 += x6 * w0;
        b6 += x6 * w1;
        let x7 = input4(min(row + 7u, last), k4);
        a7 += x7 * w0;
        b7 += x7 * w1;
        let x8 = input4(min(row + 8u, last), k4);
        a8 += x8 * w0;
        b8 += x8 * w1;
        let x9 = input4(min(row + 9u, last), k4);
        a9 += x9 * w0;
        b9 += x9 * w1;
        let x10 = input4(min(row + 10u, last), k4);
        a10 += x10 * w0;
        b10 += x10 * w1;
        let x11 = input4(min(row + 11u, last), k4);
        a11 += x11 * w0;
        b11 += x11 * w1;
        let x12 = input4(min(row + 12u, last), k4);
        a12 += x12 * w0;
        b12 += x12 * w1;
        let x13 = input4(min(row + 13u, last), k4);
        a13 += x13 * w0;
        b13 += x13 * w1;
        let x14 = input4(min(row + 14u, last), k4);
        a14 += x14 * w0;
        b14 += x14 * w1;
        let x15 = input4(min(row + 15u, last), k4);
        a15 += x15 * w0;
        b15 += x15 * w1;
    }
    store4(row, col, a0);
    store4(row, col + 4u, b0);
    store4(row + 1u, col, a1);
    store4(row + 1u, col + 4u, b1);
    store4(row + 2u, col, a2);
    store4(row + 2u, col + 4u, b2);
    store4(row + 3u, col, a3);
    store4(row + 3u, col + 4u, b3);
    store4(row + 4u, col, a4);
    store4(row + 4u, col + 4u, b4);
    store4(row + 5u, col, a5);
    store4(row + 5u, col + 4u, b5);
    store4(row + 6u, col, a6);
    store4(row + 6u, col + 4u, b6);
    store4(row + 7u, col, a7);
    store4(row + 7u, col + 4u, b7);
    store4(row + 8u, col, a8);
    store4(row + 8u, col + 4u, b8);
    store4(row + 9u, col, a9);
    store4(row + 9u, col + 4u, b9);
    store4(row + 10u, col, a10);
    store4(row + 10u, col + 4u, b10);
    store4(row + 11u, col, a11);
    store4(row + 11u, col + 4u, b11);
    store4(row + 12u, col, a12);
    store4(row + 12u, col + 4u, b12);
    store4(row + 13u, col, a13);
    store4(row + 13u, col + 4u, b13);
    store4(row + 14u, col, a14);
    store4(row + 14u, col + 4u, b14);
    store4(row + 15u, col, a15);
    store4(row + 15u, col + 4u, b15);
}
