// Tiles and products in f32. multiplied(sum, a, b) = sum + Σ a · b, one after the other: a dot product would be an addition more.

alias Element4 = vec4f;

fn multiplied(sum: f32, a: Element4, b: Element4) -> f32 {
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}
