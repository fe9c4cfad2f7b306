//! A quiet row costs no allocation: as many for a hundred thousand rows as for ten.
#![allow(unsafe_code, missing_docs, reason = "an allocator that counts has to be one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pgsteward_sdk::prelude::*;
use pgsteward_sdk::wire::{self, Column, Frame};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

plugin! {
    plugin "quiet" { version "1.0.0"; }

    rule "quiet" {
        title "Dead rows";
        settings Limits { number most = 5.0, 1.0..=9.0, "rows", "warn above"; }
        from "tables" row Table { gauge dead; rate n_tup_upd as updates; optional gauge vacuum_age; }
        rows judge;
    }
}

fn judge(t: &Table, set: &Limits) -> Option<Finding> {
    (t.dead + t.updates > set.most).then(|| info("dead"))
}

fn allocations(rows: u32) -> usize {
    let frame = Frame { name: "tables".into(), rows, age: 0.0, interval: None, extra: vec![] };
    // Every third row is unknown.
    let values = |n: u32| if n.is_multiple_of(3) { f64::NAN } else { 1.0 };
    let column = || Column { values: (0..rows).map(values).collect(), present: true };
    let absent = Column { values: vec![], present: false };
    let columns = vec![column(), column(), absent];
    let input = wire::Input { now: 0.0, frames: vec![frame], columns, firing: vec![], settings: vec![], extra: vec![] };
    let before = COUNT.get();
    let evaluation = pgsteward_sdk::evaluate(Plugin::RULES, "quiet", input);
    let count = COUNT.get() - before;
    assert_eq!(evaluation, Ok(Evaluation::quiet()));
    count
}

#[test]
fn as_many_allocations_for_many_rows_as_for_few() {
    assert_eq!(allocations(100_000), allocations(10));
    let before = COUNT.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(COUNT.get(), before + 1, "the allocator does not count");
}
