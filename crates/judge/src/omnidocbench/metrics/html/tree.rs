//! A document as a list of elements in the order in which they begin.

/// An element with the text that belongs to it in lxml's manner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Tag, in lower case.
    pub name: String,
    /// Attributes, sorted by name; of equal names the first that was written.
    pub attributes: Vec<(String, String)>,
    /// Text before the first child.
    pub text: String,
    /// Text between the element's end and whatever follows in its parent.
    pub tail: String,
    /// Indices of the children in [`Tree::elements`].
    pub children: Vec<usize>,
}

impl Element {
    /// The value of the attribute `name`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name)?;
        Some(&found.1)
    }
}

/// A parsed document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// All elements; a parent comes before its children, and a subtree lies in one stretch.
    pub elements: Vec<Element>,
    /// Elements without parent. The first is the document's root; broken markup may leave more.
    pub roots: Vec<usize>,
}

impl Tree {
    /// The element at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&Element> {
        self.elements.get(index)
    }

    /// The children of `index` whose tag is `name`.
    pub fn children_named<'a>(
        &'a self,
        index: usize,
        name: &'a str,
    ) -> impl Iterator<Item = usize> + 'a {
        let children = self.get(index).map_or(&[][..], |found| &found.children);
        let named = move |&child: &usize| self.get(child).is_some_and(|found| found.name == name);
        children.iter().copied().filter(named)
    }

    /// Indices of everything below `index`.
    pub fn descendants(&self, index: usize) -> std::ops::Range<usize> {
        let mut last = index;
        while let Some(&child) = self.get(last).and_then(|found| found.children.last()) {
            last = child;
        }
        index + 1..last + 1
    }
}
