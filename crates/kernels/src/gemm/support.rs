//! What this machine multiplies.

/// Whether this machine multiplies bfloat16.
pub(crate) fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return super::bf16::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}
