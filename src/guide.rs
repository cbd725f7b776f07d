//! The guide, page by page. It begins on the [crate's page](crate).
//!
//! At its end each file says where its links lead on a forge. Of two definitions the first one counts:
//! what stands before a page here leads to the page or item of the documentation.

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/cookbook.md")]
pub mod cookbook {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/modes.md")]
pub mod modes {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/fusion.md")]
pub mod fusion {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/products.md")]
pub mod products {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/accuracy.md")]
pub mod accuracy {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/measuring.md")]
pub mod measuring {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/measured.md")]
pub mod measured {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/limits.md")]
pub mod limits {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/faq.md")]
pub mod faq {}
