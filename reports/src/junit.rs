//! Results as JUnit XML, which CI systems show beside those of `cargo test`.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// One thing that was judged: a seed of a drill, or an expectation over all of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// Its name, unique within its suite: `seed 7`, `failover-time: p(99) < 10s`.
    pub name: String,
    /// How long it took on this machine; `None` leaves it out, so that the file is the same
    /// everywhere.
    pub wall_time: Option<Duration>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All is well.
    Passed,
    /// An invariant broke or an expectation was missed.
    Failed {
        /// In a line.
        message: String,
        /// At length: the violations and the command that repeats the run.
        detail: String,
    },
    /// It could not be judged. CI systems know no such thing, so it is an error and not green.
    Inconclusive {
        /// Why.
        message: String,
    },
}

/// The report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the JUnit report cannot be written")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// The cases as a JUnit file with one suite.
///
/// # Errors
/// [`JunitError`] if the XML cannot be written, which no case can cause.
pub fn report(suite: &str, cases: &[Case]) -> Result<String, JunitError> {
    let mut tests = TestSuite::new(suite);
    for case in cases {
        let status = match &case.outcome {
            Outcome::Passed => TestCaseStatus::success(),
            Outcome::Failed { message, detail } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(message.as_str());
                status.set_type("invalid");
                status.set_description(detail.as_str());
                status
            }
            Outcome::Inconclusive { message } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(message.as_str());
                status.set_type("inconclusive");
                status
            }
        };
        let mut test = TestCase::new(case.name.as_str(), status);
        test.set_classname(suite);
        if let Some(wall_time) = case.wall_time {
            test.set_time(wall_time);
        }
        tests.add_test_case(test);
    }
    let mut report = Report::new("redrill");
    report.add_test_suite(tests);
    Ok(report.to_string()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> String {
        let case = |name: &str, outcome| Case {
            name: name.to_owned(),
            wall_time: None,
            outcome,
        };
        let failed = Outcome::Failed {
            message: "V1 broke".to_owned(),
            detail: "m3 voted twice in epoch 7\u{1b}[0m <&> ]]>".to_owned(),
        };
        let open = Outcome::Inconclusive {
            message: "step 1 touched nothing".to_owned(),
        };
        let cases = [
            case("seed 0", Outcome::Passed),
            case("seed 1", failed),
            case("seed 2", open),
        ];
        report("kill-master", &cases).unwrap()
    }

    #[test]
    fn what_is_not_proven_is_not_green() {
        let text = written();
        let document = roxmltree::Document::parse(&text).unwrap();
        let suite = document
            .descendants()
            .find(|node| node.has_tag_name("testsuite"))
            .unwrap();
        assert_eq!(suite.attribute("tests"), Some("3"));
        assert_eq!(suite.attribute("failures"), Some("1"));
        assert_eq!(suite.attribute("errors"), Some("1"));
        let failure = document
            .descendants()
            .find(|node| node.has_tag_name("failure"))
            .unwrap();
        assert_eq!(failure.attribute("message"), Some("V1 broke"));
        assert!(
            failure
                .text()
                .unwrap()
                .contains("m3 voted twice in epoch 7")
        );
    }

    #[test]
    fn the_same_cases_make_the_same_file() {
        assert_eq!(written(), written());
        assert!(!written().contains("timestamp"));
    }
}
