//! Exit codes.

use std::process::{ExitCode, Termination};

use redrill::reports::summary::DrillOutcome;

/// What `--help` says of them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    pass
  2    wrong usage
  3    bad drill file, or a file that cannot be read
  4    nothing ran
  100  an expectation was missed
  102  an invariant broke
  103  inconclusive: a scripted fault touched nothing, or the run could not be judged

Results go to standard output, messages and progress to standard error.";

/// How the command ended, from best to worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Exit {
    /// All is well.
    Pass,
    /// The command line is wrong, or something could not be written.
    Usage,
    /// The drill file is wrong.
    BadDrill,
    /// Nothing ran.
    NothingRan,
    /// A drill ran and did not pass.
    Failed(DrillOutcome),
}

impl Exit {
    /// The end of a drill.
    pub(crate) fn of(outcome: DrillOutcome) -> Self {
        match outcome {
            DrillOutcome::Pass => Self::Pass,
            DrillOutcome::Inconclusive
            | DrillOutcome::ExpectationMissed
            | DrillOutcome::InvariantBroken => Self::Failed(outcome),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Usage => 2,
            Self::BadDrill => 3,
            Self::NothingRan => 4,
            Self::Failed(outcome) => outcome.exit_code(),
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}
