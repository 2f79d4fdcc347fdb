//! One page that needs nothing else: tables, pictures, provenance.

use super::comparison::Comparison;
use super::table::escaped;
use super::{Report, plots, rows};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1420px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .55em; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
table.numbers th:not(:first-child), table.numbers td:not(:first-child) { text-align: right; }
th { border-bottom: 2px solid #888; }
.bad { color: #b00020; font-weight: bold; } .good { color: #00693e; font-weight: bold; }
svg { max-width: 100%; height: auto; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(400px, 1fr)); gap: 1em; }
.card { border: 1px solid #ddd; padding: .5em 1em; color: inherit; text-decoration: none; }
.card h2 { margin-top: .3em; } .card svg { max-height: 320px; }
pre { background: #f6f6f6; padding: 1em; overflow-x: auto; font-size: 13px; }
";

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let names: Vec<String> =
        report.comparisons.iter().map(|comparison| escaped(&comparison.names())).collect();
    let title = format!("Recall: {}", names.join(", "));
    let chapters: String =
        report.comparisons.iter().enumerate().map(|(index, each)| chapter(each, index)).collect();
    let body = gallery(report) + &chapters;
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\n\
         <body>\n{body}</body></html>\n"
    )
}

/// A picture of every comparison, which leads to its chapter; nothing where there is one.
fn gallery(report: &Report) -> String {
    if report.comparisons.len() < 2 {
        return String::new();
    }
    let card = |(index, comparison): (usize, &Comparison)| {
        let Comparison { experiments, standings, .. } = comparison;
        let task = &experiments[0].task; // the same for all of a comparison
        let maps = plots::heat_maps(task, standings);
        let picture = if maps.is_empty() { plots::accuracy_by_state(task, standings) } else { maps };
        let best = standings.iter().max_by(|a, b| a.accuracy.total_cmp(&b.accuracy));
        let best = best.map_or(String::new(), |best| {
            format!("best: {}, {:.3}", escaped(&best.contestant), best.accuracy)
        });
        format!(
            "<a class=\"card\" href=\"#comparison-{index}\"><h2>{}</h2>{picture}<p>{}: {best}</p></a>\n",
            escaped(&comparison.names()),
            task.kind()
        )
    };
    let cards: String = report.comparisons.iter().enumerate().map(card).collect();
    format!("<h1>Gallery</h1>\n<div class=\"gallery\">{cards}</div>\n")
}

/// Everything about one comparison.
fn chapter(comparison: &Comparison, index: usize) -> String {
    let Comparison { experiments, results, standings, verdicts, .. } = comparison;
    let task = &experiments[0].task; // the same for all of a comparison
    let mut body = format!("<h1 id=\"comparison-{index}\">Recall: {}</h1>\n", escaped(&comparison.names()));
    for experiment in experiments {
        let law = experiment.data_law();
        let chance = "Grey dashes are the levels of guessing.";
        body += &format!(
            "<p>{} The data is {}; {} {chance}</p>\n",
            escaped(experiment.description.trim()),
            law,
            law.meaning()
        );
    }
    if let Some(missing) = comparison.missing() {
        body += &format!("<p class=\"bad\">{}</p>\n", escaped(&missing));
    }
    body += &section("Who recalls", &rows::recall(standings).html());
    let scored = match task.whole() {
        true => {
            "the share of examples all of whose answers are the most likely tokens among the whole vocabulary (exact match)"
        }
        false => {
            "the share of positions asked whose most likely token, among the whole vocabulary, is the right one"
        }
    };
    body += &format!(
        "<p>Accuracy: {scored}; with several seeds the median and, in brackets, the lowest and highest. Rate: the best of \
         the learning rates tried. Success: seeds whose mean accuracy reached 0.9.</p>\n"
    );
    if standings.iter().any(|standing| standing.cleared.is_some()) {
        body += "<p>State cleared: the accuracy on the shortest tests where the state is cleared before the question. \
            It must be that of guessing.</p>\n";
    }
    body += &section("What it costs", &rows::cost(standings).html());
    body += "<p>B: bytes of the state of one sequence after the longest test example, all layers, convolutions \
        included. Step: the median time of one decoding step of one sequence. Wall: all runs of the contestant, \
        evaluations included.</p>\n";
    if let Some(table) = rows::streamed(standings) {
        body += &section("Long tests, read in segments through the state", &table.html());
    }
    if let Some(table) = rows::blocks(standings) {
        body += &section("Blocks that were chosen", &table.html());
        body += "<p>A block counts once per layer, sequence, and key and value head: as read for every query that reads it, or once for \
            queries that chose it together.</p>\n";
    }
    if !verdicts.is_empty() {
        body += &section("What was expected", &rows::verdicts(verdicts).html());
    }
    let maps = plots::heat_maps(task, standings);
    if !maps.is_empty() {
        body += &section("Accuracy over length and depth", &maps);
        body += "<p>Every cell: the share of examples answered right, all seeds together, and its 95 % Wilson interval. \
            The needle lies at the depth: 0 % is the start, 100 % directly before the question. Right of the red line \
            every length is longer than any trained on.</p>\n";
    }
    body += &section("Accuracy against state", &plots::accuracy_by_state(task, standings));
    let several_seeds = standings.iter().any(|standing| standing.seeds > 1);
    let by_difficulty = plots::accuracy_by_difficulty(task, standings);
    if !by_difficulty.is_empty() {
        body += &section(&format!("Accuracy against {}", plots::difficulty(task)), &by_difficulty);
    }
    if several_seeds && !by_difficulty.is_empty() {
        body += "<p>Points are means over seeds, bars their 95 % bootstrap intervals.</p>\n";
        body += &section("Accuracy of every seed", &plots::accuracy_by_seed(standings));
    }
    if standings.iter().any(|standing| standing.rates.len() > 1) {
        body += &section("Accuracy against the learning rate", &plots::accuracy_by_rate(standings));
    }
    if let Some(table) = rows::robustness(standings) {
        body += &table.html();
    }
    let by_step = plots::accuracy_by_step(standings, results);
    if !by_step.is_empty() {
        body += &section("Accuracy while learning", &by_step);
    }
    body += &section("Provenance", &rows::provenance(experiments, results).html());
    for experiment in experiments {
        let text = toml::to_string_pretty(experiment).unwrap_or_else(|error| error.to_string());
        body += &format!(
            "<details><summary>The configuration of {}</summary><pre>{}</pre></details>\n",
            escaped(&experiment.name),
            escaped(&text)
        );
    }
    body
}

fn section(heading: &str, content: &str) -> String {
    format!("<h2>{heading}</h2>\n<div class=\"scroll\">{content}</div>\n")
}
