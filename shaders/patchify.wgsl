// y[b, patch, c, py, px] = pixels[b, y, x].c · scale[c] + shift[c]
// Cuts the square into patches and normalises; a row has the order of the patch embedding's convolution weight.

struct Params {
    scale: vec4f,  // rescale / std
    shift: vec4f,  // -mean / std
    batch: u32,
    size: u32,     // side of the picture
    patch_size: u32,    // side of a patch
    lead: u32,     // rows of zeros before an item's patches: room for a class token
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;   // [batch, size, size], RGBA, red in the low byte
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [batch, lead + (size / patch)², 3 · patch²]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let area = params.patch_size * params.patch_size;
    let grid = params.size / params.patch_size;
    let row = at / (3u * area);
    let rows = params.lead + grid * grid;
    let b = row / rows;
    if b >= params.batch {
        return;
    }
    if row % rows < params.lead {
        y[at] = 0.0;
        return;
    }
    let patch_at = row % rows - params.lead;
    let c = at / area % 3u;
    let py = patch_at / grid * params.patch_size + at / params.patch_size % params.patch_size;
    let px = patch_at % grid * params.patch_size + at % params.patch_size;
    let pixel = pixels[(b * params.size + py) * params.size + px];
    let value = extractBits(pixel, 8u * c, 8u);
    y[at] = f32(value) * params.scale[c] + params.shift[c];
}
