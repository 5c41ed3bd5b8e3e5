//! Files that were made to do harm: each is refused in words that name the row, within seconds, and in bounded memory.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use percept_data::{ColumnMap, Dataset, Error, FileDataset, Media, Sample, Video, VideoSampling};

fn dataset(path: PathBuf, images: Option<&Path>) -> FileDataset {
    FileDataset::open(&[path], &ColumnMap::default(), images).unwrap()
}

/// The only row of a JSONL file with this content.
fn row(folder: &Path, line: &str) -> Result<Sample, Error> {
    let path = folder.join("x.jsonl");
    std::fs::write(&path, line).unwrap();
    dataset(path, None).get(0)
}

fn png() -> Vec<u8> {
    Media::from_image(image::RgbImage::new(2, 3))
        .encoded()
        .unwrap()
        .to_vec()
}

/// A GIF of a picture of `size` with frames at these places.
fn gif(size: [u16; 2], frames: &[[u16; 4]]) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend(size.iter().flat_map(|side| side.to_le_bytes()));
    bytes.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    for frame in frames {
        bytes.push(0x2c);
        bytes.extend(frame.iter().flat_map(|side| side.to_le_bytes()));
        // No colours of its own; codes of two bits: clear, 0, end.
        bytes.extend([0, 2, 2, 0x4c, 1, 0]);
    }
    bytes.push(0x3b);
    bytes
}

/// H3: 35 bytes that asked for 17 GB.
#[test]
fn a_frame_outside_of_its_picture_is_refused_with_its_row() {
    let folder = tempfile::tempdir().unwrap();
    for frame in [
        [0, 0, 65_535, 65_535],
        [1, 0, 1, 1],
        [65_535, 65_535, 1, 1],
        [0, 0, 2, 1],
    ] {
        let bytes = gif([1, 1], &[[0, 0, 1, 1], frame]);
        std::fs::write(folder.path().join("x.gif"), &bytes).unwrap();
        let line = r#"{"prompt": "<video>", "videos": ["x.gif"]}"#;
        let message = row(folder.path(), line).unwrap_err().to_string();
        assert!(message.contains("x.jsonl:1, videos[0]"), "{message}");
        assert!(message.contains("GIF frame 2 reaches outside"), "{message}");
        assert!(Video::from_bytes(&bytes, &VideoSampling::default()).is_err());
    }
    let whole = gif([4, 4], &[[0, 0, 4, 4], [3, 3, 1, 1]]);
    let video = Video::from_bytes(&whole, &VideoSampling::default()).unwrap();
    assert_eq!(video.frames.len(), 2);
}

/// H3: as a picture, a GIF whose first frame is larger than the picture asks for no more than the limit.
#[test]
fn a_picture_asks_for_no_more_than_the_limit() {
    let bomb = gif([1, 1], &[[0, 0, 65_535, 65_535]]);
    let message = Media::from_bytes(bomb).decode().unwrap_err().to_string();
    assert!(message.contains("too large"), "{message}");
}

#[test]
fn an_animation_of_too_many_frames_is_refused() {
    let frames = vec![[0, 0, 1, 1]; 60_000];
    let message = Video::from_bytes(&gif([1, 1], &frames), &VideoSampling::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("too many frames (found 60000"),
        "{message}"
    );
}

/// Hashing every frame read the whole file for every frame: 50 000 frames were 50 000 times 17 bytes times 50 000.
#[test]
fn hashing_an_animation_is_linear_in_its_frames() {
    let all = VideoSampling {
        nframes: Some(50_000.0),
        ..VideoSampling::default()
    };
    let video = Video::from_bytes(&gif([1, 1], &vec![[0, 0, 1, 1]; 50_000]), &all).unwrap();
    let start = std::time::Instant::now();
    let hashes: std::collections::HashSet<_> =
        video.frames.iter().map(|f| f.hash().unwrap()).collect();
    assert_eq!(hashes.len(), 50_000);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

/// H2: a row may name any file; it leaves only from the data file's folder, the images' folder, or one that was allowed.
#[test]
fn images_leave_only_from_their_folder() {
    let root = tempfile::tempdir().unwrap();
    let (data, images, other) = (
        root.path().join("data"),
        root.path().join("images"),
        root.path().join("other"),
    );
    for folder in [&data, &images, &other] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("x.png"), png()).unwrap();
    }
    let outside = other.join("x.png").display().to_string();
    let line = |path: &str| format!(r#"{{"prompt": "<image>", "images": ["{path}"]}}"#);
    let mut bad = vec![
        "../other/x.png".to_owned(),
        format!("file://{outside}"),
        outside,
    ];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(other.join("x.png"), data.join("link.png")).unwrap();
        std::os::unix::fs::symlink(&other, data.join("folder")).unwrap();
        bad.extend(["link.png".to_owned(), "folder/x.png".to_owned()]);
    }
    for path in &bad {
        let mut sample = row(&data, &line(path)).unwrap();
        // Training reads it: nothing leaves.
        assert_eq!(sample.images[0].decode().unwrap().dimensions(), (2, 3));
        let message = sample.images[0].outgoing().unwrap_err().to_string();
        assert!(message.contains("x.jsonl:1, images[0]"), "{message}");
        assert!(message.contains("outside the folders"), "{message}");
        sample.allow_images(std::slice::from_ref(&other));
        assert_eq!(sample.images[0].outgoing().unwrap()[..], png()[..]);
    }
    let inside = data.join("../data/x.png").display().to_string();
    for path in ["x.png", "./x.png", "../data/x.png", &inside] {
        let sample = row(&data, &line(path)).unwrap();
        assert_eq!(sample.images[0].outgoing().unwrap()[..], png()[..]);
    }
    let with_folder = dataset(data.join("x.jsonl"), Some(&images)).get(0).unwrap();
    assert!(with_folder.images[0].outgoing().is_ok());
    // What the user names is the user's choice.
    assert!(Media::from_path(other.join("x.png")).outgoing().is_ok());
}

/// H2: what is no image does not leave, wherever it lies.
#[test]
fn only_images_leave() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.png"), "-----BEGIN PRIVATE KEY-----").unwrap();
    let sample = row(
        folder.path(),
        r#"{"prompt": "<image>", "images": ["key.png"]}"#,
    )
    .unwrap();
    let message = sample.images[0].outgoing().unwrap_err().to_string();
    assert!(message.contains("not an image"), "{message}");
}

/// H2: frames of an animation are as much from outside as the animation.
#[test]
fn frames_leave_only_from_where_their_animation_may() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(root.path().join("x.gif"), gif([1, 1], &[[0, 0, 1, 1]; 2])).unwrap();
    let line = r#"{"prompt": "<video>", "videos": ["../x.gif"]}"#;
    let mut sample = row(&data, line).unwrap();
    assert!(sample.videos[0].frames[1].decode().is_ok());
    assert!(sample.videos[0].frames[1].outgoing().is_err());
    sample.allow_images(&[root.path().to_owned()]);
    assert!(sample.videos[0].frames[1].outgoing().is_ok());
}

/// A named pipe made every command wait for a writer that never comes.
#[cfg(unix)]
#[test]
fn a_named_pipe_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let message = match FileDataset::open(&[pipe], &ColumnMap::default(), None) {
        Ok(_) => panic!("a pipe was opened"),
        Err(error) => error.to_string(),
    };
    assert!(
        message.contains("no regular file (found a named pipe"),
        "{message}"
    );
    let line = r#"{"prompt": "<image>", "images": ["pipe.jsonl"]}"#;
    let sample = row(folder.path(), line).unwrap();
    let message = sample.images[0].decode().unwrap_err().to_string();
    assert!(message.contains("x.jsonl:1, images[0]"), "{message}");
    assert!(sample.images[0].dimensions().is_err() && sample.images[0].hash().is_err());
}

/// M4: a Parquet file whose schema is 20 000 groups inside each other ended the process.
#[test]
fn a_parquet_schema_without_an_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let groups: usize = 20_000;
    let mut footer = vec![0x15, 2, 0x19, 0xfc];
    footer.extend([
        (groups & 0x7f) as u8 | 0x80,
        (groups >> 7 & 0x7f) as u8 | 0x80,
        (groups >> 14) as u8,
    ]);
    for _ in 0..groups {
        footer.extend([0x48, 1, b'a', 0x15, 2, 0]);
    }
    footer.extend([0x16, 0, 0]);
    let mut file = b"PAR1".to_vec();
    file.extend(&footer);
    file.extend((footer.len() as u32).to_le_bytes());
    file.extend(b"PAR1");
    let path = folder.path().join("deep.parquet");
    std::fs::write(&path, file).unwrap();
    let message = match FileDataset::open(&[path], &ColumnMap::default(), None) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    };
    assert!(message.contains("nested groups"), "{message}");
    assert!(message.contains("deep.parquet"), "{message}");
}

/// A dictionary of one long text that every row repeats: 100 MB, in a file of some kilobytes, a thousand times over.
#[test]
fn a_row_group_that_decodes_to_more_than_memory_is_refused() {
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.parquet");
    let schema = "message m { required binary prompt (UTF8); }";
    let schema = parquet::schema::parser::parse_message_type(schema).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .set_dictionary_page_size_limit(64 << 20)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
        .build();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema.into(), properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let text = ByteArray::from(vec![b'a'; 16 << 20]);
    for _ in 0..20 {
        let rows = vec![text.clone(); 50];
        column
            .typed::<ByteArrayType>()
            .write_batch(&rows, None, None)
            .unwrap();
    }
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    assert!(path.metadata().unwrap().len() < 20 << 20);
    let data = dataset(path, None);
    let message = data.get(7).unwrap_err().to_string();
    assert!(message.contains("are read at once"), "{message}");
    assert!(message.contains("bomb.parquet:8"), "{message}");
}

/// Outlines and sizes of an annotation file that asked for hours or for all memory.
#[test]
fn outlines_and_sizes_of_annotations_are_bounded() {
    use percept_data::coco::Mask;
    let zigzag: Vec<f64> = (0..40_000)
        .flat_map(|at| [if at % 2 == 0 { -1e6 } else { 1e6 }, f64::from(at)])
        .collect();
    let start = std::time::Instant::now();
    let refused = Mask::from_polygons(&[zigzag], 640, 480)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("too long to be drawn"), "{refused}");
    for (width, height) in [(u32::MAX, u32::MAX), (1 << 20, 1 << 20)] {
        let triangle = vec![vec![0.0, 0.0, 1.0, 0.0, 1.0, 1.0]];
        assert!(Mask::from_polygons(&triangle, width, height).is_err());
        assert!(Mask::from_counts(&[u32::MAX], width, height).is_err());
    }
    let whole = u32::MAX / 65_535;
    assert!(Mask::from_counts(&[whole * 65_535], whole, 65_535).is_err());
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
