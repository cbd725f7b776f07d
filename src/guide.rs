//! The guide, page by page. It begins on the [crate's page](crate).
//!
//! At its end each file says where its links lead on a forge. Of two definitions the first one counts:
//! what stands before a page here leads to the page or item of the documentation.

macro_rules! page {
    ($name:ident $file:literal) => {
        #[doc = include_str!("links.md")]
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

page!(cookbook "../docs/cookbook.md");
page!(modes "../docs/modes.md");
page!(fusion "../docs/fusion.md");
page!(accuracy "../docs/accuracy.md");
page!(measured "../docs/measured.md");
page!(limits "../docs/limits.md");
page!(faq "../docs/faq.md");
