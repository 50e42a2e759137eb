//! Which commands take arguments, and how eagerly.

/// What a command with arguments makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Root,
    Text,
    Colour,
    NamedColour,
    Line,
    Rule,
    Logo,
    Phantom,
    Operator { limits: bool, symbol: bool },
    Fraction { bar: bool },
    Lap,
    Fence,
    Sized,
    Size,
    Style,
    Font,
    Accent,
    Infix { bar: bool },
    RowEnd,
    Environment,
}

impl Function {
    /// How strongly it binds as an argument without braces; it needs more than the command it stands after.
    pub(super) fn greediness(self) -> u8 {
        match self {
            Self::Colour | Self::NamedColour => 3,
            Self::Text | Self::Fraction { .. } | Self::Font => 2,
            _ => 1,
        }
    }
}

const COLOURS: &[&str] = &[
    "blue", "orange", "pink", "red", "green", "gray", "purple", "kaBlue", "kaGreen",
];
/// Families of colours and the last letter of each.
const COLOUR_FAMILIES: &[(&str, char)] = &[
    ("blue", 'E'),
    ("teal", 'E'),
    ("green", 'E'),
    ("gold", 'E'),
    ("red", 'E'),
    ("maroon", 'E'),
    ("purple", 'E'),
    ("mint", 'C'),
    ("gray", 'I'),
];

/// The function called `name` (with its backslash), if it is one.
pub(super) fn function(name: &str) -> Option<Function> {
    let word = name.strip_prefix('\\')?;
    Some(match word {
        "sqrt" => Function::Root,
        "text" | "mbox" | "hbox" | "vbox" => Function::Text,
        "color" => Function::Colour,
        "overline" | "underline" => Function::Line,
        "rule" => Function::Rule,
        "KaTeX" => Function::Logo,
        "phantom" => Function::Phantom,
        "arcsin" | "arccos" | "arctan" | "arg" | "cos" | "cosh" | "cot" | "coth" | "csc"
        | "deg" | "dim" | "exp" | "hom" | "ker" | "lg" | "ln" | "log" | "sec" | "sin" | "sinh"
        | "tan" | "tanh" => Function::Operator {
            limits: false,
            symbol: false,
        },
        "det" | "gcd" | "inf" | "lim" | "liminf" | "limsup" | "max" | "min" | "Pr" | "sup" => {
            Function::Operator {
                limits: true,
                symbol: false,
            }
        }
        "int" | "iint" | "iiint" | "oint" => Function::Operator {
            limits: false,
            symbol: true,
        },
        "coprod" | "bigvee" | "bigwedge" | "biguplus" | "bigcap" | "bigcup" | "intop" | "prod"
        | "sum" | "bigotimes" | "bigoplus" | "bigodot" | "bigsqcup" | "smallint" => {
            Function::Operator {
                limits: true,
                symbol: true,
            }
        }
        "dfrac" | "frac" | "tfrac" => Function::Fraction { bar: true },
        "dbinom" | "binom" | "tbinom" => Function::Fraction { bar: false },
        "llap" | "rlap" => Function::Lap,
        "left" | "right" => Function::Fence,
        "bigl" | "Bigl" | "biggl" | "Biggl" | "bigr" | "Bigr" | "biggr" | "Biggr" | "bigm"
        | "Bigm" | "biggm" | "Biggm" | "big" | "Big" | "bigg" | "Bigg" => Function::Sized,
        "tiny" | "scriptsize" | "footnotesize" | "small" | "normalsize" | "large" | "Large"
        | "LARGE" | "huge" | "Huge" | "textrm" | "rm" | "cal" | "bf" | "siptstyle" | "boldmath"
        | "it" => Function::Size,
        "displaystyle" | "textstyle" | "scriptstyle" | "scriptscriptstyle" => Function::Style,
        "mathrm" | "mathit" | "mathbf" | "mathop" | "stackrel" | "mathbb" | "mathcal"
        | "mathfrak" | "mathscr" | "mathsf" | "mathtt" | "label" | "comment" | "hspace"
        | "vspace" | "atop" | "fbox" | "tag" | "makebox" | "raisebox" | "framebox" | "circle"
        | "line" | "put" | "vphantom" | "textup" | "noalign" | "Bbb" | "bold" | "frak" => {
            Function::Font
        }
        "acute" | "grave" | "ddot" | "tilde" | "bar" | "breve" | "check" | "hat" | "vec"
        | "dot" => Function::Accent,
        "over" => Function::Infix { bar: true },
        "choose" => Function::Infix { bar: false },
        "\\" | "cr" => Function::RowEnd,
        "begin" | "end" => Function::Environment,
        _ if COLOURS.contains(&word) => Function::NamedColour,
        _ => {
            let last = word.chars().last()?;
            let family = &word[..word.len() - last.len_utf8()];
            COLOUR_FAMILIES
                .iter()
                .any(|&(name, end)| name == family && ('A'..=end).contains(&last))
                .then_some(Function::NamedColour)?
        }
    })
}

/// The name that a font command is printed with.
pub(super) fn font_name(name: &str) -> &str {
    match name {
        "\\Bbb" => "\\mathbb",
        "\\bold" => "\\mathbf",
        "\\frak" => "\\mathfrak",
        other => other,
    }
}

/// What may stand after `\left`, `\right` or `\big`.
pub(super) fn is_delimiter(token: &str) -> bool {
    matches!(token, "(" | ")" | "[" | "]" | "<" | ">" | "/" | "|" | ".")
        || token.strip_prefix('\\').is_some_and(|word| {
            matches!(
                word,
                "lbrack"
                    | "rbrack"
                    | "{"
                    | "lbrace"
                    | "}"
                    | "rbrace"
                    | "lfloor"
                    | "rfloor"
                    | "lceil"
                    | "rceil"
                    | "langle"
                    | "rangle"
                    | "lt"
                    | "gt"
                    | "lvert"
                    | "rvert"
                    | "lVert"
                    | "rVert"
                    | "lgroup"
                    | "rgroup"
                    | "lmoustache"
                    | "rmoustache"
                    | "backslash"
                    | "vert"
                    | "|"
                    | "Vert"
                    | "uparrow"
                    | "Uparrow"
                    | "downarrow"
                    | "Downarrow"
                    | "updownarrow"
                    | "Updownarrow"
            )
        })
}
