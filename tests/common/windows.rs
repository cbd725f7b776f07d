//! Arrays that share memory: windows of one. Inputs are only read, so they may overlap in any way.

use crate::Rng;

/// Where the elements of an array lie among those of a memory that others use too.
#[derive(Clone, Debug)]
pub struct Window {
    pub shape: Vec<usize>,
    /// The place of the first element.
    pub first: usize,
    /// Elements from one to the next along each axis.
    pub steps: Vec<isize>,
}

impl Window {
    /// The place of each element, the last axis being the fastest.
    pub fn places(&self) -> Vec<usize> {
        let mut places = vec![self.first];
        for (&size, &step) in self.shape.iter().zip(&self.steps) {
            let along =
                |&at: &usize| (0..size).map(move |i| at.wrapping_add_signed(i as isize * step));
            places = places.iter().flat_map(along).collect();
        }
        places
    }

    /// How far it reaches before its first element, and after.
    fn reach(&self) -> [usize; 2] {
        let far = self.shape.iter().zip(&self.steps);
        let far = far.map(|(&size, &step)| size.saturating_sub(1) as isize * step);
        far.fold([0, 0], |[before, after], far| match far < 0 {
            true => [before + far.unsigned_abs(), after],
            false => [before, after + far.unsigned_abs()],
        })
    }
}

/// Windows of these shapes, and how many elements their memory has.
///
/// The first is an array, whose rows may be padded. Another one goes along each axis as one before it does, or
/// stays where it is, or goes backwards, or in steps of another axis: it may be a column of that one, a row, a
/// diagonal, the same elements flipped or transposed, or a part that overlaps it. A column has a number for each
/// row, as far from one another as rows are.
pub fn cut(rng: &mut Rng, shapes: &[Vec<usize>]) -> (usize, Vec<Window>) {
    let mut windows: Vec<Window> = Vec::new();
    for shape in shapes {
        let window = match windows.is_empty() {
            true => array(rng, shape),
            false => {
                let lead = rng.below(windows.len()) * rng.below(2);
                like(rng, &windows[lead], shape)
            }
        };
        windows.push(window);
    }
    // Until here, places are counted from that of the first one.
    let before = windows.iter().map(|window| window.reach()[0]).max().unwrap_or(0);
    let end = |window: &Window| before + window.first + window.reach()[1] + 1;
    let len = windows.iter().map(end).max().unwrap_or(0);
    windows.iter_mut().for_each(|window| window.first += before);
    (len, windows)
}

fn array(rng: &mut Rng, shape: &[usize]) -> Window {
    let mut steps = vec![0; shape.len()];
    let mut step = 1;
    for (to, &size) in steps.iter_mut().zip(shape).rev() {
        *to = step;
        step *= size.max(1) as isize;
        step += rng.pick(&[0, 0, 0, 1, 5, 16]);
    }
    Window { shape: shape.to_vec(), first: 0, steps }
}

fn like(rng: &mut Rng, lead: &Window, shape: &[usize]) -> Window {
    let (rank, known) = (shape.len(), lead.shape.len());
    let most = 4 * (lead.reach()[1] + 64);
    let any = |rng: &mut Rng| if known == 0 { 1 } else { lead.steps[rng.below(known)] };
    let mut steps: Vec<isize> = (0..rank)
        .map(|axis| {
            // Shapes align at the end.
            let own = (axis + known).checked_sub(rank).map_or(1, |axis| lead.steps[axis]);
            match rng.below(10) {
                0 => 0,
                1 => -own,
                2 => own + any(rng),
                3 => any(rng),
                4 => [1, 2, -1, shape[axis] as isize][rng.below(4)],
                _ => own,
            }
        })
        .collect();
    let along = any(rng).unsigned_abs();
    let after = rng.pick(&[0, 0, 1, 3, along]);
    let (shape, first) = (shape.to_vec(), lead.first + after);
    // A step of one axis may be far along another.
    for (step, &size) in steps.iter_mut().zip(&shape) {
        if step.unsigned_abs().saturating_mul(size) > most {
            *step = 1;
        }
    }
    Window { shape, first, steps }
}
