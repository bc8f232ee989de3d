//! The trade-off curve: how long failovers take above, how many are false below, over one axis.

use std::cmp::Ordering;

use redrill_sim::scenario::Measure;

use super::frame::{Dash, Frame, Key, LEFT, Look, MARGIN, WIDTH};
use super::line::{Across, Line, Point, ends, scale_of_times};
use super::words::{facts, measure, sentence, short, tick_time};
use super::{ReferencePoint, Theme};
use crate::drawing::scale::Scale;
use crate::drawing::sheet::{Anchor, Box2, Sheet};
use crate::sweep::{Axis, Goal, GoalStatistic, MeasureStatistics, PerDay, QuantileEstimate, Sweep};
use crate::theme::Shape;

/// Room for the names of lines.
const RIGHT: f64 = 128.0;
const TIMES: f64 = 260.0;
const RATES: f64 = 170.0;

/// What one panel shows.
struct Panel<'a> {
    title: String,
    lines: Vec<Line>,
    goals: Vec<&'a Goal>,
    references: Vec<&'a ReferencePoint>,
    is_rate: bool,
}

/// What is drawn, over which axis, a line for each value of the other.
struct Plan<'a> {
    sweep: &'a Sweep,
    theme: Theme,
    axis: usize,
    /// The configurations of each line, in the order of the axis.
    series: Vec<Vec<Option<usize>>>,
}

pub(super) fn draw(sweep: &Sweep, references: &[ReferencePoint], theme: Theme) -> Sheet {
    let about = facts(sweep);
    let mut frame = Frame::new(theme, "What faster failovers cost", &about);
    let Some(plan) = Plan::of(sweep, theme) else {
        frame.note("Nothing was varied.");
        return frame.finish();
    };
    let axis = &sweep.data.axes[plan.axis];
    let panels = plan.panels(references);
    let keys = plan.keys(&panels);
    let keys: Vec<(Key, &str)> = keys
        .iter()
        .map(|(key, words)| (*key, words.as_str()))
        .collect();
    frame.keys(&keys);
    let sides = (LEFT, WIDTH - RIGHT);
    let own = axis.own.iter().filter_map(|own| own.position);
    let xs: Vec<f64> = references.iter().map(|it| it.x).chain(own).collect();
    let across = Across::of(axis, &xs, sides);
    frame.sheet.y += 22.0;
    let top = frame.sheet.y;
    let mut boxes = Vec::new();
    for panel in &panels {
        let height = if panel.is_rate { RATES } else { TIMES };
        let plot_top = frame.sheet.y + 24.0;
        boxes.push(Box2::new(sides.0, plot_top, sides.1, plot_top + height));
        frame.sheet.y = plot_top + height + 8.0;
    }
    let bottom = frame.sheet.y - 8.0;
    axis_of_values(&mut frame, axis, &across, &boxes, bottom);
    for (panel, plot) in panels.iter().zip(&boxes) {
        let kind = frame.type_of(13.0).bold();
        let title = sentence(&panel.title);
        frame.text(&title, (MARGIN, plot.top - 8.0), kind);
    }
    plan.rules(&mut frame, &across, &boxes, top);
    for (panel, plot) in panels.iter().zip(boxes) {
        panel.draw(&mut frame, plot, &across);
    }
    frame.sheet.y = bottom + 48.0;
    for note in plan.notes(&panels, references, across.scale.is_some()) {
        frame.note(&note);
    }
    frame.finish()
}

/// The swept values below all panels, with guides, and the name of the axis.
fn axis_of_values(frame: &mut Frame, axis: &Axis, across: &Across, plots: &[Box2], bottom: f64) {
    let sides = (LEFT, WIDTH - RIGHT);
    let kind = frame.soft(11.0).anchor(Anchor::Middle);
    for (value, x) in axis.values.iter().zip(&across.xs) {
        let rule = frame.theme.rule;
        for plot in plots {
            frame
                .sheet
                .line((*x, plot.top), (*x, plot.bottom), rule, 1.0);
        }
        let words = value.text.trim_matches('"');
        frame.shortened(words, (*x, bottom + 16.0), kind, across.room(sides));
    }
    let how = match &across.scale {
        Some(scale) if scale.is_log() => ", logarithmic",
        Some(_) | None => "",
    };
    let kind = frame.type_of(12.0).anchor(Anchor::Middle);
    let at = (f64::midpoint(sides.0, sides.1), bottom + 35.0);
    frame.shortened(&format!("{}{how}", axis.path), at, kind, sides.1 - sides.0);
}

impl<'a> Plan<'a> {
    fn of(sweep: &'a Sweep, theme: Theme) -> Option<Self> {
        let axes = &sweep.data.axes;
        // Numbers make the better axis, then many values.
        let axis = (0..axes.len()).max_by_key(|place| {
            let values = &axes[*place].values;
            let is_numeric = values.iter().all(|value| value.position.is_some());
            (
                is_numeric && values.len() > 1,
                values.len(),
                usize::MAX - place,
            )
        })?;
        let count = axes[axis].values.len();
        let mut series: Vec<(Vec<usize>, Vec<Option<usize>>)> = Vec::new();
        for (place, configuration) in sweep.data.configurations.iter().enumerate() {
            let mut others = configuration.places.clone();
            let at = others.remove(axis);
            let line = match series.iter_mut().find(|line| line.0 == others) {
                Some(line) => line,
                None => {
                    series.push((others, vec![None; count]));
                    series.last_mut()?
                }
            };
            if let Some(slot) = line.1.get_mut(at) {
                *slot = Some(place);
            }
        }
        let series: Vec<_> = series.into_iter().map(|line| line.1).collect();
        Some(Self {
            sweep,
            theme,
            axis,
            series: some_of(&series, |line| {
                let wanted = [sweep.data.current, sweep.advice.chosen];
                line.iter().any(|it| it.is_some() && wanted.contains(it))
            }),
        })
    }

    fn panels(&self, references: &'a [ReferencePoint]) -> Vec<Panel<'a>> {
        let delay = self.sweep.advice.pareto.delay;
        let mut panels = match self.series.len() {
            1 => vec![self.times(delay, &self.series[0])],
            _ => vec![
                self.quantiles(delay, "median", |it| it.p50),
                self.quantiles(delay, "p95", |it| it.p95),
            ],
        };
        let also = (self.series.len() == 1).then_some(Measure::FailoverTime);
        let is_drawn = |it: &&ReferencePoint| it.measure == delay || Some(it.measure) == also;
        panels[0].references = references.iter().filter(is_drawn).collect();
        let rate = self.sweep.advice.pareto.rate;
        let rates = self.lines(false, |it| {
            let per_day = it.measures.get(&rate)?.per_day;
            per_day.map(|it: PerDay| Point::from(it))
        });
        panels.push(Panel {
            title: format!("{} by cluster and day, 95 % intervals", measure(rate)),
            lines: rates,
            goals: self.goals(rate, |statistic| statistic == GoalStatistic::PerDay),
            references: Vec::new(),
            is_rate: true,
        });
        panels.retain(|panel| {
            panel
                .lines
                .iter()
                .any(|line| line.points.iter().any(Option::is_some))
        });
        panels
    }

    /// All of what is known of one line's times.
    fn times(&self, delay: Measure, places: &[Option<usize>]) -> Panel<'a> {
        let statistics: Vec<Option<&MeasureStatistics>> = places
            .iter()
            .map(|place| self.sweep.statistics[(*place)?].measure(delay))
            .collect();
        let line = |name: &str, look: usize, of: fn(&MeasureStatistics) -> QuantileEstimate| {
            let points = statistics.iter().map(|it| it.map(|it| Point::from(of(it))));
            Line {
                name: name.to_owned(),
                look: Look::of(self.theme, look),
                is_banded: look == 0,
                points: points.collect(),
            }
        };
        let name = measure(delay);
        let mut lines = vec![
            line("p99", 2, |it| it.p99),
            line("p95", 1, |it| it.p95),
            line(&format!("{name} p50"), 0, |it| it.p50),
        ];
        if delay != Measure::FailoverTime {
            let points = places.iter().map(|place| {
                let statistics = &self.sweep.statistics[(*place)?];
                let p50 = statistics.measure(Measure::FailoverTime)?.p50;
                // Without its band, which is nearly that of the gap.
                Some(Point {
                    low: None,
                    ..Point::from(p50)
                })
            });
            lines.insert(
                0,
                Line {
                    name: "failover p50".to_owned(),
                    look: Look::of(self.theme, 3),
                    is_banded: true,
                    points: points.collect(),
                },
            );
        }
        Panel {
            title: format!("{name} and failover time, with 95 % intervals"),
            lines,
            goals: self.goals(delay, |statistic| statistic != GoalStatistic::PerDay),
            references: Vec::new(),
            is_rate: false,
        }
    }

    fn quantiles(
        &self,
        delay: Measure,
        name: &str,
        of: fn(&MeasureStatistics) -> QuantileEstimate,
    ) -> Panel<'a> {
        let is_median = name == "median";
        Panel {
            title: format!("{} {name}, with 95 % intervals", measure(delay)),
            lines: self.lines(is_median, |it| {
                it.measures.get(&delay).map(|it| of(it).into())
            }),
            goals: self.goals(delay, |statistic| match statistic {
                GoalStatistic::Quantile(share) => (share <= 0.5) == is_median,
                GoalStatistic::Max => !is_median,
                GoalStatistic::PerDay => false,
            }),
            references: Vec::new(),
            is_rate: false,
        }
    }

    fn lines(
        &self,
        is_banded: bool,
        point: impl Fn(&crate::sweep::Statistics) -> Option<Point>,
    ) -> Vec<Line> {
        let lines = self.series.iter().enumerate().map(|(number, places)| Line {
            name: self.series_name(places),
            look: Look::of(self.theme, number),
            is_banded,
            points: places
                .iter()
                .map(|place| point(&self.sweep.statistics[(*place)?]))
                .collect(),
        });
        lines.collect()
    }

    /// The values that a line has on the other axes.
    fn series_name(&self, places: &[Option<usize>]) -> String {
        let Some(place) = places.iter().flatten().next() else {
            return String::new();
        };
        let values = self.sweep.data.values_of(*place).into_iter().enumerate();
        let others: Vec<&str> = values
            .filter(|(axis, _)| *axis != self.axis)
            .map(|(_, value)| value)
            .collect();
        others.join(", ")
    }

    fn goals(&self, of: Measure, is_fit: impl Fn(GoalStatistic) -> bool) -> Vec<&'a Goal> {
        let goals = self.sweep.data.goals.iter();
        goals
            .filter(|goal| goal.measure == of && is_fit(goal.statistic))
            .collect()
    }

    fn keys(&self, panels: &[Panel<'_>]) -> Vec<(Key, String)> {
        let mut keys = Vec::new();
        if self.series.len() > 1 {
            for line in panels.first().map(|it| &it.lines[..]).unwrap_or_default() {
                keys.push((Key::Line(line.look), line.name.clone()));
            }
        } else if let Some(times) = panels.first().filter(|it| !it.is_rate) {
            for line in times.lines.iter().rev() {
                let name = match line.name.as_str() {
                    "failover p50" => "failover time p50".to_owned(),
                    name if name.ends_with("p50") => format!("{name}, band: interval"),
                    name => format!("{} {name}", measure(self.sweep.advice.pareto.delay)),
                };
                keys.push((Key::Line(line.look), name));
            }
        }
        let mut points = panels
            .iter()
            .flat_map(|it| &it.lines)
            .flat_map(|it| it.points.iter().flatten());
        if points.any(|it| it.estimate.is_some() && it.high.is_none()) {
            let key = Key::Mark(Shape::Disc, self.theme.soft_ink, true);
            keys.push((key, "hollow: nothing bounds it from above".to_owned()));
        }
        let mut labels: Vec<&str> = Vec::new();
        for point in panels.iter().flat_map(|it| &it.references) {
            if !labels.contains(&point.label.as_str()) {
                labels.push(&point.label);
            }
        }
        for (number, label) in labels.into_iter().enumerate() {
            let key = Key::Mark(reference_shape(number), self.theme.measured, false);
            keys.push((key, label.to_owned()));
        }
        keys
    }

    /// The drill's own setting and the chosen one.
    fn rules(&self, frame: &mut Frame, across: &Across, plots: &[Box2], top: f64) {
        let data = &self.sweep.data;
        let axis = &data.axes[self.axis];
        let at = |place: usize| {
            let value = *data.configurations[place].places.get(self.axis)?;
            let text = axis.values.get(value)?.text.as_str();
            Some((*across.xs.get(value)?, text))
        };
        let own = || {
            let own = axis.own.as_ref()?;
            Some((across.scale?.at(own.position?), own.text.as_str()))
        };
        let current = data.current.and_then(at).or_else(own);
        let chosen = self.sweep.advice.chosen.and_then(at);
        let (ink, good) = (frame.theme.ink, frame.theme.good);
        let rules = match (current, chosen) {
            (Some(one), Some(other)) if one == other => vec![(one, "now and chosen", good)],
            _ => {
                let current = current.map(|it| (it, "now", ink));
                let chosen = chosen.map(|it| (it, "chosen", good));
                current.into_iter().chain(chosen).collect()
            }
        };
        for ((x, text), word, colour) in rules {
            let (dash, width) = match word {
                "now" => (Dash::DASHED, 1.4),
                _ => (Dash::SOLID, 2.0),
            };
            for plot in plots {
                frame.dashed(&[(x, plot.top), (x, plot.bottom)], dash, colour, width);
                frame.take(Box2::new(x - 2.0, plot.top, x + 2.0, plot.bottom));
            }
            let words = format!("{word}: {}", text.trim_matches('"'));
            let kind = frame.type_of(12.0).colour(colour).bold();
            let words = crate::drawing::font::fitted(&words, kind.size, kind.weight, 220.0);
            let near = plots.first().map_or(top, |plot| plot.top) - 6.0;
            let places: Vec<((f64, f64), Anchor)> = [near, top - 5.0, top - 19.0]
                .into_iter()
                .flat_map(|y| {
                    [
                        ((x, y), Anchor::Middle),
                        ((x - 2.0, y), Anchor::Left),
                        ((x + 2.0, y), Anchor::Right),
                    ]
                })
                .collect();
            frame.label(&words, kind, &places);
        }
    }

    fn notes(
        &self,
        panels: &[Panel<'_>],
        references: &[ReferencePoint],
        is_numeric: bool,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        if panels.is_empty() {
            notes.push("No run measured a failover or a false one.".to_owned());
        }
        let shown: usize = self.series.iter().flatten().flatten().count();
        let all = self.sweep.data.configurations.len();
        if shown < all {
            notes.push(format!("{shown} of {all} configurations are shown."));
        }
        let points = || {
            panels
                .iter()
                .flat_map(|it| &it.lines)
                .flat_map(|it| it.points.iter().flatten())
        };
        if points().any(|it| it.estimate.is_none()) {
            notes.push(
                "An arrow to the top: it lies among the failovers that had not happened when their \
                 run ended."
                    .to_owned(),
            );
        }
        let rates = panels.iter().filter(|it| it.is_rate);
        let mut rates = rates
            .flat_map(|it| &it.lines)
            .flat_map(|it| it.points.iter().flatten());
        if rates.any(|it| it.estimate == Some(0.0)) {
            notes.push(
                "An arrow down: none was seen; the mark is the highest rate that the time observed \
                 allows."
                    .to_owned(),
            );
        }
        if !references.is_empty() && !is_numeric {
            notes
                .push("The axis has no numbers, so that measured points have no place.".to_owned());
        }
        notes
    }
}

impl Panel<'_> {
    fn draw(&self, frame: &mut Frame, plot: Box2, across: &Across) {
        let scale = self.scale(plot);
        match self.is_rate {
            true => frame.upright_axis(plot, &scale, short),
            false => frame.upright_axis(plot, &scale, tick_time),
        }
        frame.edges(plot);
        for (number, line) in self.lines.iter().enumerate() {
            match self.is_rate {
                true => rates(
                    frame,
                    line,
                    plot,
                    &beside(across, self.lines.len(), number),
                    &scale,
                ),
                false => line.draw(frame, plot, &across.xs, &scale),
            }
        }
        if let Some(x_scale) = &across.scale {
            self.references(frame, x_scale, &scale);
        }
        self.limits(frame, plot, &scale);
        if self.is_rate {
            return;
        }
        // From top to bottom, so that names that must give way keep their order.
        let mut lines: Vec<&Line> = self.lines.iter().filter(|it| !it.name.is_empty()).collect();
        lines.sort_by(|one, other| {
            other
                .last()
                .partial_cmp(&one.last())
                .unwrap_or(Ordering::Equal)
        });
        for line in lines {
            line.name_at_end(frame, &across.xs, &scale);
        }
    }

    fn scale(&self, plot: Box2) -> Scale {
        let px = (plot.bottom, plot.top);
        let numbers = self.lines.iter().flat_map(Line::numbers);
        let bounds = self.goals.iter().map(|goal| goal.bound);
        if self.is_rate {
            let positive = self
                .lines
                .iter()
                .flat_map(|line| line.points.iter().flatten());
            // The lower end of one event's interval would stretch the axis for nothing.
            let positive = positive
                .flat_map(|it| [it.estimate, it.high].into_iter().flatten())
                .chain(bounds)
                .filter(|value| *value > 0.0);
            let (low, high) = ends(positive);
            if low > high {
                return Scale::linear((0.0, 1.0), px);
            }
            return Scale::log((low / 3.0, high * 1.6), px);
        }
        let references = self.references.iter().flat_map(|it| [it.low, it.high]);
        let (low, high) = ends(numbers.chain(references));
        // A limit that is far away must not press the lines together.
        let near = bounds.filter(|bound| *bound < high * 2.0 && *bound > low / 2.0);
        let (near_low, near_high) = ends(near);
        scale_of_times((low.min(near_low), high.max(near_high)), px)
    }

    /// The limits of the objectives.
    fn limits(&self, frame: &mut Frame, plot: Box2, scale: &Scale) {
        for goal in &self.goals {
            let bad = frame.theme.bad;
            let is_shown = scale.holds(goal.bound);
            let y = scale.at(goal.bound);
            if is_shown {
                frame.dashed(&[(plot.left, y), (plot.right, y)], Dash::LONG, bad, 1.4);
            }
            let kind = frame.type_of(11.0).colour(bad).bold();
            let words = match is_shown {
                true => goal.text.clone(),
                false => format!("{} (beyond this axis)", goal.text),
            };
            let step = (plot.right - plot.left) / 16.0;
            let places: Vec<((f64, f64), Anchor)> = (0..16)
                .map(|place| plot.left + 6.0 + step * f64::from(place))
                .flat_map(|x| [((x, y - 5.0), Anchor::Left), ((x, y + 13.0), Anchor::Left)])
                .filter(|((x, _), _)| kind.space(&words, (*x, 0.0)).right < plot.right)
                .collect();
            frame.label(&words, kind, &places);
        }
    }

    fn references(&self, frame: &mut Frame, x_scale: &Scale, scale: &Scale) {
        let mut labels: Vec<&str> = Vec::new();
        for point in &self.references {
            let label = point.label.as_str();
            let number = labels
                .iter()
                .position(|it| *it == label)
                .unwrap_or_else(|| {
                    labels.push(label);
                    labels.len() - 1
                });
            let colour = frame.theme.measured;
            // Two measures of the same trials stand side by side.
            let aside = if point.measure == Measure::FailoverTime {
                5.0
            } else {
                -5.0
            };
            let (x, y) = (x_scale.at(point.x) + aside, scale.at(point.median));
            let (low, high) = (scale.at(point.low), scale.at(point.high));
            frame.sheet.line((x, low), (x, high), colour, 2.0);
            for end in [low, high] {
                frame
                    .sheet
                    .line((x - 5.0, end), (x + 5.0, end), colour, 2.0);
            }
            frame.mark((x, y), reference_shape(number), colour, false);
        }
    }
}

/// Where the points of one of several lines stand, so that their whiskers stand side by side.
fn beside(across: &Across, lines: usize, number: usize) -> Vec<f64> {
    const APART: f64 = 8.0;
    let shift = (number as f64 - (lines as f64 - 1.0) / 2.0) * APART;
    across.xs.iter().map(|x| x + shift).collect()
}

/// Rates over a logarithmic axis, which has no 0: where none was seen, an arrow goes down from
/// what there may be at most.
fn rates(frame: &mut Frame, line: &Line, plot: Box2, xs: &[f64], scale: &Scale) {
    let colour = line.look.colour;
    let mut seen = line.clone();
    for (point, x) in seen.points.iter_mut().zip(xs) {
        let Some(it) = point.filter(|it| it.estimate == Some(0.0)) else {
            continue;
        };
        if let Some(high) = it.high {
            let y = scale.at(high);
            frame.arrow((*x, y), (*x, (y + 34.0).min(plot.bottom)), colour);
            frame.mark((*x, y), line.look.shape, colour, false);
        }
        *point = None;
    }
    seen.draw(frame, plot, xs, scale);
}

const fn reference_shape(number: usize) -> Shape {
    match number % 3 {
        0 => Shape::Star,
        1 => Shape::Diamond,
        _ => Shape::Square,
    }
}

/// As many as have looks of their own: those that are wanted, and of the rest some from first to
/// last.
pub(super) fn some_of<T: Clone>(all: &[T], is_wanted: impl Fn(&T) -> bool) -> Vec<T> {
    let most = Look::COUNT;
    if all.len() <= most {
        return all.to_vec();
    }
    let mut places: Vec<usize> = (0..all.len()).filter(|it| is_wanted(&all[*it])).collect();
    places.truncate(most);
    let spread = (0..most).map(|it| it * (all.len() - 1) / (most - 1));
    for place in spread.chain(0..all.len()) {
        if places.len() < most && !places.contains(&place) {
            places.push(place);
        }
    }
    places.sort_unstable();
    places.into_iter().map(|place| all[place].clone()).collect()
}
