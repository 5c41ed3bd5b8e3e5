//! Tokens that a tokenizer has besides those of tokenizer.json.
//!
//! Fine-tuned models name new tokens in tokenizer_config.json (`added_tokens_decoder`), older ones in
//! added_tokens.json and special_tokens_map.json. transformers adds what tokenizer.json does not know, in the order of
//! the ids; without them such a token would be cut into pieces that the model never saw.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::Value;
use tokenizers::{AddedToken, Tokenizer};

use crate::Error;
use crate::processor::errors::bad;
use crate::processor::files::json_file;

/// Fields that name special tokens.
const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];
/// Fields that list them: two names of one thing, by the version of transformers.
const LISTED: [&str; 2] = ["additional_special_tokens", "extra_special_tokens"];

/// Adds what the folder's other files declare. `vocab_size` is the number of the model's embeddings, where it is known.
pub(crate) fn add(
    tokenizer: &mut Tokenizer,
    dir: &Path,
    tokenizer_config: &Value,
    vocab_size: Option<u64>,
) -> Result<(), Error> {
    let map = json_file(&dir.join("special_tokens_map.json"))?.unwrap_or_default();
    let special = special_tokens(&[tokenizer_config, &map]);
    let is_special: HashSet<&str> = special.iter().map(|token| token.content.as_str()).collect();
    let mut declared = BTreeMap::new();
    let path = dir.join("added_tokens.json");
    for (content, id) in object(&json_file(&path)?.unwrap_or_default()) {
        let special = is_special.contains(content.as_str());
        let token = AddedToken::from(content.clone(), special);
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let message = || bad(path.display(), format!("{content:?} has no token id"));
        declared.insert(id.ok_or_else(message)?, (token, "added_tokens.json"));
    }
    for (id, token) in object(&tokenizer_config["added_tokens_decoder"]) {
        let file = dir.join("tokenizer_config.json");
        let (Ok(id), Some(token)) = (id.parse(), added_token(token)) else {
            let message = format!("added_tokens_decoder.{id}: found {token}, expected a token");
            return Err(bad(file.display(), message));
        };
        declared.insert(id, (token, "tokenizer_config.json"));
    }
    let there = tokenizer.get_added_tokens_decoder();
    for (id, (token, file)) in declared {
        // Each addition builds the search tree of all tokens again.
        let same = |there: &AddedToken| there == &token && there.special == token.special;
        if there.get(&id).is_some_and(same) {
            continue;
        }
        declare(tokenizer, &token, id).map_err(|message| bad(dir.join(file).display(), message))?;
    }
    let known: HashSet<String> = tokenizer
        .get_added_tokens_decoder()
        .into_values()
        .map(|token| token.content)
        .collect();
    for token in special {
        // A name without an id, and no row left in the model's table: transformers gives it an id that the model cannot
        // look up. It stays text.
        let room = vocab_size.is_none_or(|rows| (tokenizer.get_vocab_size(true) as u64) < rows);
        let room = room || tokenizer.token_to_id(&token.content).is_some();
        if !known.contains(&token.content) && room {
            tokenizer.add_special_tokens(&[token]);
        }
    }
    Ok(())
}

/// Adds one token, which must get the id that the file says.
fn declare(tokenizer: &mut Tokenizer, token: &AddedToken, id: u32) -> Result<(), String> {
    let before = tokenizer.token_to_id(&token.content);
    match token.special {
        true => tokenizer.add_special_tokens(std::slice::from_ref(token)),
        false => tokenizer.add_tokens(std::slice::from_ref(token)),
    };
    let found = tokenizer.token_to_id(&token.content);
    if found == Some(id) {
        return Ok(());
    }
    let content = &token.content;
    let found = found.map_or("none".into(), |id| id.to_string());
    let why = match before {
        Some(_) => "tokenizer.json has it under another id",
        None => "ids between those of tokenizer.json and this one are missing",
    };
    Err(format!(
        "{content:?} has id {id} here and would get {found}: {why}\n  help: save the tokenizer once with \
         transformers' AutoTokenizer.save_pretrained, which writes all tokens into tokenizer.json"
    ))
}

/// The special tokens that the files name, each once.
fn special_tokens(files: &[&Value]) -> Vec<AddedToken> {
    let mut out: Vec<AddedToken> = Vec::new();
    let named = |file: &Value| {
        let one = NAMED.iter().map(|field| file[*field].clone());
        let many = LISTED.iter().flat_map(|field| match &file[*field] {
            Value::Array(list) => list.clone(),
            Value::Object(map) => map.values().cloned().collect(),
            _ => Vec::new(),
        });
        one.chain(many).collect::<Vec<Value>>()
    };
    for value in files.iter().flat_map(|file| named(file)) {
        let token = match value {
            Value::String(content) => Some(AddedToken::from(content, true)),
            value => added_token(&value).map(|token| token.special(true)),
        };
        // Equal tokens have equal content.
        out.extend(token.filter(|token| !token.content.is_empty() && !out.contains(token)));
    }
    out
}

/// `{"content": …, "lstrip": …, …}`.
fn added_token(value: &Value) -> Option<AddedToken> {
    let flag = |name: &str| value[name].as_bool();
    let special = flag("special").unwrap_or(false);
    let mut token = AddedToken::from(value["content"].as_str()?, special);
    token.single_word = flag("single_word").unwrap_or(false);
    token.lstrip = flag("lstrip").unwrap_or(false);
    token.rstrip = flag("rstrip").unwrap_or(false);
    token.normalized = flag("normalized").unwrap_or(!special);
    Some(token)
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
