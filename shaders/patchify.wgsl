// y[b, patch, c, py, px] = pixels[b, y, x].c · scale[c] + shift[c]
// Cuts a picture into patches and normalises. A row has the order of the patch embedding's convolution weight; if NAFLEX the picture
// has a width of its own, a row's channels are last, and what is left of its rows is zeros. If FLOATS a pixel is three floats.

override NAFLEX: bool = false;
override FLOATS: bool = false;

struct Params {
    scale: vec4f,  // rescale / std
    shift: vec4f,  // -mean / std
    batch: u32,
    size: u32,     // side of the picture, unless NAFLEX
    patch_size: u32,    // side of a patch
    lead: u32,     // rows of zeros before an item's patches: room for a class token
    rows: u32,     // rows of an item
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;   // [batch, size, size], or [batch, rows · patch²]; RGBA, red in the low byte; if FLOATS [batch, size, size, 3] in f32
@group(0) @binding(2) var<storage, read> columns: array<u32>;  // [batch]: patches from left to right
@group(0) @binding(3) var<storage, read> lengths: array<u32>;  // [batch]: patches
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // [batch, rows, 3 · patch²]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let side = params.patch_size;
    let area = side * side;
    let b = at / (3u * area * params.rows);
    if b >= params.batch {
        return;
    }
    var grid = params.size / side;
    var width = params.size;
    var picture = params.size * params.size;
    var end = params.rows;
    var c = at / area % 3u;
    var place = at % area;
    if NAFLEX {
        grid = columns[b];
        width = grid * side;
        picture = params.rows * area;
        end = lengths[b];
        c = at % 3u;
        place = at / 3u % area;
    }
    let row = at / (3u * area) % params.rows;
    if row < params.lead || row >= end {
        y[at] = 0.0;
        return;
    }
    let patch_at = row - params.lead;
    let py = patch_at / grid * side + place / side;
    let px = patch_at % grid * side + place % side;
    let pixel = b * picture + py * width + px;
    var value: f32;
    if FLOATS {
        value = bitcast<f32>(pixels[3u * pixel + c]);
    } else {
        value = f32(extractBits(pixels[pixel], 8u * c, 8u));
    }
    y[at] = value * params.scale[c] + params.shift[c];
}
