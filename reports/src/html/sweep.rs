//! `report.html` of a sweep: the advice, the charts and the tables in one file that needs no
//! network and no server.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::sections::{Column, table};
use crate::charts::{Chart, ReferencePoint, charts};
use crate::drawing::font_faces;
use crate::sweep::Sweep;
use crate::sweep::table::{Part, parts};
use crate::theme::Theme;

/// The page may use what stands in it and nothing else, whatever a drill's names try.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; font-src data:; \
                      base-uri 'none'; form-action 'none'";

/// A section of the page: its title, what it is about, and what stands in it.
struct Section<'a> {
    title: &'a str,
    about: &'a str,
    parts: Vec<&'a Part>,
}

/// The report as an HTML document. `command` repeats the sweep.
#[must_use]
pub fn sweep_report(sweep: &Sweep, references: &[ReferencePoint], command: &str) -> String {
    let data = &sweep.data;
    let parts = parts(sweep, false);
    let sections = sections(&parts);
    let (head, sections) = match sections.split_first() {
        Some((head, rest)) => (Some(head), rest),
        None => (None, &[][..]),
    };
    // The answer comes first, then what it rests on.
    let is_answer = |it: &&Section<'_>| ANSWERS.contains(&it.title) || it.title.is_empty();
    let light = charts(sweep, references, Theme::LIGHT);
    let dark = charts(sweep, references, Theme::DARK);
    let title = format!("{} (sweep)", data.drill);
    let styles = format!("{CHARTS}{}", font_faces());
    html! {
        (DOCTYPE)
        html lang="en" {
            (super::head(&title, POLICY, &styles))
            body {
                a.skip href="#charts" { "To the charts" }
                header.page {
                    div {
                        h1 { (data.drill) }
                        @if let Some(question) = &data.question {
                            p.question { (question) }
                        }
                        p.facts {
                            @for line in head.iter().flat_map(|it| &it.parts).filter_map(last_line) {
                                (line)
                            }
                        }
                    }
                    div.command { code { (command) } }
                }
                main {
                    @for title in ANSWERS {
                        @for section in sections.iter().filter(|it| it.title == title) {
                            (section.markup())
                        }
                    }
                    section aria-labelledby="charts" {
                        h2 #charts { "Charts" }
                        @for (light, dark) in light.iter().zip(&dark) {
                            (figure(light, dark))
                        }
                    }
                    @for section in sections.iter().filter(|it| !is_answer(it)) {
                        (section.markup())
                    }
                }
                footer {
                    "Made by redrill " (env!("CARGO_PKG_VERSION"))
                    ". All numbers, run by run, stand in sweep.json and runs.csv beside this file."
                }
            }
        }
    }
    .into_string()
}

/// What is told first, in this order. The one without a title tells what was censored, refused or
/// could not be judged.
const ANSWERS: [&str; 3] = ["Advice", "Objectives", ""];

/// Each chart in the theme that the reader's system has; paper is always light.
const CHARTS: &str = "
figure.sweep { margin: 0 0 22px; border: 1px solid var(--rule); border-radius: 10px; overflow-x: auto; max-width: 1010px; }
figure.sweep svg { display: block; width: 100%; min-width: 640px; height: auto; }
figure.sweep .dark { display: none; }
@media screen and (prefers-color-scheme: dark) {
  figure.sweep .dark { display: block; }
  figure.sweep .light { display: none; }
}
.command code { white-space: pre-wrap; overflow-wrap: anywhere; }
main table { width: auto; }
main th, main td { padding-right: 26px; }
p.words { white-space: pre-line; max-width: 100ch; overflow-wrap: anywhere; }
p.words + p.words, div.scroll + p.words { margin-top: 8px; }
section[aria-labelledby=advice] p.words { font-size: 16px; }
@media print { figure.sweep { break-inside: avoid; border: none; } }
";

fn figure(light: &Chart, dark: &Chart) -> Markup {
    html! {
        figure.sweep {
            // What cannot be drawn leaves its place empty; a sweep cannot make it so.
            div.light { (PreEscaped(light.svg_without_fonts().unwrap_or_default())) }
            div.dark { (PreEscaped(dark.svg_without_fonts().unwrap_or_default())) }
        }
    }
}

fn sections(parts: &[Part]) -> Vec<Section<'_>> {
    let mut sections = vec![Section {
        title: "",
        about: "",
        parts: Vec::new(),
    }];
    for part in parts {
        match (part, sections.last_mut()) {
            (Part::Section { title, about }, _) => sections.push(Section {
                title,
                about,
                parts: Vec::new(),
            }),
            (Part::Table { .. } | Part::Line(_), Some(last)) => last.parts.push(part),
            (Part::Table { .. } | Part::Line(_), None) => {}
        }
    }
    sections
}

/// What ran: the name and the question stand in the head already.
fn last_line(part: &&Part) -> Option<String> {
    match part {
        Part::Line(line) if line.contains(" configurations x ") => Some(line.clone()),
        Part::Line(_) | Part::Table { .. } | Part::Section { .. } => None,
    }
}

impl Section<'_> {
    fn markup(&self) -> Markup {
        let title = match self.title {
            "" => "What was censored, refused or not judged",
            title => title,
        };
        let id: String = title
            .chars()
            .map(|it| {
                if it.is_ascii_alphanumeric() {
                    it.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .collect();
        html! {
            section aria-labelledby=(id) {
                h2 id=(id) { (title) }
                @if !self.about.is_empty() {
                    p.note { (self.about) }
                }
                @for part in &self.parts {
                    @match part {
                        Part::Table { titles, rows } => (as_table(titles, rows)),
                        Part::Line(line) => p.words { (line.trim()) },
                        Part::Section { .. } => {}
                    }
                }
            }
        }
    }
}

fn as_table(titles: &[String], rows: &[Vec<String>]) -> Markup {
    let columns: Vec<Column<'_>> = titles.iter().map(|title| Column::Number(title)).collect();
    table(
        &columns,
        &html! {
            @for row in rows {
                tr { @for cell in row { td.number { (cell) } } }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use scraper::{Html, Selector};

    use super::*;
    use crate::charts::tests::{over_two_axes, references, trade_off_of};

    const COMMAND: &str = "redrill sweep drill.toml --set config.cluster-node-timeout=1000,3000";

    fn texts(document: &Html, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("it is one");
        let elements = document.select(&selector);
        elements.map(|it| it.text().collect()).collect()
    }

    #[test]
    fn a_report_of_a_sweep_needs_nothing_but_itself() {
        let mut sweep = trade_off_of(20);
        sweep.data.drill = "</title><script>alert(1)</script>".into();
        sweep.data.axes[0].values[0].text = "<img src=http://x>".into();
        let page = sweep_report(&sweep, &references(), COMMAND);
        let document = Html::parse_document(&page);
        for element in document.select(&Selector::parse("*").expect("it is one")) {
            let name = element.value().name();
            let forbidden = ["script", "link", "iframe", "object", "img", "image", "base"];
            assert!(!forbidden.contains(&name), "{name}");
            for (name, value) in element.value().attrs() {
                assert!(
                    !["src", "srcset", "action", "data"].contains(&name),
                    "{value}"
                );
                assert!(!name.ends_with("href") || value.starts_with('#'), "{value}");
            }
        }
        assert!(!page.contains("url(http") && page.contains("default-src 'none'"));
    }

    #[test]
    fn the_advice_stands_first_then_what_is_not_known_then_charts_and_tables() {
        let page = sweep_report(&trade_off_of(40), &references(), COMMAND);
        let document = Html::parse_document(&page);
        let titles = texts(&document, "h2");
        assert_eq!(
            titles[..4],
            [
                "Advice",
                "Objectives",
                "What was censored, refused or not judged",
                "Charts"
            ]
        );
        assert!(titles.contains(&"Write gap".to_owned()), "{titles:?}");
        assert_eq!(texts(&document, ".command code"), [COMMAND]);
        let words = texts(&document, "section p.words").join(" ");
        assert!(words.contains("never: it had not happened"), "{words}");
        assert!(texts(&document, "p.facts")[0].contains("3 configurations x 40 seeds"));
    }

    #[test]
    fn every_chart_is_there_in_light_and_dark() {
        for sweep in [trade_off_of(12), over_two_axes()] {
            let page = sweep_report(&sweep, &[], COMMAND);
            let document = Html::parse_document(&page);
            let count = charts(&sweep, &[], Theme::LIGHT).len();
            for theme in ["light", "dark"] {
                let selector = format!("figure .{theme} svg");
                assert_eq!(texts(&document, &selector).len(), count, "{theme}");
            }
            let headings = texts(&document, "th[scope=col]");
            assert!(headings.iter().any(|it| it == "cluster-node-timeout"));
        }
    }
}
