//! `list`.

use super::print;
use crate::experiment::TIERS;
use crate::task::Task;
use crate::{Error, device};
use seqzoo::MixerConfig;

/// Prints everything that has a name.
pub(super) fn list() -> Result<bool, Error> {
    print("Tasks (recall show TASK):");
    for (name, summary) in Task::KINDS {
        print(&format!("  {name:<24} {summary}"));
    }
    print("\nLayers (`kind` in an experiment), with their published defaults at width 64:");
    for kind in MixerConfig::KINDS {
        let config = MixerConfig::published(kind, 64).expect("a listed layer has defaults");
        let data = serde_json::to_value(config).expect("a configuration is JSON");
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
    for tier in TIERS {
        print(&format!("  {:<24} {}", tier.name, tier.summary));
    }
    print(&format!("\nDevices (--device NAME): {}", device::names().join(", ")));
    Ok(true)
}
