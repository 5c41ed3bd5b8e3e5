//! JSON files: an array of rows, or an object whose `data` is one. The elements are indexed by
//! their offsets in one pass that only balances brackets; each is parsed when asked for.

use std::io::BufRead;
use std::path::Path;

use crate::Error;
use crate::formats::jsonl::{Extent, Indexed, extent, lines, skip_bom};
use crate::formats::random_file::{RandomFile, unreadable};

/// Opens a `.json` file; one that holds JSON Lines is read as such.
pub(crate) fn open(path: &Path) -> Result<Indexed, Error> {
    let file = RandomFile::open(path)?;
    let rows = match file.scan(|reader| elements(reader))? {
        Some(rows) => rows,
        None => file.scan(|reader| lines(reader))?,
    };
    Ok(Indexed::new(file, rows))
}

/// Extents of the elements, or `None` when the file is not an array and has no `data` array.
pub(crate) fn elements(reader: &mut impl BufRead) -> Result<Option<Vec<Extent>>, Error> {
    let at = skip_bom(reader)?;
    let mut scanner = Scanner { reader, at };
    match scanner.peek_token()? {
        Some(b'[') => {
            let rows = scanner.array()?;
            match scanner.peek_token()? {
                None => Ok(Some(rows)),
                Some(byte) => Err(Error::file("text follows the end of the JSON array")
                    .found(quote(byte))
                    .help("for one JSON object per line, name the file .jsonl")),
            }
        }
        Some(b'{') => scanner.data_array(),
        Some(byte) => Err(Error::file("not a JSON data set")
            .found(quote(byte))
            .expected("an array of rows or {\"data\": […]}")),
        None => Err(Error::file("data file is empty")),
    }
}

fn quote(byte: u8) -> String {
    format!("'{}'", byte.escape_ascii())
}

/// A cursor that skips JSON values without looking into them.
struct Scanner<'a, R> {
    reader: &'a mut R,
    at: u64,
}

impl<R: BufRead> Scanner<'_, R> {
    fn peek(&mut self) -> Result<Option<u8>, Error> {
        Ok(self.reader.fill_buf().map_err(unreadable)?.first().copied())
    }

    fn bump(&mut self) {
        self.reader.consume(1);
        self.at += 1;
    }

    /// The next byte that is not white space, not consumed.
    fn peek_token(&mut self) -> Result<Option<u8>, Error> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.bump();
        }
        Ok(None)
    }

    /// At `[`: the extents of the elements, up to and with `]`.
    fn array(&mut self) -> Result<Vec<Extent>, Error> {
        self.bump();
        let mut rows = Vec::new();
        if self.peek_token()? == Some(b']') {
            self.bump();
            return Ok(rows);
        }
        loop {
            let number = rows.len() + 1;
            let broken = |what: &str| Error::file(format!("{what} at row {number}"));
            self.peek_token()?;
            let start = self.at;
            if !self.skip_value()? {
                return Err(broken("JSON array breaks off").help("the file is truncated"));
            }
            rows.push(extent(start, self.at, number)?);
            let next = self.peek_token()?;
            if next.is_some() {
                self.bump();
            }
            match next {
                Some(b',') => {}
                Some(b']') => return Ok(rows),
                Some(byte) => {
                    return Err(broken("JSON array is malformed")
                        .found(quote(byte))
                        .expected("',' or ']' behind the row"));
                }
                None => return Err(broken("JSON array breaks off").help("the file is truncated")),
            }
        }
    }

    /// At `{`: the elements of its `data` array, if it has one.
    fn data_array(&mut self) -> Result<Option<Vec<Extent>>, Error> {
        self.bump();
        loop {
            if self.peek_token()? != Some(b'"') {
                return Ok(None);
            }
            let key = self.key()?;
            if self.peek_token()? != Some(b':') {
                return Ok(None);
            }
            self.bump();
            if self.peek_token()? == Some(b'[') && key == b"data" {
                return self.array().map(Some);
            }
            if !self.skip_value()? || self.peek_token()? != Some(b',') {
                return Ok(None);
            }
            self.bump();
        }
    }

    /// At `"`: the bytes of a short key; a long one comes back cut.
    fn key(&mut self) -> Result<Vec<u8>, Error> {
        let mut key = Vec::new();
        self.bump();
        while let Some(byte) = self.peek()? {
            self.bump();
            match byte {
                b'"' => break,
                b'\\' => self.bump(),
                _ if key.len() < 16 => key.push(byte),
                _ => {}
            }
        }
        Ok(key)
    }

    /// Skips one value; `false` when the file ends inside it or nothing is there.
    fn skip_value(&mut self) -> Result<bool, Error> {
        let start = self.at;
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        loop {
            let chunk = self.reader.fill_buf().map_err(unreadable)?;
            if chunk.is_empty() {
                return Ok(false);
            }
            for (i, &byte) in chunk.iter().enumerate() {
                let mut ends_behind = false;
                if in_text {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => {
                            in_text = false;
                            ends_behind = depth == 0;
                        }
                        _ => {}
                    }
                } else {
                    match byte {
                        b'"' => in_text = true,
                        b'[' | b'{' => depth += 1,
                        b']' | b'}' if depth > 0 => {
                            depth -= 1;
                            ends_behind = depth == 0;
                        }
                        b']' | b'}' | b',' if depth == 0 => {
                            self.reader.consume(i);
                            self.at += i as u64;
                            return Ok(self.at > start);
                        }
                        _ => {}
                    }
                }
                if ends_behind {
                    self.reader.consume(i + 1);
                    self.at += i as u64 + 1;
                    return Ok(true);
                }
            }
            let used = chunk.len();
            self.reader.consume(used);
            self.at += used as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn texts(text: &str, capacity: usize) -> Option<Vec<&str>> {
        let mut reader = BufReader::with_capacity(capacity, text.as_bytes());
        let rows = elements(&mut reader).unwrap()?;
        let cut = |r: &Extent| &text[r.start as usize..r.start as usize + r.len as usize];
        Some(rows.iter().map(cut).collect())
    }

    #[test]
    fn elements_are_found_whatever_the_buffer_size() {
        let rows = [r#"{"a": "]},\" {["}"#, r#"{"b": [1, {"c": 2}]}"#];
        let array = format!(" [{},\n {}\n] ", rows[0], rows[1]);
        let wrapped = format!(r#"{{"version": [1], "data": {array}, "x": 1}}"#);
        for capacity in 3..60 {
            assert_eq!(texts(&array, capacity).unwrap(), rows);
            assert_eq!(texts(&wrapped, capacity).unwrap(), rows);
        }
    }

    #[test]
    fn an_object_without_data_is_left_to_jsonl() {
        assert_eq!(texts("{\"a\": 1}\n{\"a\": 2}", 8), None);
        assert_eq!(texts("[]", 8).unwrap(), Vec::<&str>::new());
    }
}
