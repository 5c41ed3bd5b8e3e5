//! From a row of a file to a [`Sample`](crate::Sample): the conventions of the field, told apart by their columns.

pub(crate) mod columns;
pub(crate) mod conversation;
pub(crate) mod objects;
pub(crate) mod padding;
pub(crate) mod placement;
pub(crate) mod read;
pub(crate) mod roles;
pub(crate) mod tool_calls;
pub(crate) mod unread;
