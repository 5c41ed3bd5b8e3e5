//! A list of subcommands: what clap reads, and what runs the one that was chosen.

/// Declares an enum of subcommands, each `Name(module::Options)`, and `run`, which calls `module::run` with the options
/// of the chosen one. The help of a subcommand is the documentation of its options.
macro_rules! subcommands {
    (
        $(#[$about:meta])*
        pub enum $Enum:ident { $($(#[$meta:meta])* $Name:ident($module:ident::$Options:ident),)* }
    ) => {
        $(#[$about])*
        #[derive(Debug, clap::Subcommand)]
        pub enum $Enum {
            $($(#[$meta])* $Name(Box<$module::$Options>),)*
        }

        /// Runs the chosen command.
        pub fn run(
            command: &$Enum,
            global: &$crate::shared::Global,
        ) -> Result<$crate::shared::Done, $crate::shared::Failure> {
            match command {
                $($Enum::$Name(options) => $module::run(options, global),)*
            }
        }
    };
}

pub(crate) use subcommands;
