//! The exported world is read back as it was made.
#![allow(clippy::unwrap_used)]

use image::AnimationDecoder;
use image::codecs::gif::GifDecoder;
use percept_data::crawlers::{CrawlersConfig, Side, clip, export_clips, export_frames};
use percept_data::{ColumnMap, Dataset, FileDataset};

#[test]
fn rows_of_frames_are_rows_that_training_reads() {
    let folder = tempfile::tempdir().unwrap();
    let config = CrawlersConfig::default();
    let path = export_frames(&config, 30, folder.path()).unwrap();
    let rows = FileDataset::open(&[path], &ColumnMap::default(), None).unwrap();
    assert_eq!(rows.len(), 30);
    for index in 0..30 {
        let sample = rows.get(index).unwrap();
        let bytes = sample.images[0].encoded().unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (112, 56));
        let side = if index % 2 == 0 { Side::A } else { Side::B };
        let shown = clip(&config, index / 2, side).unwrap();
        let time = sample.meta["time_s"].as_f64().unwrap();
        assert_eq!(picture, shown.image(time));
        let names: Vec<&str> = shown
            .labels(time)
            .iter()
            .map(|label| label.name())
            .collect();
        assert_eq!(sample.meta["labels"], serde_json::json!(names));
        let response = sample.expert.unwrap();
        assert!(
            names
                .iter()
                .all(|name| response.contains(&format!("\"{name}\"")))
        );
    }
}

#[test]
fn clips_have_every_frame_at_its_time_in_about_its_colours() {
    let folder = tempfile::tempdir().unwrap();
    let config = CrawlersConfig {
        duration_s: 1.0,
        ..CrawlersConfig::default()
    };
    let table = export_clips(&config, 3, folder.path()).unwrap();
    let table = std::fs::read_to_string(table).unwrap();
    assert_eq!(table.lines().count(), 4);
    let line: Vec<&str> = table.lines().nth(2).unwrap().split(',').collect();
    let shown = clip(&config, 1, Side::A).unwrap();
    assert_eq!(line[4], shown.prompt());
    let file = std::fs::File::open(folder.path().join(line[0])).unwrap();
    let frames = GifDecoder::new(std::io::BufReader::new(file))
        .unwrap()
        .into_frames();
    let frames = frames.collect_frames().unwrap();
    assert_eq!(frames.len(), 10);
    for (frame, time) in frames.iter().zip(shown.times()) {
        assert_eq!(frame.delay().numer_denom_ms(), (100, 1));
        let drawn = shown.image(time);
        let pairs = frame.buffer().pixels().zip(drawn.pixels());
        let apart: u32 = pairs
            .flat_map(|(a, b)| (0..3).map(move |c| u32::from(a.0[c].abs_diff(b.0[c]))))
            .sum();
        // 256 colours: a few levels on average.
        assert!(apart < 6 * 3 * 112 * 56, "{apart}");
    }
}

#[test]
fn a_world_that_cannot_be_drawn_is_refused_by_field() {
    let refused = |change: fn(&mut CrawlersConfig)| {
        let mut config = CrawlersConfig::default();
        change(&mut config);
        clip(&config, 0, Side::A).unwrap_err().to_string()
    };
    assert!(refused(|c| c.difficulty = 1.5).contains("crawlers.difficulty"));
    assert!(refused(|c| c.scale = 0).contains("crawlers.scale"));
    assert!(refused(|c| c.fps = 30.0).contains("crawlers.fps"));
    assert!(refused(|c| c.duration_s = f64::NAN).contains("crawlers.duration_s"));
    assert!(refused(|c| c.onset_s = -1.0).contains("crawlers.onset_s"));
}
