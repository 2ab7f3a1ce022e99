//! Which tensor goes into which file: pure.

/// Who asks for a tensor. No file holds tensors of two of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Vision,
    Text,
    /// The scalars that make logits of cosines: whoever loads one tower needs them too, and not the other tower's file.
    Shared,
}

impl Part {
    fn of(name: &str) -> Self {
        if name.starts_with("vision_") || name.starts_with("visual_") {
            Self::Vision
        } else if name.starts_with("text_") {
            Self::Text
        } else {
            Self::Shared
        }
    }
}

/// The files, as places in `units`, which are names and bytes in the order in which the model asks for them; files keep
/// that order within a part. A unit is never cut and never waits for more room than a fresh file has: a file holds `limit`
/// bytes at most, or one unit that is larger.
pub fn assign(units: &[(&str, usize)], limit: usize) -> Vec<Vec<usize>> {
    let mut parts: Vec<(Part, Vec<usize>)> = Vec::new();
    for (at, (name, _)) in units.iter().enumerate() {
        let part = Part::of(name);
        match parts.iter_mut().find(|(other, _)| *other == part) {
            Some((_, members)) => members.push(at),
            None => parts.push((part, vec![at])),
        }
    }
    let mut files = Vec::new();
    for (_, members) in parts {
        let (mut file, mut bytes) = (Vec::new(), 0);
        for at in members {
            if !file.is_empty() && bytes + units[at].1 > limit {
                files.push(std::mem::take(&mut file));
                bytes = 0;
            }
            file.push(at);
            bytes += units[at].1;
        }
        files.push(file);
    }
    files
}

/// The name that Hugging Face gives to file `at` of `of`, counted from 0: `model-00001-of-00003.safetensors`.
pub fn file_name(at: usize, of: usize) -> String {
    format!("model-{:05}-of-{of:05}.safetensors", at + 1)
}

/// Whether a file would be taken for one with tensors: what an earlier run left must not lie beside a new one.
pub fn is_tensor_file(name: &str) -> bool {
    let digits = |part: &str| part.len() == 5 && part.bytes().all(|b| b.is_ascii_digit());
    let numbers = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors"));
    let counted = numbers.and_then(|n| n.split_once("-of-")).is_some_and(|(at, of)| digits(at) && digits(of));
    counted || name == "model.safetensors"
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: [(&str, usize); 8] = [
        ("vision_model.a", 5),
        ("vision_model.b", 5),
        ("visual_projection.weight", 1),
        ("text_projection.weight", 2),
        ("text_model.table", 30),
        ("text_model.a", 3),
        ("text_model.b", 7),
        ("logit_scale", 1),
    ];

    #[test]
    fn files_are_full_but_never_mixed() {
        assert_eq!(assign(&UNITS, 10), [vec![0, 1], vec![2], vec![3], vec![4], vec![5, 6], vec![7]]);
        // All that fits: one file a part. Nothing fits: one a unit.
        assert_eq!(assign(&UNITS, 1000), [vec![0, 1, 2], vec![3, 4, 5, 6], vec![7]]);
        assert_eq!(assign(&UNITS, 0), (0..8).map(|at| vec![at]).collect::<Vec<_>>());
        assert!(assign(&[], 10).is_empty());
    }

    #[test]
    fn parts_are_gathered() {
        let units = [("text_model.a", 1), ("vision_model.a", 1), ("text_model.b", 1), ("logit_bias", 1)];
        assert_eq!(assign(&units, 10), [vec![0, 2], vec![1], vec![3]]);
    }

    #[test]
    fn names_are_hugging_faces() {
        assert_eq!(file_name(0, 3), "model-00001-of-00003.safetensors");
        assert!(is_tensor_file(&file_name(11, 12)) && is_tensor_file("model.safetensors"));
        for name in ["model.safetensors.index.json", "model-x-of-00003.safetensors", "my-00001-of-00003.safetensors"] {
            assert!(!is_tensor_file(name), "{name}");
        }
    }
}
