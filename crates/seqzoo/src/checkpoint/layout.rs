//! How the numbers of a parameter lie in a published file, and here.

/// How a published tensor lies, compared with the parameter that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    form: Form,
    rows: Option<Rows>,
    stack: Option<Stack>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Same,
    Transposed,
    Depthwise,
}

/// Some rows of a published tensor that holds several parameters: `groups` times in turn the rows of each part.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rows {
    groups: usize,
    parts: Vec<usize>,
    part: usize,
}

/// One of `count` tensors that lie in one, along an axis in front of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stack {
    count: usize,
    index: usize,
}

impl Rows {
    /// The rows of the published tensor.
    fn published(&self) -> usize {
        self.groups * self.parts.iter().sum::<usize>()
    }
}

impl Layout {
    /// As the parameter.
    pub const SAME: Self = Self { form: Form::Same, rows: None, stack: None };
    /// `[out, in]`, where the parameter is `[in, out]`: PyTorch's linear maps.
    pub const TRANSPOSED: Self = Self { form: Form::Transposed, rows: None, stack: None };
    /// `[C, 1, W]`, where the parameter is `[C, W]`: PyTorch's depthwise convolutions.
    pub const DEPTHWISE: Self = Self { form: Form::Depthwise, rows: None, stack: None };

    /// The same, but the published tensor holds several parameters as its rows: `groups` times in turn `parts[0]` rows of
    /// the first, `parts[1]` of the second and so on. The parameter is the one of `part`, its groups joined.
    pub fn rows(self, groups: usize, parts: &[usize], part: usize) -> Self {
        Self { rows: Some(Rows { groups, parts: parts.to_vec(), part }), ..self }
    }

    /// The same, but the published tensor holds `count` such tensors along an axis in front of theirs; this is the first.
    pub fn stacked(self, count: usize) -> Self {
        Self { stack: Some(Stack { count, index: 0 }), ..self }
    }

    /// That of the number `index` of [these](Self::stacked).
    pub fn at(&self, index: usize) -> Self {
        let stack = self.stack.map(|stack| Stack { index, ..stack });
        Self { stack, ..self.clone() }
    }

    /// Whether the published tensor holds other parameters as well.
    pub fn is_part(&self) -> bool {
        self.rows.is_some() || self.stack.is_some()
    }

    /// The shape of the published tensor for a parameter of the shape `ours`.
    pub fn published_shape(&self, ours: &[usize]) -> Vec<usize> {
        let mut shape = match (self.form, ours) {
            (Form::Transposed, [input, output]) => vec![*output, *input],
            (Form::Depthwise, [channels, width]) => vec![*channels, 1, *width],
            _ => ours.to_vec(),
        };
        if let (Some(rows), Some(first)) = (&self.rows, shape.first_mut()) {
            *first = rows.published();
        }
        if let Some(stack) = self.stack {
            shape.insert(0, stack.count);
        }
        shape
    }

    /// How the numbers of a parameter of the shape `ours` are taken from the published ones.
    pub fn order(&self, ours: &[usize]) -> Order<'_> {
        let (rows, columns) = match (self.form, ours) {
            (Form::Transposed, [input, output]) => (*output, *input),
            (_, [rows, columns @ ..]) => (*rows, columns.iter().product()),
            (_, []) => (1, 1),
        };
        let own = self.rows.as_ref().map_or(rows, Rows::published);
        let before = self.stack.map_or(0, |stack| stack.index * own);
        let transposed = self.form == Form::Transposed;
        Order { rows, columns, transposed, joint: self.rows.as_ref(), before }
    }
}

/// Which published number becomes which of a parameter.
pub(super) struct Order<'a> {
    /// The rows of the parameter as they are published.
    rows: usize,
    columns: usize,
    transposed: bool,
    joint: Option<&'a Rows>,
    /// The rows of the published tensor in front of those of the parameter's own part.
    before: usize,
}

/// Rows and columns that are turned at a time, so that both sides stay in cache.
const TILE: usize = 32;

impl Order<'_> {
    /// The place of the row among those of the published tensor.
    fn published_row(&self, row: usize) -> usize {
        let Some(Rows { groups: _, parts, part }) = self.joint else { return row };
        let (group, within) = (row / parts[*part], row % parts[*part]);
        group * parts.iter().sum::<usize>() + parts[..*part].iter().sum::<usize>() + within
    }

    /// Calls `each(ours, published)` with the places of every number.
    fn each(&self, mut each: impl FnMut(usize, usize)) {
        for top in (0..self.rows).step_by(TILE) {
            for left in (0..self.columns).step_by(TILE) {
                for row in top..self.rows.min(top + TILE) {
                    let published = (self.before + self.published_row(row)) * self.columns;
                    for column in left..self.columns.min(left + TILE) {
                        let ours = match self.transposed {
                            true => column * self.rows + row,
                            false => row * self.columns + column,
                        };
                        each(ours, published + column);
                    }
                }
            }
        }
    }

    /// The bytes of the parameter: those of the published numbers, each `W` of them through `convert`.
    pub fn gather<const W: usize, const V: usize>(
        &self,
        published: &[u8],
        convert: impl Fn([u8; W]) -> [u8; V],
    ) -> Vec<u8> {
        let mut ours = vec![0; self.rows * self.columns * V];
        let (from, _) = published.as_chunks::<W>();
        let (to, _) = ours.as_chunks_mut::<V>();
        if !self.transposed && self.joint.is_none() {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = convert(*from));
            return ours;
        }
        self.each(|ours, published| to[ours] = convert(from[published]));
        ours
    }

    /// Puts the bytes of the parameter, numbers of `W` bytes, to their places among the published ones.
    pub fn scatter<const W: usize>(&self, ours: &[u8], published: &mut [u8]) {
        let (from, _) = ours.as_chunks::<W>();
        let (to, _) = published.as_chunks_mut::<W>();
        self.each(|ours, published| to[published] = from[ours]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(layout: Layout, ours: &[usize], published: &[u8]) -> Vec<u8> {
        let found = layout.order(ours).gather(published, |byte: [u8; 1]| byte);
        let mut back = vec![0; published.len()];
        layout.order(ours).scatter::<1>(&found, &mut back);
        let kept = back.iter().zip(published).filter(|(back, published)| back == published).count();
        assert!(kept >= found.len(), "scattered, they are where they were gathered");
        found
    }

    #[test]
    fn a_linear_map_is_turned() {
        assert_eq!(gathered(Layout::TRANSPOSED, &[2, 3], &[1, 2, 3, 4, 5, 6]), [1, 3, 5, 2, 4, 6]);
        assert_eq!(Layout::TRANSPOSED.published_shape(&[2, 3]), [3, 2]);
    }

    #[test]
    fn a_convolution_has_an_axis_more() {
        assert_eq!(gathered(Layout::DEPTHWISE, &[2, 2], &[1, 2, 3, 4]), [1, 2, 3, 4]);
        assert_eq!(Layout::DEPTHWISE.published_shape(&[2, 2]), [2, 1, 2]);
    }

    #[test]
    fn rows_of_a_joint_projection_are_cut_out() {
        // Two groups of a row of the first part and two of the second, in columns of two.
        let published: Vec<u8> = (0..12).collect();
        let part = |part| Layout::TRANSPOSED.rows(2, &[1, 2], part);
        assert_eq!(part(0).published_shape(&[2, 2]), [6, 2]);
        assert_eq!(gathered(part(0), &[2, 2], &published), [0, 6, 1, 7]);
        assert_eq!(gathered(part(1), &[2, 4], &published), [2, 4, 8, 10, 3, 5, 9, 11]);
        let bias = Layout::SAME.rows(1, &[2, 1], 1);
        assert_eq!(gathered(bias, &[1], &[7, 8, 9]), [9]);
    }

    #[test]
    fn one_of_several_tensors_is_cut_out() {
        let published: Vec<u8> = (0..24).collect();
        let second = Layout::TRANSPOSED.rows(1, &[1, 2], 1).stacked(4).at(1);
        assert_eq!(second.published_shape(&[2, 2]), [4, 3, 2]);
        assert_eq!(gathered(second, &[2, 2], &published), [8, 10, 9, 11]);
        let last = Layout::TRANSPOSED.stacked(4).at(3);
        assert_eq!(gathered(last, &[2, 3], &published), [18, 20, 22, 19, 21, 23]);
    }

    #[test]
    fn large_matrices_are_turned_in_tiles() {
        let (rows, columns) = (TILE + 3, 2 * TILE + 1);
        let published: Vec<u8> = (0..rows * columns).map(|number| (number % 251) as u8).collect();
        let found = gathered(Layout::TRANSPOSED, &[columns, rows], &published);
        for (place, number) in found.into_iter().enumerate() {
            let (column, row) = (place / rows, place % rows);
            assert_eq!(number, published[row * columns + column]);
        }
    }
}
