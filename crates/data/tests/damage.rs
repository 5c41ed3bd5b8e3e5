//! Files and images that no program should trust: each is refused in words, none panics.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use percept_data::{ColumnMap, Dataset, Error, FileDataset, Media};
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(name)).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn open_as(path: PathBuf, columns: &ColumnMap) -> Result<FileDataset, Error> {
    FileDataset::open(&[path], columns, None)
}

/// Reads everything, pixels too; the first error.
fn read_all(data: &FileDataset) -> Result<(), Error> {
    for i in 0..data.len() {
        let sample = data.get(i)?;
        let frames = sample.videos.iter().flat_map(|v| &v.frames);
        for image in sample.images.iter().chain(frames) {
            image.dimensions()?;
            image.decode()?;
        }
    }
    Ok(())
}

fn failure(path: PathBuf, columns: &ColumnMap) -> String {
    open_as(path, columns)
        .and_then(|data| read_all(&data))
        .unwrap_err()
        .to_string()
}

/// A PNG whose header says this size and whose pixels break off after a few bytes.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in [(b"IHDR", &header[..]), (b"IDAT", &[0x78, 0x9c, 1][..])] {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(body);
        png.extend((body.len() as u32).to_be_bytes());
        png.extend(kind);
        png.extend(body);
        png.extend(crc.sum().to_be_bytes());
    }
    png
}

#[test]
fn images_are_refused_with_their_row_and_field() {
    let good = fixture("images/1.png");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0xff;
    let jpeg = fixture("images/2.jpg");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty.png", Vec::new(), "not an image"),
        ("text.png", b"no image".to_vec(), "not an image"),
        ("flipped.png", flipped, "corrupt"),
        ("cut.png", good[..good.len() / 2].to_vec(), "corrupt"),
        ("cut.jpg", jpeg[..jpeg.len() - 40].to_vec(), "truncated"),
        ("nothing.png", png_header(0, 0), "Invalid image dimensions"),
        ("flat.png", png_header(10, 0), "Invalid image dimensions"),
        ("huge.png", png_header(20_000, 20_000), "too large"),
        ("wide.png", png_header(u32::MAX / 2, 1), "too large"),
        ("scan.tiff", b"II*\0\x08\0\0\0".to_vec(), "corrupt"),
    ];
    for (name, bytes, expected) in cases {
        let folder = Folder::new();
        folder.file(name, bytes);
        let line = format!(r#"{{"prompt": "<image>", "images": ["{name}"]}}"#);
        let message = failure(folder.file("x.jsonl", line), &ColumnMap::default());
        assert!(message.contains("x.jsonl:1, images[0]"), "{message}");
        assert!(
            message.contains(name) && message.contains(expected),
            "{message}"
        );
    }
}

#[test]
fn missing_images_say_where_paths_start() {
    let folder = Folder::new();
    for (name, found) in [
        ("none.png", "does not exist"),
        (".", "cannot be"),
        ("a\\u0000b", "cannot be"),
    ] {
        let line = format!(r#"{{"prompt": "<image>", "images": ["{name}"]}}"#);
        let message = failure(folder.file("x.jsonl", line), &ColumnMap::default());
        assert!(message.contains("x.jsonl:1, images[0]"), "{message}");
        assert!(message.contains(found), "{message}");
    }
}

#[test]
fn parquet_columns_of_the_wrong_type_are_named() {
    let folder = Folder::new();
    let path = folder.file("odd.parquet", fixture("odd.parquet"));
    let some = |name: &str| Some(name.to_owned());
    let none = ColumnMap::default;
    #[rustfmt::skip]
    let cases = [
        (ColumnMap { prompt: some("absent"), ..none() }, "no such column"),
        (ColumnMap { prompt: some("single"), ..none() }, "odd.parquet:1, single: not a conversation"),
        (ColumnMap { prompt: some("small"), ..none() }, "small[0]: turn is not an object"),
        (ColumnMap { prompt: some("blob"), ..none() }, "2 bytes"),
        (ColumnMap { prompt: some("nothing"), ..none() }, "no prompt"),
        (ColumnMap { images: some("deep"), ..none() }, "not an image"),
        (ColumnMap { images: some("single"), ..none() }, "single[0]: not an image"),
        (ColumnMap { images: some("blob"), ..none() }, "blob[0]"),
        (ColumnMap { videos: some("single"), ..none() }, "not a video"),
        (ColumnMap { videos: some("blob"), ..none() }, "odd.parquet:1, blob"),
        (ColumnMap { expert: some("single"), ..none() }, "single: not text"),
        (ColumnMap { expert: some("small"), ..none() }, "no turn of the assistant"),
    ];
    for (columns, expected) in cases {
        let message = failure(path.clone(), &columns);
        assert!(message.contains("odd.parquet:1"), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn damaged_parquet_files_are_refused() {
    let folder = Folder::new();
    let whole = fixture("verl.parquet");
    let mut no_magic = whole.clone();
    no_magic[..4].fill(0);
    let mut body = whole.clone();
    let middle = whole.len() / 2;
    body[4..middle].fill(0xa5);
    for (name, bytes) in [
        ("half.parquet", whole[..whole.len() / 2].to_vec()),
        ("less.parquet", whole[..whole.len() - 1].to_vec()),
        ("tail.parquet", whole[whole.len() - 100..].to_vec()),
        ("magic.parquet", b"PAR1".to_vec()),
        ("magics.parquet", b"PAR1PAR1".to_vec()),
        ("json.parquet", br#"{"prompt": "Hi"}"#.to_vec()),
        ("body.parquet", body),
    ] {
        let message = failure(folder.file(name, bytes), &ColumnMap::default());
        assert!(
            message.contains(name) && message.contains("help: "),
            "{message}"
        );
    }
}

#[test]
fn long_lines_are_rows_like_any_other() {
    let folder = Folder::new();
    let text = "x".repeat(1 << 20);
    let lines = format!("{{\"prompt\": \"{text}\"}}\n{text}\n{{\"prompt\": \"{text}\"}}\n");
    let data = open_as(folder.file("x.jsonl", lines), &ColumnMap::default()).unwrap();
    assert_eq!(data.len(), 3);
    assert_eq!(
        data.get(2).unwrap().messages[0].plain_text().len(),
        text.len()
    );
    let message = data.get(1).unwrap_err().to_string();
    assert!(message.len() < 400, "{message}");
    let deep = "[".repeat(100_000);
    let message = failure(folder.file("y.jsonl", deep), &ColumnMap::default());
    assert!(message.contains("y.jsonl:1"), "{message}");
}

#[test]
fn a_file_that_shrinks_while_it_is_open_is_an_error() {
    let folder = Folder::new();
    let path = folder.file("x.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n");
    let data = open_as(path.clone(), &ColumnMap::default()).unwrap();
    std::fs::write(&path, "{\"prompt\": \"a\"}\n").unwrap();
    let message = data.get(1).unwrap_err().to_string();
    assert!(message.contains("changed while"), "{message}");
    assert!(data.get(2).unwrap_err().to_string().contains("no such row"));
}

const FILES: [&str; 11] = [
    "verl.parquet",
    "verl_old.parquet",
    "verl_bytes.parquet",
    "trl.parquet",
    "odd.parquet",
    "trl.jsonl",
    "openai.jsonl",
    "easy_r1.json",
    "llava.json",
    "pairs_trl.parquet",
    "pairs_llama_factory.json",
];

/// Cases of the damage test: `PERCEPT_DAMAGE_CASES`, or a few.
fn cases() -> u32 {
    let given = std::env::var("PERCEPT_DAMAGE_CASES").ok();
    given.and_then(|n| n.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn random_damage_never_panics(
        file in prop::sample::select(&FILES[..]),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = fixture(file);
        for (at, byte, in_footer) in hits {
            // Half of the hits go to the end, where Parquet keeps its schema and offsets.
            let from = if in_footer { bytes.len().saturating_sub(2000) } else { 0 };
            let at = from + at.index(bytes.len() - from);
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let folder = Folder::new();
        if let Ok(data) = open_as(folder.file(file, &bytes), &ColumnMap::default()) {
            for i in 0..data.len().min(20) {
                if let Ok(sample) = data.get(i) {
                    let rejected = sample.preference.iter().flat_map(|pair| &pair.rejected_images);
                    let images = sample.images.iter().chain(rejected.flatten());
                    images.for_each(|image| drop(image.decode()));
                }
            }
        }
    }

    #[test]
    fn random_bytes_are_no_image(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Media::from_bytes(bytes).decode().is_err());
    }
}
