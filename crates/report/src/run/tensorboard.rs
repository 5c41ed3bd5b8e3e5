//! TensorBoard event files: TFRecord frames around protobuf `Event` messages, encoded by hand
//! (three messages, five fields).
//!
//! Formats: `tensorflow/core/lib/io/record_writer.h` (frame: length, its CRC, data, its CRC;
//! CRC-32C rotated and offset), `tensorboard/compat/proto/event.proto` and `summary.proto`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use percept_base::files::list_dir;

use crate::{Error, Row, RunDir};

const PREFIX: &str = "events.out.tfevents.";

/// Writes scalars that TensorBoard shows, one file per start or resume of a run.
#[derive(Debug)]
pub struct TensorBoardWriter {
    file: File,
    path: PathBuf,
}

impl TensorBoardWriter {
    /// Starts a new event file in `tensorboard/`. Given the step of the checkpoint from which a
    /// run goes on, TensorBoard is told to drop what earlier files say about later steps.
    pub fn open(run: &RunDir, resume_at_step: Option<u64>) -> Result<Self, Error> {
        let folder = run.tensorboard();
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let path = folder.join(next_name(&list_dir(&folder)?, now() as u64));
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("write", &path))?;
        let mut writer = Self { file, path };
        writer.append(&event(now(), 0, 3, b"brain.Event:2"))?;
        if let Some(step) = resume_at_step {
            const START: u64 = 1;
            let mut session = Vec::new();
            varint_field(&mut session, 1, START);
            writer.append(&event(now(), step + 1, 7, &session))?;
        }
        Ok(writer)
    }

    /// Appends the finite values of a row; TensorBoard cannot plot the others.
    pub fn write(&mut self, row: &Row) -> Result<(), Error> {
        let mut summary = Vec::new();
        for (tag, value) in row.values.iter().filter(|(_, value)| value.is_finite()) {
            let mut entry = Vec::new();
            bytes_field(&mut entry, 1, tag.as_bytes());
            entry.push(2 << 3 | 5);
            entry.extend((*value as f32).to_le_bytes());
            bytes_field(&mut summary, 1, &entry);
        }
        self.append(&event(now(), row.step, 5, &summary))
    }

    fn append(&mut self, event: &[u8]) -> Result<(), Error> {
        self.file
            .write_all(&frame(event))
            .map_err(Error::io("write", &self.path))
    }
}

/// TensorBoard reads files in the order of their names, so a new one must sort last, whatever
/// the clock says.
fn next_name(existing: &[String], now: u64) -> String {
    let stamp = |name: &String| -> Option<(u64, u64)> {
        let (seconds, rest) = name.strip_prefix(PREFIX)?.split_once('.')?;
        let count = rest
            .rsplit_once('.')
            .and_then(|(_, count)| count.parse().ok());
        Some((seconds.parse().ok()?, count.unwrap_or(0)))
    };
    let last = existing.iter().filter_map(stamp).max();
    let (seconds, count) = match last {
        Some((seconds, count)) if seconds >= now => (seconds, count + 1),
        _ => (now, 0),
    };
    format!("{PREFIX}{seconds:010}.percept.{count:04}")
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

/// `Event { wall_time = 1, step = 2, <field> = <body> }`.
fn event(wall_time: f64, step: u64, field: u64, body: &[u8]) -> Vec<u8> {
    let mut out = vec![1 << 3 | 1];
    out.extend(wall_time.to_le_bytes());
    varint_field(&mut out, 2, step);
    bytes_field(&mut out, field, body);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_field(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn bytes_field(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc(data).to_le_bytes());
    out
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), bit by bit: events are small.
fn crc32c(data: &[u8]) -> u32 {
    let update = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    };
    !data.iter().fold(!0, update)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (step, tag, value) of all scalars, checking every checksum on the way.
    fn decode(mut bytes: &[u8]) -> Vec<(u64, String, f32)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let data = &bytes[12..12 + length];
            assert_eq!(frame(data), bytes[..16 + length]);
            let fields = fields(data);
            let step = fields.iter().find(|f| f.0 == 2).map_or(0, |f| f.1);
            for (_, _, summary) in fields.iter().filter(|f| f.0 == 5) {
                for (_, _, value) in self::fields(summary) {
                    let value = self::fields(value);
                    let tag = String::from_utf8(value[0].2.to_vec()).unwrap();
                    found.push((step, tag, f32::from_bits(value[1].1 as u32)));
                }
            }
            bytes = &bytes[16 + length..];
        }
        found
    }

    /// Protobuf wire format: (field, number, bytes).
    fn fields(mut data: &[u8]) -> Vec<(u64, u64, &[u8])> {
        fn varint(data: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = data[0];
                *data = &data[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        let mut found = Vec::new();
        while !data.is_empty() {
            let key = varint(&mut data);
            let (number, bytes) = match key & 7 {
                0 => (varint(&mut data), 0),
                1 => (u64::from_le_bytes(data[..8].try_into().unwrap()), 8),
                5 => (
                    u64::from(u32::from_le_bytes(data[..4].try_into().unwrap())),
                    4,
                ),
                _ => (0, varint(&mut data) as usize),
            };
            found.push((key >> 3, number, &data[..bytes]));
            data = &data[bytes..];
        }
        found
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn scalars_come_back_and_those_that_are_not_finite_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path()).unwrap();
        let mut writer = TensorBoardWriter::open(&run, None).unwrap();
        let values = vec![
            ("reward/mean".to_string(), 0.25),
            ("kl".to_string(), f64::NAN),
            ("loss".to_string(), -1.5),
        ];
        writer
            .write(&Row {
                step: 300,
                values,
                ..Row::default()
            })
            .unwrap();
        let expected = [
            (300, "reward/mean".to_string(), 0.25),
            (300, "loss".to_string(), -1.5),
        ];
        assert_eq!(decode(&std::fs::read(&writer.path).unwrap()), expected);
    }

    #[test]
    fn files_sort_in_the_order_in_which_they_were_started_even_if_the_clock_goes_back() {
        let mut names = Vec::new();
        for clock in [1_700_000_000, 1_700_000_000, 1_600_000_000, 1_800_000_000] {
            let name = next_name(&names, clock);
            assert!(
                names.last().is_none_or(|last| *last < name),
                "{names:?} {name}"
            );
            names.push(name);
        }
    }
}
