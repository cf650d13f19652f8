//! A history as Knossos reads it: one register a file, its names for the operations.

use std::io::{self, Write};

use checker::spec::Vocabulary;
use checker::{Event, Format, History, Kind, Model, Operation, Outcome, Value, Writer};

/// Stands for nil where nil is a value: to Knossos a read of nil says nothing.
const NIL: &str = "plumbline/nil";

/// The Knossos model to ask: its name and what it starts with.
pub(super) struct Asked {
    pub(super) model: &'static str,
    pub(super) initial: Value,
    /// Whether nil has to be written as another value.
    nil_is_a_value: bool,
}

impl Asked {
    /// The question that Knossos would have to be asked.
    ///
    /// # Errors
    /// If it has no such question.
    pub(super) fn new(model: &Model, history: &History) -> Result<Self, String> {
        if let Model::Registers(spec) = model {
            if spec.vocabulary == Vocabulary::WriteOnce {
                return Err("Knossos has no write-once register".to_owned());
            }
            let failed = |op: &Operation| &*op.f == "cas" && op.outcome == Outcome::Fail;
            if spec.failed_cas_observes && history.operations.iter().any(|op| failed(&op)) {
                return Err("Knossos drops failed compare-and-sets and cannot be asked what they observed: compare with \
                            --failed-cas drop"
                    .to_owned());
            }
            if history.operations.named(&["append"]).next().is_some() {
                return Err("Knossos has no model with appends to strings".to_owned());
            }
            let nil_is_a_value = !spec.nil_reads_any;
            let initial = written(&spec.initial, nil_is_a_value);
            return Ok(Self { model: "cas-register", initial, nil_is_a_value });
        }
        if let Model::MultiRegister(spec) = model {
            let mut registers = spec.initial.clone();
            for operation in &history.operations {
                for step in operation.effective().items().unwrap_or_default() {
                    if let Some([_, register, _]) = step.items() {
                        registers.entry(register.clone()).or_insert_with(|| spec.default.clone());
                    }
                }
            }
            if !spec.nil_reads_any {
                return Err(
                    "Knossos' multi-register takes any read of nil for granted: compare with --nil-reads any"
                        .to_owned(),
                );
            }
            let initial = Value::map(registers.into_iter().collect());
            return Ok(Self { model: "multi-register", initial, nil_is_a_value: false });
        }
        match model {
            Model::Mutex(spec) if !spec.held => {
                Ok(Self { model: "mutex", initial: Value::Nil, nil_is_a_value: false })
            }
            _ => Err("Knossos has no such model, or not with this start".to_owned()),
        }
    }

    /// Whether Knossos can read the very file: one object, in EDN, in its own words.
    pub(super) fn reads_the_file(&self, history: &History) -> bool {
        let known = ["read", "write", "cas", "acquire", "release", "txn"];
        let plain = |op: &Operation| {
            let whole = op.outcome != Outcome::Ok || op.output == *op.effective() || op.output.is_nil();
            op.key.is_none() && known.contains(&&*op.f) && whole && op.output != Value::Bool(true)
        };
        let nil =
            self.nil_is_a_value && history.operations.iter().any(|op| &*op.f == "read" && op.output.is_nil());
        history.format == Some(Format::Edn) && !nil && history.operations.iter().all(|op| plain(&op))
    }

    /// Writes the operations of one key.
    pub(super) fn write(&self, history: &History, key: Option<&Value>, out: impl Write) -> io::Result<()> {
        let mut writer = Writer::new(out, Format::Edn);
        let mut events: Vec<(u32, Event)> = Vec::new();
        for operation in history.operations.iter().filter(|op| op.key.as_ref() == key) {
            let event = |kind, value| {
                let mut event = Event::new(operation.process, kind, name(&operation.f), value);
                event.index = None;
                event
            };
            let reads = matches!(name(&operation.f), "read");
            let asked = match &*operation.f {
                _ if reads => Value::Nil,
                "delete" | "del" => written(&self.initial, self.nil_is_a_value),
                "write" | "w" | "put" | "set" => written(operation.effective(), self.nil_is_a_value),
                "cas" => {
                    let pair = operation.effective().items().or_else(|| operation.input.items());
                    let pair =
                        pair.unwrap_or_default().iter().map(|value| written(value, self.nil_is_a_value));
                    Value::vector(pair.collect::<Vec<_>>())
                }
                _ => operation.effective().clone(),
            };
            events.push((operation.invoked.position, event(Kind::Invoke, asked.clone())));
            let Some(completed) = operation.completed else { continue };
            let (kind, answered) = match operation.outcome {
                Outcome::Ok if reads => (Kind::Ok, written(&operation.output, self.nil_is_a_value)),
                Outcome::Ok => (Kind::Ok, asked),
                Outcome::Fail => (Kind::Fail, asked),
                Outcome::Info => (Kind::Info, asked),
            };
            events.push((completed.position, event(kind, answered)));
        }
        events.sort_by_key(|(position, _)| *position);
        for (_, event) in &events {
            writer.write(event)?;
        }
        writer.flush()
    }
}

fn written(value: &Value, nil_is_a_value: bool) -> Value {
    if nil_is_a_value && value.is_nil() { Value::keyword(NIL) } else { value.clone() }
}

/// Knossos' word for an operation.
fn name(f: &str) -> &str {
    match f {
        "read" | "r" | "get" => "read",
        "write" | "w" | "put" | "set" | "delete" | "del" => "write",
        "lock" => "acquire",
        "unlock" => "release",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::{ModelName, ModelOptions, ReadOptions};

    #[test]
    fn a_key_is_written_in_knossos_words_and_nil_as_a_value() {
        let text = r#"{"process":0,"type":"invoke","f":"put","key":"a","value":1}
{"process":1,"type":"invoke","f":"get","key":"a","value":null}
{"process":2,"type":"invoke","f":"get","key":"b","value":null}
{"process":1,"type":"ok","f":"get","key":"a","value":null}
{"process":0,"type":"ok","f":"put","key":"a","value":null}
{"process":0,"type":"invoke","f":"cas","key":"a","value":[null,2]}
{"process":0,"type":"fail","f":"cas","key":"a","value":[null,2]}
{"process":1,"type":"invoke","f":"delete","key":"a","value":null}
{"process":1,"type":"info","f":"delete","key":"a","value":null}
"#;
        let history = History::read(text.as_bytes(), "h", &ReadOptions::default()).unwrap();
        let model = Model::new(ModelName::KeyValue, &ModelOptions::default(), &history).unwrap();
        let asked = Asked::new(&model, &history).unwrap();
        assert_eq!(asked.initial.to_string(), ":plumbline/nil");
        assert!(!asked.reads_the_file(&history));
        let mut out = Vec::new();
        asked.write(&history, Some(&Value::string("a")), &mut out).unwrap();
        let expected = "\
{:index 0, :type :invoke, :process 0, :f :write, :value 1}
{:index 1, :type :invoke, :process 1, :f :read, :value nil}
{:index 2, :type :ok, :process 1, :f :read, :value :plumbline/nil}
{:index 3, :type :ok, :process 0, :f :write, :value 1}
{:index 4, :type :invoke, :process 0, :f :cas, :value [:plumbline/nil 2]}
{:index 5, :type :fail, :process 0, :f :cas, :value [:plumbline/nil 2]}
{:index 6, :type :invoke, :process 1, :f :write, :value :plumbline/nil}
{:index 7, :type :info, :process 1, :f :write, :value :plumbline/nil}
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
