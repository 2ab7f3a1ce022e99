// Tiles and products of four in f16, for devices with the feature shader-f16. multiplied(sum, a, b) = sum + Σ a · b, with the sum in
// f32. First of the files that are joined.

enable f16;

alias Element4 = vec4h;

fn multiplied(sum: f32, a: Element4, b: Element4) -> f32 {
    return sum + f32(dot(a, b));
}
