//! Walking a footer without believing it.
//!
//! Of `FileMetaData` only the schema (field 2) is looked at: a list of `SchemaElement` in the order of a walk through the
//! tree, each with the number of its children (field 5). Everything else is skipped, with its lengths checked against
//! what is there.

/// Levels of groups in a schema: a list in a struct in a list has 6.
const MAX_LEVELS: usize = 64;

/// Levels of values in the footer itself; those of the format have about 8.
const MAX_DEPTH: usize = 32;

/// Checks lengths and depths.
pub(crate) fn check(footer: &[u8]) -> Result<(), String> {
    let mut walk = Walk {
        rest: footer,
        children: Vec::new(),
    };
    walk.structure(Place::Metadata, 0)?;
    levels(&walk.children)
}

/// How deep the tree is that these numbers of children make.
fn levels(children: &[i64]) -> Result<(), String> {
    // Children of each open group that have not come yet.
    let mut open: Vec<i64> = Vec::new();
    for &count in children {
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if count > 0 {
            open.push(count);
        }
        if open.len() > MAX_LEVELS {
            return Err(format!("a schema of more than {MAX_LEVELS} nested groups"));
        }
    }
    Ok(())
}

/// Where a value stands, as far as it matters.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Metadata,
    SchemaElement,
    Elsewhere,
}

struct Walk<'a> {
    rest: &'a [u8],
    /// Of every element of the schema.
    children: Vec<i64>,
}

impl Walk<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        let (&byte, rest) = self.rest.split_first().ok_or("its footer breaks off")?;
        self.rest = rest;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for group in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number in its footer is too long".into())
    }

    fn skip(&mut self, bytes: u64) -> Result<(), String> {
        let here = self.rest.len();
        let bytes = usize::try_from(bytes).ok().filter(|&bytes| bytes <= here);
        let bytes = bytes.ok_or("a text in its footer is longer than the footer")?;
        self.rest = &self.rest[bytes..];
        Ok(())
    }

    /// Each element has a byte or more.
    fn fits(&self, elements: u64) -> Result<(), String> {
        match elements <= self.rest.len() as u64 {
            true => Ok(()),
            false => Err(format!(
                "a list of {elements} elements in {} bytes of its footer",
                self.rest.len()
            )),
        }
    }

    fn structure(&mut self, place: Place, depth: usize) -> Result<(), String> {
        if place == Place::SchemaElement {
            self.children.push(0);
        }
        let mut id = 0;
        loop {
            let header = self.byte()?;
            let kind = header & 0x0f;
            if kind == 0 {
                return Ok(());
            }
            id = match header >> 4 {
                0 => zigzag(self.number()?),
                more => id + i64::from(more),
            };
            if (1..=2).contains(&kind) {
                continue; // a truth value is in its header
            }
            match (place, id, kind) {
                (Place::SchemaElement, 5, 5) => {
                    let count = zigzag(self.number()?);
                    if let Some(last) = self.children.last_mut() {
                        *last = count;
                    }
                }
                (Place::Metadata, 2, 9) => self.list(Place::SchemaElement, depth + 1)?,
                _ => self.value(kind, Place::Elsewhere, depth + 1)?,
            }
        }
    }

    fn list(&mut self, of: Place, depth: usize) -> Result<(), String> {
        let header = self.byte()?;
        let elements = match header >> 4 {
            15 => self.number()?,
            few => u64::from(few),
        };
        self.fits(elements)?;
        for _ in 0..elements {
            match header & 0x0f {
                // In a list a truth value has a byte.
                1 | 2 => self.skip(1)?,
                kind => self.value(kind, of, depth)?,
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: u8, place: Place, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!(
                "its footer has more than {MAX_DEPTH} nested values"
            ));
        }
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => {
                let bytes = self.number()?;
                self.skip(bytes)
            }
            9 | 10 => self.list(Place::Elsewhere, depth + 1),
            11 => {
                let pairs = self.number()?;
                self.fits(pairs)?;
                if pairs == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                for _ in 0..pairs {
                    self.value(kinds >> 4, Place::Elsewhere, depth + 1)?;
                    self.value(kinds & 0x0f, Place::Elsewhere, depth + 1)?;
                }
                Ok(())
            }
            12 => self.structure(place, depth),
            other => Err(format!("a value of unknown kind {other} in its footer")),
        }
    }
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `FileMetaData` whose schema is groups inside groups, each `{4: name, 5: children}`.
    fn nested(groups: usize) -> Vec<u8> {
        let mut footer = vec![0x15, 2, 0x19, 0xfc];
        let mut count = groups as u64;
        while count >= 0x80 {
            footer.push(count as u8 | 0x80);
            count >>= 7;
        }
        footer.push(count as u8);
        for _ in 0..groups {
            footer.extend([0x48, 1, b'a', 0x15, 2, 0]);
        }
        footer.extend([0x16, 0, 0]);
        footer
    }

    #[test]
    fn the_depth_of_a_schema_is_known_without_descending() {
        assert_eq!(check(&nested(10)), Ok(()));
        for deep in [100, 20_000, 1_000_000] {
            let refused = check(&nested(deep)).unwrap_err();
            assert!(refused.contains("nested groups"), "{refused}");
        }
        // Many columns are wide, not deep.
        assert!(levels(&[&[3][..], &[0, 0, 0]].concat()).is_ok());
        let wide: Vec<i64> = std::iter::once(100_000)
            .chain((0..100_000).map(|_| 0))
            .collect();
        assert!(levels(&wide).is_ok());
    }

    #[test]
    fn lengths_are_those_of_what_is_there() {
        // A list of 2^31 - 1 structs, a text of 2^40 bytes, a struct in a struct in a struct.
        let list = [0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07];
        assert!(check(&list).unwrap_err().contains("a list of 2147483647"));
        let text = [0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
        assert!(check(&text).unwrap_err().contains("longer than the footer"));
        let deep = vec![0x1c; 100_000];
        assert!(check(&deep).unwrap_err().contains("nested values"));
        let lists = vec![0x19; 100_000];
        assert!(check(&lists).is_err());
        assert!(check(&[]).unwrap_err().contains("breaks off"));
    }

    #[test]
    fn no_bytes_make_it_fail_otherwise() {
        let mut state = 1_u64;
        for _ in 0..200_000 {
            let bytes: Vec<u8> = (0..24)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            let _ = check(&bytes);
        }
    }
}
