//! Greek letters by name and by sign.

const GREEK: [(&str, char); 23] = [
    ("alpha", 'α'),
    ("beta", 'β'),
    ("gamma", 'γ'),
    ("delta", 'δ'),
    ("epsilon", 'ε'),
    ("zeta", 'ζ'),
    ("eta", 'η'),
    ("theta", 'θ'),
    ("iota", 'ι'),
    ("kappa", 'κ'),
    ("lambda", 'λ'),
    ("mu", 'μ'),
    ("nu", 'ν'),
    ("xi", 'ξ'),
    ("rho", 'ρ'),
    ("sigma", 'σ'),
    ("tau", 'τ'),
    ("phi", 'φ'),
    ("chi", 'χ'),
    ("psi", 'ψ'),
    ("omega", 'ω'),
    ("Delta", 'Δ'),
    ("Omega", 'Ω'),
];

/// A Greek letter's name, variants folded.
pub(super) fn greek(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("var").unwrap_or(name);
    GREEK
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(known, _)| *known)
}

/// The same by the letter itself.
pub(super) fn greek_letter(letter: char) -> Option<&'static str> {
    GREEK
        .iter()
        .find(|(_, known)| *known == letter)
        .map(|(name, _)| *name)
}
