use super::Rank::{First, Second};
use super::*;

type Queue = FairQueue<char, &'static str>;

fn queue(capacity: usize) -> Queue {
    FairQueue::new(capacity, SecondRank { capacity, at_once: 1 })
}

fn push(queue: &Queue, rank: Rank, item: &'static str) -> Pushed<&'static str> {
    queue.push(rank, item.chars().next().unwrap(), item)
}

/// Closes the queue and serves what is in it.
fn served(queue: &Queue) -> Vec<&'static str> {
    queue.close();
    let mut served = Vec::new();
    queue.serve(|item| served.push(item));
    served
}

#[test]
fn keys_take_turns_and_each_keeps_its_order() {
    let queue = queue(10);
    for item in ["a1", "a2", "a3", "b1", "c1", "c2"] {
        assert_eq!(push(&queue, First, item), Pushed::Queued);
    }
    assert_eq!(served(&queue), ["a1", "b1", "c1", "a2", "c2", "a3"]);
}

#[test]
fn who_fills_the_queue_makes_room_for_a_newcomer() {
    let queue = queue(3);
    for item in ["a1", "a2", "a3"] {
        push(&queue, First, item);
    }
    assert_eq!(push(&queue, First, "a4"), Pushed::Refused("a4"));
    assert_eq!(push(&queue, First, "b1"), Pushed::Instead("a3"));
    assert_eq!(push(&queue, First, "b2"), Pushed::Refused("b2"), "they have the same then");
    assert_eq!(served(&queue), ["a1", "b1", "a2"]);
}

#[test]
fn the_second_rank_waits_for_the_first_but_never_for_ever() {
    let queue = queue(20);
    for item in ["x1", "x2", "x3"] {
        push(&queue, Second, item);
    }
    for item in ["a1", "a2", "a3", "a4", "a5", "a6", "a7"] {
        push(&queue, First, item);
    }
    let order = ["a1", "a2", "a3", "x1", "a4", "a5", "a6", "x2", "a7", "x3"];
    assert_eq!(served(&queue), order);
}

#[test]
fn neither_rank_takes_the_other_ones_room() {
    let queue = queue(2);
    for (rank, items) in [(Second, ["x1", "x2", "x3"]), (First, ["a1", "a2", "a3"])] {
        assert_eq!(push(&queue, rank, items[0]), Pushed::Queued);
        assert_eq!(push(&queue, rank, items[1]), Pushed::Queued);
        assert_eq!(push(&queue, rank, items[2]), Pushed::Refused(items[2]));
    }
}

#[test]
fn however_slow_the_second_rank_is_it_leaves_a_thread_for_the_first() {
    let queue = std::sync::Arc::new(queue(10));
    for item in ["x1", "x2", "y1"] {
        push(&queue, Second, item);
    }
    let (began, begun) = crossbeam_channel::unbounded();
    let (go_on, may_go_on) = crossbeam_channel::unbounded::<()>();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (queue, began, may_go_on) = (queue.clone(), began.clone(), may_go_on.clone());
            std::thread::spawn(move || {
                queue.serve(|item| {
                    began.send(item).unwrap();
                    if !item.starts_with('a') {
                        may_go_on.recv().unwrap();
                    }
                });
            })
        })
        .collect();
    assert_eq!(begun.recv().unwrap(), "x1");
    // The other thread is free, although two more wait.
    for item in ["a1", "a2"] {
        push(&queue, First, item);
        assert_eq!(begun.recv().unwrap(), item);
    }
    for next in ["y1", "x2"] {
        go_on.send(()).unwrap();
        assert_eq!(begun.recv().unwrap(), next);
    }
    go_on.send(()).unwrap();
    queue.close();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn whoever_waits_hears_of_an_item_and_of_the_end() {
    let queue = std::sync::Arc::new(queue(1));
    let waiting = queue.clone();
    let (served, heard) = crossbeam_channel::unbounded();
    let thread = std::thread::spawn(move || waiting.serve(|item| served.send(item).unwrap()));
    assert_eq!(push(&queue, First, "x"), Pushed::Queued);
    assert_eq!(heard.recv().unwrap(), "x");
    queue.close();
    thread.join().unwrap();
    assert_eq!(push(&queue, First, "y"), Pushed::Refused("y"));
}
