//! Tokens to vectors: rows of the token table, and of pictures among them.

use super::{ActId, Field, Host, Kernel, MatrixRef, Operand, Rows, Run, matmul::weight_file, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = table\[id - first\] · scale, and the rows of pictures in the places of their tokens. Rows of y that are neither in this part of
/// the table nor a picture's stay as they are, so that several parts fill them one after the other.
#[derive(Debug, Clone)]
pub struct Embed {
    /// `[rows]`, u32: an id, or with [`super::PICTURE`] added the number of a row of `pictures`
    pub ids: ActId,
    /// `[its rows, dim]`: the table or some of its rows
    pub table: MatrixRef,
    /// The id of its first row.
    pub first: u32,
    /// `[any, dim]`, which are not scaled; none leaves the rows of pictures to another part.
    pub pictures: Option<ActId>,
    /// `[rows, dim]`
    pub y: ActId,
    /// Rows of y.
    pub rows: Rows,
    /// What rows of the table are multiplied by (Gemma: √dim).
    pub scale: f32,
}

params! {
    struct Params {
        rows: u32,
        inner: u32,
        first: u32,
        count: u32,
        scale: f32,
    }
}

impl Kernel for Embed {
    fn shader(&self, _tier: Tier) -> Shader {
        let format = self.table.format;
        let shader = Shader::new("embed", wgsl!("embed.wgsl")).and(weight_file(format));
        Shader { variant: format.name().into(), ..shader }.with("HAS_PICTURES", self.pictures.is_some())
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let MatrixRef { rows: count, cols: inner, .. } = self.table;
        let params = Params { rows: self.rows.of(run), inner, first: self.first, count, scale: self.scale };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((self.rows.of(run) * self.table.cols.div_ceil(4)).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        let pictures = self.pictures.map_or(Operand::Nothing, Operand::Act);
        vec![Operand::Act(self.ids), pictures, Operand::Act(self.y)]
    }
    fn matrix(&self) -> Option<MatrixRef> {
        Some(self.table)
    }
    /// One multiplication a number: this is fast enough.
    fn reference(&self, run: Run, host: &mut Host) {
        let (rows, dim) = (self.rows.of(run) as usize, self.table.cols as usize);
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..rows * dim];
        let (ids, pictures) = (&host.acts[self.ids.0][..rows], self.pictures.map(|pictures| host.floats(pictures)));
        reference::embed(ids, &host.weights[self.table.id.0], self.first, self.scale, pictures, y);
        host.acts[self.y.0] = act;
    }
}
