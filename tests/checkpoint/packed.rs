//! What is kept of a piece that was converted stands for the file's bytes.

use std::collections::BTreeMap;

use ocelli::{
    quant::Format,
    threads::Threads,
    weights::{Loader, Piece, Plane, Store, pieces, put, put_packed},
};

use super::{files as files_of, written::one_file, *};

/// Remembers what is written where.
#[derive(Default, PartialEq, Debug)]
struct Written(Vec<(usize, Plane, usize, Vec<u8>)>);

impl Store for Written {
    fn make_room(&mut self, _: &str, _: Format, _: usize, _: usize) -> Result<(), Error> {
        Ok(())
    }
    fn write(&mut self, index: usize, plane: Plane, offset: usize, bytes: &[u8]) {
        self.0.push((index, plane, offset, bytes.to_vec()));
    }
}

fn all_pieces(checkpoint: &Checkpoint, format: Option<Format>) -> Vec<Piece> {
    let mut loader = Loader::new(checkpoint, format).expect("a format that it can have");
    model::record(&checkpoint.config, checkpoint.towers, &mut loader).expect("a sound fixture");
    [pieces(&loader.weights), pieces(&loader.host)].concat()
}

fn fixture_of(name: &str) -> Checkpoint {
    let (json, weights) = files_of(name);
    checkpoint(json, weights).expect("a sound fixture")
}

/// What a piece writes from the file's bytes, and what it packed then.
fn converted(checkpoint: &Checkpoint, piece: &Piece) -> (Written, Option<Vec<u8>>) {
    let bytes = checkpoint.read(piece.slice.file, piece.slice.bytes.clone()).expect("a sound fixture");
    let mut store = Written::default();
    let packed = put(checkpoint, piece, &bytes, &Threads::ONE, &mut store).expect("sound weights");
    (store, packed.map(|packed| [packed.values, packed.scales].concat()))
}

#[test]
fn packed_pieces_are_written_as_the_files_own() {
    for name in ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2"] {
        for format in [Format::F16, Format::Q8, Format::Q4] {
            let checkpoint = fixture_of(name);
            let (mut kept, mut all, mut forms) = (0, 0, BTreeMap::new());
            for piece in all_pieces(&checkpoint, Some(format)) {
                let (expected, packed) = converted(&checkpoint, &piece);
                let size = piece.slice.bytes.end - piece.slice.bytes.start;
                all += size;
                let Some(form) = piece.packed_form() else {
                    kept += size;
                    continue;
                };
                let packed = packed.expect("it was packed");
                assert_eq!(packed.len(), form.bytes, "{name}, {}", form.name);
                assert!((form.bytes as u64) < size, "{name}: {} bytes in place of {size}", form.bytes);
                kept += form.bytes as u64;
                let mut found = Written::default();
                put_packed(&piece, &packed, &mut found);
                assert_eq!(found, expected, "{name}, {}", form.name);
                let mut wrong = Written::default();
                put_packed(&piece, &packed.iter().map(|b| b ^ 1).collect::<Vec<u8>>(), &mut wrong);
                assert_ne!(wrong, expected, "{name}: other bytes");
                // Pieces of the same bytes under one name are the same.
                let key = (piece.slice.file, piece.slice.bytes.start, form.name);
                assert_eq!(*forms.entry(key).or_insert_with(|| packed.clone()), packed, "{name}");
            }
            // Half as many bytes have nothing to gain by it.
            let halves = ["clip-eos", "siglip-bf16", "siglip2"].contains(&name) && format == Format::F16;
            assert_eq!(forms.is_empty(), halves, "{name}, {}", format.name());
            assert!(forms.is_empty() || kept < all * 3 / 4, "{name}, {}: {kept} of {all} bytes", format.name());
        }
    }
}

#[test]
fn what_is_not_converted_is_kept_as_it_is() {
    let quantised = one_file(&fixture("siglip"), Format::Q8);
    let quantised = checkpoint(files_of("siglip").0, quantised).expect("sound");
    for (checkpoint, format) in [(fixture_of("siglip"), None), (quantised, Some(Format::Q8))] {
        let all = all_pieces(&checkpoint, format);
        assert!(!all.is_empty() && all.iter().all(|piece| piece.packed_form().is_none()));
    }
}

#[test]
#[should_panic(expected = "a piece is put as it was kept")]
fn packed_bytes_of_another_length_are_refused() {
    let all = all_pieces(&fixture_of("siglip"), Some(Format::Q8));
    let (piece, form) = all.iter().find_map(|p| p.packed_form().map(|form| (p, form))).expect("a matrix");
    put_packed(piece, &vec![0; form.bytes - 1], &mut Written::default());
}
