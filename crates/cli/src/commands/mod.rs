//! The commands, each in a file or folder of its own. This list is the only place that knows them all.

mod analyze;
mod annotate;
mod bench;
mod compare;
mod config;
mod data;
mod eval;
mod generate;
mod grade;
mod halbench;
mod merge;
mod quickstart;
mod reward;
mod score;
mod serve;
mod train;
mod view;

use crate::shared::subcommands;

subcommands! {
    /// The commands, in the order of the help.
    pub enum Command {
        Quickstart(quickstart::Quickstart),
        Train(train::Train),
        Config(config::Config),
        #[command(subcommand)]
        Data(data::Data),
        Generate(generate::Generate),
        Grade(grade::Grade),
        Score(score::Score),
        #[command(subcommand)]
        Reward(reward::Reward),
        #[command(subcommand)]
        Serve(serve::Serve),
        Eval(eval::Eval),
        #[command(subcommand)]
        Halbench(halbench::Halbench),
        Compare(compare::Compare),
        #[command(subcommand)]
        Annotate(annotate::Annotate),
        #[command(subcommand)]
        Analyze(analyze::Analyze),
        Bench(bench::Bench),
        View(view::View),
        Merge(merge::Merge),
    }
}
