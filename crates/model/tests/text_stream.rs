//! Streamed text against decoding all at once, with a byte-level tokenizer
//! (`tools/processor_goldens.py`), whose tokens may be half a character.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use percept_model::{Processor, TinyConfig};
use proptest::prelude::*;

fn byte_level() -> Processor {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/processor");
    Processor::load(&folder).unwrap()
}

fn stream(processor: &Processor, tokens: &[u32]) -> Vec<String> {
    let mut stream = processor.text_stream();
    let mut out: Vec<String> = tokens.iter().map(|&token| stream.push(token)).collect();
    out.push(stream.finish());
    out
}

#[test]
fn characters_come_whole() {
    let processor = byte_level();
    let text = "naïve 漢字 🙂 \\boxed{7}.";
    let tokens = processor.encode(text).unwrap();
    let pieces = stream(&processor, &tokens);
    assert_eq!(pieces.concat(), text);
    assert!(
        pieces.iter().all(|piece| !piece.contains('\u{FFFD}')),
        "{pieces:?}"
    );
    // The emoji has four bytes, none of which is a token with another.
    assert!(pieces.iter().filter(|piece| piece.is_empty()).count() > 3);
}

#[test]
fn special_tokens_say_nothing() {
    let processor = byte_level();
    let tokens = processor.encode("a<|im_end|>b<|im_end|>").unwrap();
    assert_eq!(stream(&processor, &tokens), ["a", "", "b", "", ""]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_tokens_stream_to_what_they_decode_to(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let tiny = Processor::tiny(&TinyConfig::default()).unwrap();
        for processor in [byte_level(), tiny] {
            let tokens: Vec<u32> =
                picks.iter().map(|pick| pick.index(processor.vocab_size()) as u32).collect();
            prop_assert_eq!(stream(&processor, &tokens).concat(), processor.decode(&tokens));
        }
    }
}
