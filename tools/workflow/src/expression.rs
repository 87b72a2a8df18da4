//! Expressions: `${{ github.event_name != 'push' && !inputs.quick }}`.
//!
//! A context, a property or a function that is not known is a flaw, where GitHub would
//! quietly make nothing of it.

use serde_json::Value;

/// What an expression is evaluated in.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The contexts by name.
    pub contexts: Value,
    /// Whether all went well so far: what a job needs, or its steps.
    pub succeeded: bool,
    /// The work tree that `hashFiles` reads.
    pub tree: std::path::PathBuf,
}

/// The value of what stands between `${{` and `}}`.
///
/// # Errors
/// It cannot be read, or names something unknown.
pub fn evaluate(text: &str, scope: &Scope) -> Result<Value, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        scope,
        skipping: false,
    };
    let value = parser.or().map_err(|e| format!("`{}`: {e}", text.trim()))?;
    match parser.tokens.get(parser.at) {
        None => Ok(value),
        Some(token) => Err(format!("`{}`: {token:?} is one too many", text.trim())),
    }
}

/// A text in which each `${{ … }}` is replaced by its value.
///
/// # Errors
/// As [`evaluate`].
pub fn fill(text: &str, scope: &Scope) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (inner, after) = after
            .split_once("}}")
            .ok_or_else(|| format!("`{text}`: no }}}}"))?;
        filled.push_str(before);
        filled.push_str(&shown(&evaluate(inner, scope)?));
        rest = after;
    }
    Ok(filled + rest)
}

/// Whether an `if:` holds. Unless it asks how things went, it holds only if all went well.
///
/// # Errors
/// As [`evaluate`].
pub fn holds(condition: Option<&str>, scope: &Scope) -> Result<bool, String> {
    let Some(text) = condition else {
        return Ok(scope.succeeded);
    };
    let text = text.trim();
    let bare = text.strip_prefix("${{").and_then(|t| t.strip_suffix("}}"));
    let text = bare.unwrap_or(text);
    let value = truth(&evaluate(text, scope)?);
    let asks = tokens(text)?.iter().any(|token| {
        matches!(token, Token::Name(name) if ["always", "success", "failure", "cancelled"].contains(&name.as_str()))
    });
    Ok(value && (asks || scope.succeeded))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Literal(Value),
    Sign(&'static str),
}

const SIGNS: [&str; 15] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ".", ",",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let mut string = String::new();
            let mut tail = &rest[1..];
            loop {
                let (part, after) = tail
                    .split_once('\'')
                    .ok_or_else(|| format!("`{text}`: a string does not end"))?;
                string.push_str(part);
                tail = after;
                let Some(after) = tail.strip_prefix('\'') else {
                    break;
                };
                string.push('\'');
                tail = after;
            }
            tokens.push(Token::Literal(string.into()));
            rest = tail.trim_start();
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = rest[sign.len()..].trim_start();
        } else if let Some(after) = rest.strip_prefix('*') {
            tokens.push(Token::Name("*".into()));
            rest = after.trim_start();
        } else {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
                .unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("`{text}`: {first} has no meaning"));
            }
            let word = &rest[..end];
            tokens.push(match word {
                "true" => Token::Literal(true.into()),
                "false" => Token::Literal(false.into()),
                "null" => Token::Literal(Value::Null),
                _ if first.is_ascii_digit() => Token::Literal(
                    word.parse::<f64>()
                        .map_err(|e| format!("`{word}`: {e}"))?
                        .into(),
                ),
                _ => Token::Name(word.to_owned()),
            });
            rest = rest[end..].trim_start();
        }
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    scope: &'a Scope,
    /// In a branch that `&&` or `||` does not evaluate.
    skipping: bool,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Value, String> {
        let mut left = self.and()?;
        while self.sign("||") {
            let right = self.unless(truth(&left), Self::and)?;
            left = if truth(&left) { left } else { right };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Value, String> {
        let mut left = self.comparison()?;
        while self.sign("&&") {
            let right = self.unless(!truth(&left), Self::comparison)?;
            left = if truth(&left) { right } else { left };
        }
        Ok(left)
    }

    fn unless(
        &mut self,
        skip: bool,
        part: fn(&mut Self) -> Result<Value, String>,
    ) -> Result<Value, String> {
        let before = self.skipping;
        self.skipping |= skip;
        let value = part(self);
        self.skipping = before;
        value
    }

    fn comparison(&mut self) -> Result<Value, String> {
        let left = self.unary()?;
        for sign in ["==", "!=", "<=", ">=", "<", ">"] {
            if self.sign(sign) {
                let right = self.unary()?;
                let (a, b) = (number(&left), number(&right));
                return Ok(match sign {
                    "==" => same(&left, &right),
                    "!=" => !same(&left, &right),
                    "<=" => a <= b,
                    ">=" => a >= b,
                    "<" => a < b,
                    _ => a > b,
                }
                .into());
            }
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Value, String> {
        if self.sign("!") {
            return Ok((!truth(&self.unary()?)).into());
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Value, String> {
        if self.sign("(") {
            let value = self.or()?;
            self.must(")")?;
            return Ok(value);
        }
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        match token {
            Some(Token::Literal(value)) => Ok(value),
            Some(Token::Name(name)) if self.sign("(") => {
                let mut arguments = Vec::new();
                while !self.sign(")") {
                    arguments.push(self.or()?);
                    if !self.sign(",") {
                        self.must(")")?;
                        break;
                    }
                }
                if self.skipping {
                    return Ok(Value::Null);
                }
                call(&name, &arguments, self.scope)
            }
            Some(Token::Name(name)) => self.path(&name),
            other => Err(format!("{other:?} is no value")),
        }
    }

    fn path(&mut self, name: &str) -> Result<Value, String> {
        let mut value = self.property(&self.scope.contexts, name, name)?;
        let mut path = name.to_owned();
        loop {
            let key = if self.sign(".") {
                let Some(Token::Name(key)) = self.tokens.get(self.at).cloned() else {
                    return Err(format!("{path} ends with a dot"));
                };
                self.at += 1;
                key
            } else if self.sign("[") {
                let key = shown(&self.or()?);
                self.must("]")?;
                key
            } else {
                return Ok(value);
            };
            path = format!("{path}.{key}");
            value = match value {
                Value::Array(items) if key == "*" => Value::Array(items),
                Value::Array(items) => items
                    .iter()
                    .map(|item| self.property(item, &key, &path))
                    .collect::<Result<_, _>>()?,
                other => self.property(&other, &key, &path)?,
            };
        }
    }

    fn property(&self, of: &Value, key: &str, path: &str) -> Result<Value, String> {
        match of.get(key) {
            Some(value) => Ok(value.clone()),
            None if self.skipping => Ok(Value::Null),
            None => Err(format!("{path} is not known for this event")),
        }
    }

    fn sign(&mut self, sign: &str) -> bool {
        let here = matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(here);
        here
    }

    fn must(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) {
            Ok(())
        } else {
            Err(format!("{sign} is missing"))
        }
    }
}

fn call(name: &str, arguments: &[Value], scope: &Scope) -> Result<Value, String> {
    let text = |i: usize| arguments.get(i).map(shown).unwrap_or_default();
    let lower = |i: usize| text(i).to_lowercase();
    Ok(match (name, arguments.len()) {
        ("always", 0) => true.into(),
        ("success", 0) => scope.succeeded.into(),
        ("failure", 0) => (!scope.succeeded).into(),
        ("cancelled", 0) => false.into(),
        ("contains", 2) => match &arguments[0] {
            Value::Array(items) => items.iter().any(|item| same(item, &arguments[1])),
            _ => lower(0).contains(&lower(1)),
        }
        .into(),
        ("startsWith", 2) => lower(0).starts_with(&lower(1)).into(),
        ("endsWith", 2) => lower(0).ends_with(&lower(1)).into(),
        ("hashFiles", 1) => {
            let path = scope.tree.join(text(0));
            let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", text(0)))?;
            let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
            let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            hexadecimal.into()
        }
        (name, count) => return Err(format!("{name} with {count} arguments is not known")),
    })
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) if text.is_empty() => 0.0,
        Value::String(text) => text.parse().unwrap_or(f64::NAN),
        Value::Array(_) | Value::Object(_) => f64::NAN,
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        _ => number(a) == number(b),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope(succeeded: bool) -> Scope {
        Scope {
            contexts: json!({
                "github": {"event_name": "push", "labels": [{"name": "perf"}, {"name": "bug"}]},
                "inputs": {"quick": false, "why": "it's so"},
            }),
            succeeded,
            tree: env!("CARGO_MANIFEST_DIR").into(),
        }
    }

    #[test]
    fn expressions_give_what_github_says() {
        for (text, expected) in [
            ("github.event_name == 'PUSH'", json!(true)),
            ("!inputs.quick && 'yes' || 'no'", json!("yes")),
            ("contains(github.labels.*.name, 'perf')", json!(true)),
            ("contains(github.labels.*.name, 'slow')", json!(false)),
            ("inputs['why']", json!("it's so")),
            ("'it''s so' == inputs.why", json!(true)),
            ("(1 < 2) != false", json!(true)),
            ("startsWith('refs/tags/v1', 'refs/tags/')", json!(true)),
            ("null == 0", json!(true)),
        ] {
            assert_eq!(evaluate(text, &scope(true)), Ok(expected), "{text}");
        }
        let filled = fill(
            "a-${{ github.event_name }}-${{ inputs.quick }}",
            &scope(true),
        );
        assert_eq!(filled.unwrap(), "a-push-false");
        let hash = fill("${{ hashFiles('Cargo.toml') }}", &scope(true)).unwrap();
        assert_eq!(hash.len(), 64);
    }

    #[test]
    fn what_is_not_known_is_a_flaw() {
        for text in [
            "github.nothing",
            "nowhere.at.all",
            "fromNowhere('x')",
            "hashFiles('no/such/file')",
            "github.event_name ==",
            "'open",
            "(1",
            "1 2",
            "github.event_name ; 1",
        ] {
            assert!(evaluate(text, &scope(true)).is_err(), "{text}");
        }
        // But not on the way that is not taken.
        let guarded = "github.event_name == 'push' || github.pull.request == 1";
        assert_eq!(evaluate(guarded, &scope(true)), Ok(json!(true)));
        assert!(fill("${{ inputs.why", &scope(true)).is_err());
    }

    #[test]
    fn a_condition_means_success_unless_it_asks() {
        let failed = scope(false);
        assert_eq!(holds(None, &failed), Ok(false));
        assert_eq!(
            holds(Some("github.event_name == 'push'"), &failed),
            Ok(false)
        );
        assert_eq!(holds(Some("always() && !inputs.quick"), &failed), Ok(true));
        assert_eq!(holds(Some("${{ failure() }}"), &failed), Ok(true));
        assert_eq!(holds(Some("failure()"), &scope(true)), Ok(false));
    }
}
