//! `list`.

use super::arguments::Common;
use super::print;
use crate::experiment::SHIPPED;
use crate::task::Task;
use crate::{Error, device};
use seqzoo::MixerConfig;
use serde_json::json;

/// Prints everything that has a name.
pub(super) fn list(common: &Common) -> Result<bool, Error> {
    if common.json {
        print(&as_json().to_string());
        return Ok(true);
    }
    print("Tasks (recall show TASK):");
    for (name, summary) in Task::KINDS {
        print(&format!("  {name:<24} {summary}"));
    }
    print("\nLayers (`kind` in an experiment), with their published defaults at width 64:");
    for kind in MixerConfig::KINDS {
        let data = published(kind);
        let options: Vec<String> = data
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !["kind", "d_model"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        print(&format!("  {kind}\n      {}", options.join(", ")));
    }
    print("\nShipped experiments (recall run NAME):");
    for shipped in SHIPPED {
        print(&format!("  {:<24} {}", shipped.name, shipped.summary));
    }
    print(&format!("\nDevices (--device NAME): {}", device::names().join(", ")));
    Ok(true)
}

fn published(kind: &str) -> serde_json::Value {
    let config = MixerConfig::published(kind, 64).expect("a listed layer has defaults");
    serde_json::to_value(config).expect("a configuration is JSON")
}

fn as_json() -> serde_json::Value {
    let named = |all: Vec<(&str, &str)>| {
        let each = all.into_iter().map(|(name, summary)| json!({"name": name, "summary": summary}));
        each.collect::<Vec<_>>()
    };
    json!({
        "tasks": named(Task::KINDS.to_vec()),
        "layers": MixerConfig::KINDS.iter().map(|kind| published(kind)).collect::<Vec<_>>(),
        "experiments": named(SHIPPED.iter().map(|shipped| (shipped.name, shipped.summary)).collect()),
        "devices": device::names(),
    })
}
