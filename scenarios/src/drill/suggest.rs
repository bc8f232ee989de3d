//! "Did you mean ...?"

/// How alike two names must be to be suggested, 0 to 1.
const LIKENESS: f64 = 0.75;

/// The candidate most like `name`, unless none is.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_lowercase();
    (candidates.into_iter())
        .map(|candidate| (likeness(&name, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

/// `did you mean `x`?`, or the whole list where that helps more.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(candidate) = nearest(name, candidates.clone()) {
        return Some(format!("did you mean `{candidate}`?"));
    }
    let all: Vec<&str> = candidates.into_iter().collect();
    (!all.is_empty() && all.len() <= 24).then(|| format!("known: {}", all.join(", ")))
}

fn likeness(left: &str, right: &str) -> f64 {
    // A short name with one slip (`m4` for `m1`) is as unlike as can be by the first measure
    // alone; a word with its singular or hyphens wrong is as unlike by the second.
    let trimmed = |text: &str| text.replace(['-', '_', ' '], "");
    let (left, right) = (trimmed(left), trimmed(right));
    if left == right {
        return 1.0;
    }
    strsim::jaro_winkler(&left, &right).min(1.0 - 0.5 * edit_share(&left, &right))
}

fn edit_share(left: &str, right: &str) -> f64 {
    let length = left.chars().count().max(right.chars().count()).max(1);
    strsim::damerau_levenshtein(left, right) as f64 / length as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let keys = ["masters", "replicas-per-master", "zones", "first-port"];
        assert_eq!(nearest("mastres", keys), Some("masters"));
        assert_eq!(
            nearest("replicas_per_master", keys),
            Some("replicas-per-master")
        );
        assert_eq!(nearest("Zone", keys), Some("zones"));
    }

    #[test]
    fn something_else_is_not_suggested() {
        assert_eq!(nearest("colour", ["masters", "zones"]), None);
        assert_eq!(nearest("x", ["masters", "zones"]), None);
    }
}
