//! Where the mistakes are: by object, and by the objects of a pair.

use std::collections::BTreeMap;

use serde::Serialize;

use super::question::{Answered, Kind, Tag};

/// Answers about one object, or of pairs with the same objects.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Group {
    /// The object, or `contextual → counterfactual`.
    pub name: String,
    /// Questions about contextual objects and right answers: on originals, on edits.
    pub target: [[usize; 2]; 2],
    /// About absent objects.
    pub absent: [[usize; 2]; 2],
    /// About counterfactual objects.
    pub inpaint: [usize; 2],
}

impl Group {
    fn add(&mut self, row: &Answered) {
        let side = usize::from(row.question.tag == Tag::Inpainted);
        let counts = match row.question.kind {
            Kind::Target => &mut self.target[side],
            Kind::Absent => &mut self.absent[side],
            Kind::Inpaint => &mut self.inpaint,
        };
        counts[0] += 1;
        counts[1] += usize::from(row.is_right());
    }

    /// Accuracy on originals minus that on edits; nothing where a side has no question.
    pub fn cac(&self) -> Option<f64> {
        Some(share(self.target[0])? - share(self.target[1])?)
    }

    /// Accuracy on edits minus that on originals.
    pub fn aac(&self) -> Option<f64> {
        Some(share(self.absent[1])? - share(self.absent[0])?)
    }

    /// Share of denied counterfactual objects.
    pub fn chr(&self) -> Option<f64> {
        Some(1.0 - share(self.inpaint)?)
    }
}

fn share([questions, right]: [usize; 2]) -> Option<f64> {
    (questions > 0).then(|| right as f64 / questions as f64)
}

/// The object of a question: "Is there a red car in the image?" asks about "red car". The whole question
/// where it has another form.
///
/// ```
/// assert_eq!(percept_benchmarks::causal::object_of("Is there an umbrella in the image?"), "umbrella");
/// ```
pub fn object_of(question: &str) -> &str {
    let trimmed = question.trim();
    let found = trimmed
        .strip_prefix("Is there an ")
        .or_else(|| trimmed.strip_prefix("Is there a "))
        .and_then(|rest| rest.split_once(" in the ").or_else(|| rest.split_once('?')));
    found.map_or(trimmed, |(object, _)| object)
}

/// Answers by the object that was asked about, most questions first.
pub fn by_object(rows: &[Answered]) -> Vec<Group> {
    grouped(
        rows.iter()
            .map(|row| (object_of(&row.question.q).to_owned(), row)),
    )
}

/// Answers on edits and their originals' contextual questions by `contextual → counterfactual`, most
/// questions first: which company misleads.
pub fn by_pair(rows: &[Answered]) -> Vec<Group> {
    let mut names: BTreeMap<&str, [Option<&str>; 2]> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.question.tag == Tag::Inpainted) {
        let place = match row.question.kind {
            Kind::Target => 0,
            Kind::Inpaint => 1,
            Kind::Absent => continue,
        };
        names.entry(&row.question.image_name).or_default()[place] =
            Some(object_of(&row.question.q));
    }
    grouped(rows.iter().filter_map(|row| {
        let [contextual, counterfactual] = names.get(row.question.image_name.as_str())?;
        Some((format!("{} → {}", (*contextual)?, (*counterfactual)?), row))
    }))
}

fn grouped<'a>(rows: impl Iterator<Item = (String, &'a Answered)>) -> Vec<Group> {
    let mut groups: BTreeMap<String, (usize, Group)> = BTreeMap::new();
    for (name, row) in rows {
        let (count, group) = groups.entry(name).or_default();
        *count += 1;
        group.add(row);
    }
    let mut groups: Vec<(usize, Group)> = groups
        .into_iter()
        .map(|(name, (count, group))| (count, Group { name, ..group }))
        .collect();
    groups.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    groups.into_iter().map(|(_, group)| group).collect()
}
