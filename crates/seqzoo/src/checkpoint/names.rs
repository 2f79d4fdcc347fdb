//! The names of parameters: here, and in published files.

use super::layout::Layout;

/// What one parameter is called in a published file, and how it lies there. `*` in both names stands for a number, such
/// as that of the layer.
pub(super) struct Name {
    pub ours: &'static str,
    pub published: &'static str,
    pub layout: Layout,
    /// Another name that some files give it, and how it lies there. Where that has fewer `*`, the next number is the place
    /// of the parameter among those that the tensor [holds](Layout::stacked).
    pub also: Option<(&'static str, Layout)>,
}

/// A parameter that lies in a published file as it does here.
pub(super) const fn same(ours: &'static str, published: &'static str) -> Name {
    Name { ours, published, layout: Layout::SAME, also: None }
}

/// A parameter that lies in a published file in a way of its own.
pub(super) const fn laid(ours: &'static str, published: &'static str, layout: Layout) -> Name {
    Name { ours, published, layout, also: None }
}

/// The weight of a linear map.
pub(super) const fn linear(ours: &'static str, published: &'static str) -> Name {
    Name { ours, published, layout: Layout::TRANSPOSED, also: None }
}

/// The taps of a depthwise convolution.
pub(super) const fn taps(ours: &'static str, published: &'static str) -> Name {
    Name { ours, published, layout: Layout::DEPTHWISE, also: None }
}

impl Name {
    /// The same with another name that some files give it.
    pub fn or(self, also: &'static str) -> Self {
        Self { also: Some((also, self.layout.clone())), ..self }
    }

    /// The same with another name that some files give it, in which it lies in another way.
    pub fn or_laid(self, also: &'static str, layout: Layout) -> Self {
        Self { also: Some((also, layout)), ..self }
    }
}

/// The names of all parameters of a model.
pub(super) struct Names {
    pub names: Vec<Name>,
    /// Published tensors that may be left out, and are equal to another one where they are there.
    pub copies: Vec<Copy>,
    /// How the names of published tensors begin that are no part of the model.
    pub ignored: &'static [&'static str],
}

/// A published tensor that is the same as another one. `*` as in [`Name`].
pub(super) struct Copy {
    pub name: &'static str,
    pub of: &'static str,
}

/// What a parameter of this library is called in a published file.
pub(super) struct Place<'a> {
    pub published: String,
    pub also: Option<(String, Layout)>,
    pub layout: &'a Layout,
}

impl Names {
    /// The place of the parameter `path`, if the architecture has one for it.
    pub fn place(&self, path: &str) -> Option<Place<'_>> {
        self.names.iter().find_map(|name| {
            let numbers = matched(name.ours, path)?;
            let also = name.also.as_ref().map(|(also, layout)| {
                let next = numbers.get(also.matches('*').count()).and_then(|number| number.parse().ok());
                (filled(also, &numbers), next.map_or_else(|| layout.clone(), |index| layout.at(index)))
            });
            Some(Place { published: filled(name.published, &numbers), also, layout: &name.layout })
        })
    }

    /// What the published tensor `name` would be a copy of.
    pub fn original(&self, name: &str) -> Option<String> {
        self.copies.iter().find_map(|copy| Some(filled(copy.of, &matched(copy.name, name)?)))
    }
}

/// The numbers in `path` where `pattern` has `*`, if the two agree elsewhere.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (mut wanted, mut found) = (pattern.split('.'), path.split('.'));
    let mut numbers = Vec::new();
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some(numbers),
            (Some("*"), Some(part)) if is_index(part) => numbers.push(part),
            (Some(wanted), Some(part)) if wanted == part => {}
            _ => return None,
        }
    }
}

/// Whether `part` is a number as one is written in a name: without signs or zeros in front.
fn is_index(part: &str) -> bool {
    part.parse::<usize>().is_ok_and(|number| number.to_string() == part)
}

/// `pattern` with `numbers` for its `*`.
fn filled(pattern: &str, numbers: &[&str]) -> String {
    let mut numbers = numbers.iter();
    let parts = pattern.split('.').map(|part| match part {
        "*" => numbers.next().copied().unwrap_or(part),
        part => part,
    });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            names: vec![
                same("norm.gamma", "norm_f.weight"),
                linear("blocks.*.query.weight", "layers.*.q_proj.weight").or("layers.*.wq.weight"),
                linear("blocks.*.experts.*.up.weight", "layers.*.experts.*.up_proj.weight")
                    .or_laid("layers.*.experts.up_proj", Layout::TRANSPOSED.stacked(16)),
            ],
            ignored: &[],
            copies: vec![Copy { name: "lm_head.weight", of: "embeddings.weight" }],
        }
    }

    #[test]
    fn numbers_are_carried_over() {
        let names = names();
        let place = names.place("blocks.12.query.weight").unwrap();
        assert_eq!(place.published, "layers.12.q_proj.weight");
        assert_eq!(place.also, Some(("layers.12.wq.weight".into(), Layout::TRANSPOSED)));
        let place = names.place("blocks.3.experts.10.up.weight").unwrap();
        assert_eq!(place.published, "layers.3.experts.10.up_proj.weight");
        let stacked = Layout::TRANSPOSED.stacked(16);
        assert_eq!(place.also, Some(("layers.3.experts.up_proj".into(), stacked.at(10))));
        assert_eq!(names.original("lm_head.weight").as_deref(), Some("embeddings.weight"));
    }

    #[test]
    fn what_has_no_name_is_not_found() {
        for path in ["norm", "norm.gamma.x", "blocks.x.query.weight", "blocks.01.query.weight", ""] {
            assert!(names().place(path).is_none());
        }
    }
}
