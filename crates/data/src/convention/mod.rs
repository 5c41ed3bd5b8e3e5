//! From a row of a file to a [`Sample`](crate::Sample): the conventions of the field, told apart by their columns.

pub(crate) mod answers;
pub(crate) mod columns;
mod conversation;
mod experts;
pub(crate) mod media;
mod media_list;
pub(crate) mod objects;
mod padding;
mod pair;
mod placement;
pub(crate) mod read;
mod roles;
mod tags;
mod take;
mod template;
mod tool_calls;
pub(crate) mod unread;
mod videos;
mod written;
