use std::sync::OnceLock;

/// The instructions that a kernel may use.
///
/// A value of this type proves that the machine has them: it comes from [`Level::best`] or [`Level::all`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(pub(crate) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// AVX-512 F, BW, VL, DQ and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the compilation target promises.
    Portable,
}

impl Level {
    /// The fastest level of this machine.
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::all().first().copied().unwrap_or(Self(Kind::Portable)))
    }

    /// Every level of this machine, fastest first.
    pub fn all() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let fma = is_x86_feature_detected!("fma");
            if fma
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
            {
                levels.push(Self(Kind::Avx512));
            }
            if fma && is_x86_feature_detected!("avx2") {
                levels.push(Self(Kind::Avx2));
            }
        }
        levels.push(Self(Kind::Portable));
        levels
    }
}

/// Whether the portable level has a fused multiply-add; without one, `mul_add` would be a slow library call.
pub(crate) const PORTABLE_FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Makes `fn name(level, ..)` from one body, compiled once for each level.
///
/// Inside the body, the constant `FMA` says whether a fused multiply-add is one instruction and `WIDE` whether
/// there are 32 vector registers of 16 values. Helpers called by the body must be `#[inline(always)]`.
macro_rules! leveled {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(level: $crate::level::Level, $($arg: $ty),*) $(-> $out)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<const FMA: bool, const WIDE: bool>($($arg: $ty),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx512($($arg: $ty),*) $(-> $out)? {
                body::<true, true>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx2($($arg: $ty),*) $(-> $out)? {
                body::<true, false>($($arg),*)
            }

            match level.0 {
                // SAFETY: a `Level` of this kind exists only where these features were detected.
                #[cfg(target_arch = "x86_64")]
                $crate::level::Kind::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::level::Kind::Avx2 => unsafe { avx2($($arg),*) },
                $crate::level::Kind::Portable => {
                    body::<{ $crate::level::PORTABLE_FMA }, false>($($arg),*)
                }
            }
        }
    };
}
pub(crate) use leveled;
