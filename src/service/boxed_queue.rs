//! A queue that takes no memory while it is empty, and little where it stands:
//! almost everybody's is.

use std::collections::VecDeque;

/// First in, first out.
#[expect(clippy::box_collection, reason = "an empty one takes 8 bytes instead of 32")]
#[derive(Debug)]
pub struct BoxedQueue<T>(Option<Box<VecDeque<T>>>);

impl<T> Default for BoxedQueue<T> {
    fn default() -> Self {
        BoxedQueue(None)
    }
}

impl<T> BoxedQueue<T> {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The oldest one.
    pub fn front(&self) -> Option<&T> {
        self.0.as_ref()?.front()
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|queue| queue.iter())
    }

    /// Adds one.
    pub fn push_back(&mut self, item: T) {
        self.0.get_or_insert_default().push_back(item);
    }

    /// Takes one out of its place.
    pub fn remove(&mut self, at: usize) -> Option<T> {
        let queue = self.0.as_mut()?;
        let removed = queue.remove(at);
        if queue.is_empty() {
            self.0 = None;
        }
        removed
    }

    /// Takes all out, oldest first.
    pub fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.0.take().into_iter().flat_map(|queue| *queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_in_order_and_the_last_takes_the_memory_with_it() {
        let mut queue = BoxedQueue::default();
        (1..=4).for_each(|number| queue.push_back(number));
        assert_eq!(queue.remove(1), Some(2));
        assert_eq!(queue.remove(7), None);
        assert_eq!((queue.front(), queue.len()), (Some(&1), 3));
        assert_eq!(queue.take().collect::<Vec<_>>(), [1, 3, 4]);
        assert!(queue.is_empty());
        queue.push_back(5);
        assert_eq!(queue.remove(0), Some(5));
        assert!(queue.is_empty());
    }
}
