//! The pictures of a report, as SVG.

mod axis;
mod chart;
mod frame;
mod heat_map;
mod strip;

use crate::results::{RunResult, SliceStanding, Standing};
use crate::task::{Slice, Split, Task};
use axis::{Axis, extent};
use chart::{Chance, Series, draw};
use heat_map::{HeatCell, Panel};

/// Accuracy against the bytes of state that it takes.
pub(super) fn accuracy_by_state(task: &Task, standings: &[Standing]) -> String {
    let series = by_contestant(standings, |standing| {
        let (min, max) = standing
            .rates
            .iter()
            .find(|rate| rate.learning_rate == standing.learning_rate)
            .map_or((standing.accuracy, standing.accuracy), |rate| (rate.min, rate.max));
        vec![(standing.state.total() as f64, standing.accuracy, min, max)]
    });
    let slices = task.segments(Split::Test);
    let level = |index: usize| {
        slices.iter().map(|(slice, _)| task.chance(*slice)[index].1).sum::<f64>() / slices.len() as f64
    };
    let names = task.chance(slices[0].0).into_iter().map(|(name, _)| name);
    let (low, high) = extent(series.iter().flat_map(|series| series.points.iter().map(|point| point.0)));
    let flat = |index| vec![(low / 2.0, level(index)), (high * 2.0, level(index))];
    let chances: Vec<Chance> =
        names.enumerate().map(|(index, name)| Chance { name: name.into(), points: flat(index) }).collect();
    draw("state of one sequence after the longest test example, bytes", Axis::Powers(2.0), &series, &chances)
}

/// The difficulty of a task's slices: the number of pairs if it has pairs, or else the length.
pub(super) fn difficulty(task: &Task) -> &'static str {
    let has_pairs = task.segments(Split::Test).iter().any(|(slice, _)| slice.pairs.is_some());
    if has_pairs { "the number of pairs" } else { "the length" }
}

/// Accuracy against the difficulty of the slices; nothing where there is one slice.
pub(super) fn accuracy_by_difficulty(task: &Task, standings: &[Standing]) -> String {
    let series: Vec<Series> = widest(standings).iter().flat_map(by_length).collect();
    if standings.iter().all(|standing| standing.slices.len() < 2) {
        return String::new();
    }
    let mut chances: Vec<Chance> = Vec::new();
    for (slice, _) in task.segments(Split::Test) {
        for (name, level) in task.chance(slice) {
            let point = (slice.difficulty() as f64, level);
            match chances.iter_mut().find(|chance| chance.name == name) {
                Some(chance) if chance.points.contains(&point) => {}
                Some(chance) => chance.points.push(point),
                None => chances.push(Chance { name: name.into(), points: vec![point] }),
            }
        }
    }
    for chance in &mut chances {
        chance.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    draw(difficulty(task).trim_start_matches("the "), Axis::Points, &series, &chances)
}

/// Accuracy over length and depth, in tasks that have depths; a map for every contestant.
pub(super) fn heat_maps(task: &Task, standings: &[Standing]) -> String {
    let panels: Vec<Panel> = widest(standings)
        .into_iter()
        .map(|standing| {
            let cells = standing.cells.iter().filter_map(|cell| {
                let Slice { length, depth, .. } = cell.slice;
                depth.map(|depth| HeatCell { length, depth, accuracy: cell.mean, examples: cell.examples })
            });
            Panel { cells: cells.collect(), name: standing.contestant }
        })
        .collect();
    let lengths = task.segments(Split::Train).into_iter().map(|(slice, _)| slice.length);
    heat_map::draw(&panels, lengths.max().unwrap_or(0))
}

/// The mean accuracy of every seed, a row for every contestant; nothing where there is one seed.
pub(super) fn accuracy_by_seed(standings: &[Standing]) -> String {
    let rows: Vec<strip::Row> = widest(standings)
        .into_iter()
        .map(|standing| strip::Row { name: standing.contestant, values: standing.by_seed })
        .collect();
    if rows.iter().all(|row| row.values.len() < 2) {
        return String::new();
    }
    strip::draw(&rows)
}

/// Accuracy against the learning rate.
pub(super) fn accuracy_by_rate(standings: &[Standing]) -> String {
    let series = by_contestant(&widest(standings), |standing| {
        standing.rates.iter().map(|rate| (rate.learning_rate, rate.mean, rate.min, rate.max)).collect()
    });
    draw("learning rate", Axis::Points, &series, &[])
}

/// Mean accuracy against training steps, of the runs at the best rate with the first seed; nothing where every run was
/// scored once.
pub(super) fn accuracy_by_step(standings: &[Standing], results: &[RunResult]) -> String {
    let series = by_contestant(&widest(standings), |standing| {
        let run = results.iter().find(|result| {
            (&result.contestant, result.width, result.learning_rate)
                == (&standing.contestant, standing.width, standing.learning_rate)
        });
        let Some(run) = run else { return Vec::new() };
        run.curve
            .iter()
            .map(|point| {
                let mean = point.accuracy();
                (point.step as f64, mean, mean, mean)
            })
            .collect()
    });
    if series.iter().all(|series| series.points.len() < 2) {
        return String::new();
    }
    draw("training steps", Axis::Linear, &series, &[])
}

/// Accuracy over the difficulty: one line, or one per length where several lengths have the same
/// number of pairs.
fn by_length(standing: &Standing) -> Vec<Series> {
    let line = |name: String, slices: &[SliceStanding]| {
        let mut points: Vec<_> = slices
            .iter()
            .map(|entry| (entry.slice.difficulty() as f64, entry.mean, entry.interval.0, entry.interval.1))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series { name, points }
    };
    let mut slices = standing.slices.clone();
    slices.sort_by_key(|entry| entry.slice.difficulty());
    if slices.windows(2).all(|two| two[0].slice.difficulty() < two[1].slice.difficulty()) {
        return vec![line(standing.contestant.clone(), &slices)];
    }
    slices.sort_by_key(|entry| entry.slice.length);
    slices
        .chunk_by(|a, b| a.slice.length == b.slice.length)
        .map(|group| line(format!("{}, {} tokens", standing.contestant, group[0].slice.length), group))
        .collect()
}

/// One series per contestant; several widths follow each other in it.
fn by_contestant(
    standings: &[Standing],
    points: impl Fn(&Standing) -> Vec<(f64, f64, f64, f64)>,
) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for standing in standings {
        let new = points(standing);
        match all.iter_mut().find(|series| series.name == standing.contestant) {
            Some(series) => series.points.extend(new),
            None => all.push(Series { name: standing.contestant.clone(), points: new }),
        }
    }
    for series in &mut all {
        series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    all
}

/// The standing of every contestant at its largest width.
fn widest(standings: &[Standing]) -> Vec<Standing> {
    let beaten = |standing: &Standing| {
        standings.iter().any(|other| other.contestant == standing.contestant && other.width > standing.width)
    };
    standings.iter().filter(|standing| !beaten(standing)).cloned().collect()
}
