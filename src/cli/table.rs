//! Tables that fit the width: the last column wraps, the others keep their shape.

use comfy_table::presets;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::term;
use crate::text::safe;

/// A table with a header; columns named with a leading `>` are right-aligned.
#[must_use]
pub fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(term::width() as u16);
    table.set_header(header.iter().map(|name| name.trim_start_matches('>').to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell)));
    }
    for (index, name) in header.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if name.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).map(|line| format!("{line}\n")).collect()
}
