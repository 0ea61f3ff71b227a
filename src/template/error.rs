//! Why a template gave no value.

use std::fmt;
use std::sync::Arc;

use minijinja::ErrorKind;

use crate::base::Span;

/// The ways in which a template gives no value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TemplateError {
    /// Something that was used is not defined.
    Undefined {
        /// What, as a sentence: "`a.b` is undefined".
        message: String,
        /// The scalar that was rendered; [`Span::NONE`] for template files.
        span: Span,
        /// Name and line (from one) in a template file.
        place: Option<(String, usize)>,
    },
    /// A `!vault` value that it uses can't be opened.
    Locked {
        /// Why, as a sentence.
        message: String,
        /// The value.
        span: Span,
    },
    /// It rests on what is not known before the run; the text says why.
    Unknown(Arc<str>),
    /// Anything else.
    Failed {
        /// What, as a sentence.
        message: String,
        /// The scalar that was rendered; [`Span::NONE`] for template files.
        span: Span,
        /// Name and line (from one) in a template file.
        place: Option<(String, usize)>,
    },
}

impl TemplateError {
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), span: Span::NONE, place: None }
    }

    /// Names the variable whose value can't be opened.
    #[must_use]
    pub(super) fn named(self, name: &str) -> Self {
        match self {
            Self::Locked { message, span } => {
                Self::Locked { message: format!("`{name}` can't be used: {message}"), span }
            }
            other => other,
        }
    }

    /// Where the `!vault` value is that can't be opened; [`Span::NONE`] when it failed for another reason.
    pub(crate) fn locked(&self) -> Span {
        match self {
            Self::Locked { span, .. } => *span,
            _ => Span::NONE,
        }
    }

    pub(super) fn undefined(message: impl Into<String>) -> Self {
        Self::Undefined { message: message.into(), span: Span::NONE, place: None }
    }

    /// Sets the place, unless a nearer one is known.
    #[must_use]
    pub(super) fn at(mut self, at: Span) -> Self {
        if let Self::Undefined { span, .. } | Self::Failed { span, .. } = &mut self
            && !span.is_some()
        {
            *span = at;
        }
        self
    }

    /// From the engine's error. `file` says that name and line mean something to people.
    pub(super) fn from_engine(error: &minijinja::Error, file: bool) -> Self {
        let mut message = match (error.kind(), error.detail()) {
            (ErrorKind::UndefinedError, Some(detail)) => detail.to_owned(),
            (ErrorKind::UndefinedError, None) => "a value that is used is undefined".to_owned(),
            (ErrorKind::OutOfFuel, _) => "the template did not end within its allowance of steps".to_owned(),
            (_, Some(detail)) => detail.to_owned(),
            (kind, None) => kind.to_string(),
        };
        let mut source = std::error::Error::source(error);
        let mut undefined = error.kind() == ErrorKind::UndefinedError;
        while let Some(cause) = source {
            if let Some(inner) = cause.downcast_ref::<minijinja::Error>() {
                undefined |= inner.kind() == ErrorKind::UndefinedError;
                if let Some(detail) = inner.detail()
                    && !message.contains(detail)
                {
                    message = format!("{message}: {detail}");
                }
            }
            source = cause.source();
        }
        let place = match (file, error.name(), error.line()) {
            (true, Some(name), Some(line)) => Some((name.to_owned(), line)),
            _ => None,
        };
        if undefined {
            Self::Undefined { message, span: Span::NONE, place }
        } else {
            Self::Failed { message, span: Span::NONE, place }
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined { message, place, .. } | Self::Failed { message, place, .. } => {
                if let Some((name, line)) = place {
                    write!(f, "{name}:{line}: ")?;
                }
                f.write_str(message)
            }
            Self::Locked { message, .. } => f.write_str(message),
            Self::Unknown(reason) => write!(f, "not known before the run: {reason}"),
        }
    }
}

impl std::error::Error for TemplateError {}
