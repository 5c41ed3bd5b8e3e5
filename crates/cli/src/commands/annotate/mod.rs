//! `percept annotate …`.

mod export;
mod frames;
mod overlap_args;
mod status;

use crate::shared::subcommands;

subcommands! {
    /// Label frames of generated clips: cut pairs of frames, serve a page on which people draw boxes and say which frame
    /// is better, measure how far they agree, write rows.
    pub enum Annotate {
        Frames(frames::AnnotateFrames),
        Status(status::AnnotateStatus),
        Export(export::AnnotateExport),
    }
}
