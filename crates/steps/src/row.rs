//! One decision.

use serde::{Deserialize, Serialize};

/// A decision about one thing: kept, with what was decided, or dropped, with the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row<T> {
    /// What it is about, unique in its step.
    pub id: String,
    /// What was decided.
    #[serde(default = "nothing", skip_serializing_if = "Option::is_none")]
    pub kept: Option<T>,
    /// Why it goes no further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
}

fn nothing<T>() -> Option<T> {
    None
}

impl<T> Row<T> {
    /// Goes on.
    pub fn kept(id: impl Into<String>, decided: T) -> Self {
        Self {
            id: id.into(),
            kept: Some(decided),
            dropped: None,
        }
    }

    /// Goes no further.
    pub fn dropped(id: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            kept: None,
            dropped: Some(reason.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_either_kept_or_dropped_and_read_back() {
        let kept = Row::kept("a:dog", vec![1, 2]);
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(text, r#"{"id":"a:dog","kept":[1,2]}"#);
        assert_eq!(serde_json::from_str::<Row<Vec<i32>>>(&text).unwrap(), kept);
        let dropped: Row<Vec<i32>> = Row::dropped("a:dog", "too small");
        let text = serde_json::to_string(&dropped).unwrap();
        assert_eq!(text, r#"{"id":"a:dog","dropped":"too small"}"#);
        assert_eq!(
            serde_json::from_str::<Row<Vec<i32>>>(&text).unwrap(),
            dropped
        );
    }
}
