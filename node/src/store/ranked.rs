//! An ordered set in which every item's rank is known: a B+ tree that counts.

use std::ops::Range;

/// The most items of a leaf and the most children of a branch.
const MAX_WIDTH: usize = 64;

/// Neighbours together no wider than this become one.
const MERGED_WIDTH: usize = MAX_WIDTH * 3 / 4;

/// Items in ascending order. Adding, removing, ranking and finding by rank take logarithmic time.
#[derive(Clone, Debug)]
pub(super) struct Ranked<T> {
    root: Node<T>,
    len: usize,
}

#[derive(Clone, Debug)]
enum Node<T> {
    Leaf(Vec<T>),
    Branch(Vec<Child<T>>),
}

#[derive(Clone, Debug)]
struct Child<T> {
    /// No item of this child is below it, and every item of the child before it is.
    floor: T,
    /// Number of items below it in the tree.
    len: usize,
    node: Node<T>,
}

impl<T> Default for Ranked<T> {
    fn default() -> Self {
        Self {
            root: Node::Leaf(Vec::new()),
            len: 0,
        }
    }
}

impl<T: Ord + Clone> Ranked<T> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds an item; false if it was there.
    pub(super) fn insert(&mut self, item: T) -> bool {
        let (added, split) = self.root.insert(item);
        if let Some(right) = split {
            let left = std::mem::replace(&mut self.root, Node::Branch(Vec::with_capacity(2)));
            if let (Node::Branch(children), Some(floor)) = (&mut self.root, left.first().cloned()) {
                let len = self.len + usize::from(added) - right.len;
                children.push(Child {
                    floor,
                    len,
                    node: left,
                });
                children.push(right);
            }
        }
        self.len += usize::from(added);
        added
    }

    /// Removes an item; false if there was none.
    pub(super) fn remove(&mut self, item: &T) -> bool {
        let removed = self.root.remove(item);
        self.len -= usize::from(removed);
        while let Node::Branch(children) = &mut self.root
            && children.len() <= 1
        {
            self.root = children
                .pop()
                .map_or(Node::Leaf(Vec::new()), |only| only.node);
        }
        removed
    }

    /// How many items come before the first that is not `below`, which must hold of a first part
    /// of the items and of no other.
    pub(super) fn count_while(&self, below: impl Fn(&T) -> bool) -> usize {
        let mut node = &self.root;
        let mut before = 0;
        loop {
            match node {
                Node::Leaf(items) => return before + items.partition_point(&below),
                Node::Branch(children) => {
                    let after = children
                        .get(1..)
                        .unwrap_or_default()
                        .partition_point(|child| below(&child.floor));
                    before += children[..after]
                        .iter()
                        .map(|child| child.len)
                        .sum::<usize>();
                    node = &children[after].node;
                }
            }
        }
    }

    /// The item of a rank.
    pub(super) fn nth(&self, rank: usize) -> Option<&T> {
        let (leaf, start) = self.leaf_of(rank)?;
        leaf.get(rank - start)
    }

    /// The items of some ranks.
    pub(super) fn range(&self, ranks: Range<usize>) -> Iter<'_, T> {
        let end = ranks.end.min(self.len);
        Iter {
            tree: self,
            ranks: ranks.start.min(end)..end,
            front: (&[], 0),
            back: (&[], 0),
        }
    }

    /// The leaf that holds a rank, and the rank of its first item.
    fn leaf_of(&self, rank: usize) -> Option<(&[T], usize)> {
        if rank >= self.len {
            return None;
        }
        let mut node = &self.root;
        let mut before = 0;
        loop {
            match node {
                Node::Leaf(items) => return Some((items, before)),
                Node::Branch(children) => {
                    let child = children.iter().find(|child| {
                        let holds = rank < before + child.len;
                        if !holds {
                            before += child.len;
                        }
                        holds
                    })?;
                    node = &child.node;
                }
            }
        }
    }
}

impl<T: Ord + Clone> Node<T> {
    /// Whether the item is new, and what became too much for this node.
    fn insert(&mut self, item: T) -> (bool, Option<Child<T>>) {
        match self {
            Self::Leaf(items) => {
                let Err(place) = items.binary_search(&item) else {
                    return (false, None);
                };
                if items.len() < MAX_WIDTH {
                    items.insert(place, item);
                    return (true, None);
                }
                // A tree that only grows at its end is left full behind.
                let at = if place == items.len() {
                    items.len()
                } else {
                    items.len() / 2
                };
                let mut right = items.split_off(at);
                if place > at || right.is_empty() {
                    right.insert(place - at, item);
                } else {
                    items.insert(place, item);
                }
                let split = right.first().cloned().map(|floor| Child {
                    floor,
                    len: right.len(),
                    node: Self::Leaf(right),
                });
                (true, split)
            }
            Self::Branch(children) => {
                let place = child_of(children, &item);
                let child = &mut children[place];
                let (added, split) = child.node.insert(item);
                child.len += usize::from(added);
                if let Some(right) = split {
                    child.len -= right.len;
                    children.insert(place + 1, right);
                }
                if children.len() <= MAX_WIDTH {
                    return (added, None);
                }
                let at = if place + 2 == children.len() {
                    place + 1
                } else {
                    children.len() / 2
                };
                let right = children.split_off(at);
                let floor = right.first().map(|first| first.floor.clone());
                let split = floor.map(|floor| Child {
                    floor,
                    len: right.iter().map(|child| child.len).sum(),
                    node: Self::Branch(right),
                });
                (added, split)
            }
        }
    }

    fn remove(&mut self, item: &T) -> bool {
        match self {
            Self::Leaf(items) => {
                let found = items.binary_search(item);
                if let Ok(place) = found {
                    items.remove(place);
                }
                found.is_ok()
            }
            Self::Branch(children) => {
                let place = child_of(children, item);
                if !children[place].node.remove(item) {
                    return false;
                }
                children[place].len -= 1;
                if children[place].len == 0 {
                    children.remove(place);
                } else if !merge(children, place) && place > 0 {
                    merge(children, place - 1);
                }
                true
            }
        }
    }

    const fn width(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Branch(children) => children.len(),
        }
    }

    fn first(&self) -> Option<&T> {
        match self {
            Self::Leaf(items) => items.first(),
            Self::Branch(children) => children.first().map(|child| &child.floor),
        }
    }
}

/// The child an item belongs to.
fn child_of<T: Ord>(children: &[Child<T>], item: &T) -> usize {
    children
        .get(1..)
        .unwrap_or_default()
        .partition_point(|child| child.floor <= *item)
}

/// Makes one child of two neighbours, if they are narrow.
fn merge<T: Ord + Clone>(children: &mut Vec<Child<T>>, left: usize) -> bool {
    let Some([first, second]) = children.get(left..left + 2) else {
        return false;
    };
    if first.node.width() + second.node.width() > MERGED_WIDTH {
        return false;
    }
    let second = children.remove(left + 1);
    let first = &mut children[left];
    first.len += second.len;
    match (&mut first.node, second.node) {
        (Node::Leaf(items), Node::Leaf(more)) => items.extend(more),
        (Node::Branch(children), Node::Branch(more)) => children.extend(more),
        (Node::Leaf(_), Node::Branch(_)) | (Node::Branch(_), Node::Leaf(_)) => {
            unreachable!("all leaves are equally deep")
        }
    }
    true
}

/// Items in order, from both ends.
#[derive(Clone, Debug)]
pub(super) struct Iter<'a, T> {
    tree: &'a Ranked<T>,
    ranks: Range<usize>,
    /// A leaf, and the rank of its first item.
    front: (&'a [T], usize),
    back: (&'a [T], usize),
}

impl<'a, T: Ord + Clone> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        let rank = self.ranks.next()?;
        if rank >= self.front.1 + self.front.0.len() {
            self.front = self.tree.leaf_of(rank)?;
        }
        self.front.0.get(rank - self.front.1)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranks.size_hint()
    }
}

impl<T: Ord + Clone> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let rank = self.ranks.next_back()?;
        if self.back.0.is_empty() || rank < self.back.1 {
            self.back = self.tree.leaf_of(rank)?;
        }
        self.back.0.get(rank - self.back.1)
    }
}

impl<T: Ord + Clone> ExactSizeIterator for Iter<'_, T> {}
