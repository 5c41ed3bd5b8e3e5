//! `math`: is the answer the same number, quantity, expression, list, set, interval, relation, date
//! or text?
//!
//! ```text
//! completion ─extract─▶ text ─normal─▶ one spelling ─lexer─▶ tokens ─tidy─▶ words that are numbers
//!            ─list/item/scalar─▶ Value ─equal─▶ right / wrong
//! ```
//!
//! *Text is text.* A reading as mathematics is tried only where a side has its form: letters side by
//! side are a word unless a sign, a number or their spelling says that they are a product; a word
//! before a number is dropped only if it is in the closed list of introductions (`phrases`), behind
//! a number only if it is a unit (`units`), a closing word or what is counted; two sides that count
//! different things are different. `5-7`, `12:30`, `2019-05-03` are never computed. What no reading
//! takes is compared as text (`text`), so that no row is lost.
//!
//! Rational expressions, with variables or without, are compared exactly (`modular`); everything
//! else by value at fixed points (`numeric`). Each stage draws on one step budget.

mod budget;
mod compare;
mod equal;
mod expr;
mod forms;
mod greek;
mod item;
mod label;
mod lexer;
mod list;
mod modular;
mod normal;
mod number;
mod numerals;
mod numeric;
mod operand;
mod parser;
mod phrases;
mod quantity;
mod read;
mod reader;
mod relation;
mod scalar;
mod sets;
mod split;
mod text;
mod tidy;
mod token;
mod unit;
mod units;
mod value;
mod vector;
mod verifier;
mod words;

pub use verifier::Math;
