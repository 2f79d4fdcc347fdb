//! Requests in a file.

use seqzoo::files;
use seqzoo_examples::vocabulary::Vocabulary;
use serde::Deserialize;
use std::path::Path;

/// What is to be continued, and by how many tokens at most.
pub struct Request {
    pub tokens: Vec<usize>,
    pub max_tokens: usize,
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    prompt: Option<String>,
    tokens: Option<Vec<usize>>,
    #[serde(default = "max_tokens")]
    max_tokens: usize,
}

fn max_tokens() -> usize {
    64
}

/// The requests in `path`, for a model of `size` tokens; empty lines are passed over.
pub fn read(path: &Path, vocabulary: Option<&Vocabulary>, size: usize) -> Result<Vec<Request>, String> {
    let name = path.display();
    let bytes = files::read(path).map_err(|error| format!("--requests {name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("--requests {name}: it is no text"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let requests = lines.map(|(index, line)| {
        request(line, vocabulary, size).map_err(|problem| format!("{name}, line {}: {problem}", index + 1))
    });
    let requests = requests.collect::<Result<Vec<_>, _>>()?;
    match requests.is_empty() {
        true => Err(format!("--requests {name}: it holds no request")),
        false => Ok(requests),
    }
}

fn request(line: &str, vocabulary: Option<&Vocabulary>, size: usize) -> Result<Request, String> {
    let Line { prompt, tokens, max_tokens } =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let tokens = match (prompt, tokens, vocabulary) {
        (Some(prompt), None, Some(vocabulary)) => vocabulary.encode(&prompt, true)?,
        (Some(_), None, None) => {
            return Err("the model has no tokenizer; give `tokens` instead of `prompt`".into());
        }
        (None, Some(tokens), _) => tokens,
        _ => return Err("either `prompt` or `tokens` is wanted".into()),
    };
    match tokens.iter().find(|token| **token >= size) {
        _ if tokens.is_empty() => Err("the prompt is empty".into()),
        Some(token) => Err(format!("it holds the token {token}, but the vocabulary has {size} tokens")),
        None => Ok(Request { tokens, max_tokens }),
    }
}
