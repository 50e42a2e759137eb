//! Pages straight from JSON text: values of another type than expected count as absent, fields that no evaluation needs are
//! skipped, not built.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{Attributes, Block, Page};

/// What can be read of a value that may be of any type; by default nothing.
trait Lenient: Sized {
    fn text(_: &str) -> Option<Self> {
        None
    }
    fn number(_: Number) -> Option<Self> {
        None
    }
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A value of the type, where it can be read as one.
struct Found<T>(Option<T>);

impl<'de, T: Lenient> Deserialize<'de> for Found<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Any(PhantomData)).map(Self)
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Lenient> Visitor<'de> for Any<T> {
    type Value = Option<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(T::number(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(T::number(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(value).and_then(T::number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(T::text(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::list(list)
    }
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::object(object)
    }
}

/// The value of a field.
fn value<'de, T: Lenient, A: MapAccess<'de>>(object: &mut A) -> Result<Option<T>, A::Error> {
    Ok(object.next_value::<Found<T>>()?.0)
}

/// A text, or a number as one.
impl Lenient for String {
    fn text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    fn number(number: Number) -> Option<Self> {
        Some(number.to_string())
    }
}

/// A number, or a text that is one.
impl Lenient for f64 {
    fn text(text: &str) -> Option<Self> {
        let number = text.trim().parse::<Self>().ok();
        number.filter(|number| number.is_finite())
    }
    fn number(number: Number) -> Option<Self> {
        number.as_f64()
    }
}

/// Two numbers.
impl Lenient for [i64; 2] {
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(Found(number)) = list.next_element::<Found<f64>>()? {
            numbers.push(number.map(|number| number as i64));
        }
        Ok(match numbers[..] {
            [Some(first), Some(last)] => Some([first, last]),
            _ => None,
        })
    }
}

impl Lenient for Attributes {
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut attributes = Map::new();
        while let Some((name, value)) = object.next_entry::<String, Value>()? {
            attributes.insert(name, value);
        }
        Ok(Some(attributes))
    }
}

/// Whatever of a list is what it should be.
impl<T: Lenient> Lenient for Vec<T> {
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut all = Self::new();
        while let Some(Found(value)) = list.next_element::<Found<T>>()? {
            all.extend(value);
        }
        Ok(Some(all))
    }
}

/// Names of fields.
#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    PageInfo,
    ImagePath,
    PageAttribute,
    Width,
    Height,
    LayoutDets,
    Extra,
    Relation,
    RelationType,
    SourceAnnoId,
    TargetAnnoId,
    CategoryType,
    FineCategoryType,
    Order,
    AnnoId,
    Text,
    Latex,
    Html,
    Content,
    Position,
    Ignore,
    Attribute,
    #[serde(other)]
    Other,
}

/// What a page says of itself.
#[derive(Default)]
struct Info {
    path: String,
    attribute: Attributes,
    size: [Option<f64>; 2],
}

impl Lenient for Info {
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut info = Self::default();
        while let Some(field) = object.next_key()? {
            match field {
                Field::ImagePath => info.path = value(&mut object)?.unwrap_or_default(),
                Field::PageAttribute => info.attribute = value(&mut object)?.unwrap_or_default(),
                Field::Width => info.size[0] = value(&mut object)?,
                Field::Height => info.size[1] = value(&mut object)?,
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(info))
    }
}

/// Relations that say that a paragraph was torn apart.
struct Extra(Vec<Truncated>);

impl Lenient for Extra {
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut torn = Vec::new();
        while let Some(field) = object.next_key()? {
            match field {
                Field::Relation => torn = value(&mut object)?.unwrap_or_default(),
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(Self(torn)))
    }
}

/// Such a relation's ends.
struct Truncated([String; 2]);

impl Lenient for Truncated {
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let (mut kind, mut source, mut target) = (None::<String>, None, None);
        while let Some(field) = object.next_key()? {
            match field {
                Field::RelationType => kind = value(&mut object)?,
                Field::SourceAnnoId => source = value(&mut object)?,
                Field::TargetAnnoId => target = value(&mut object)?,
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        let ends = source.zip(target).map(|(source, target)| [source, target]);
        Ok(ends
            .filter(|_| kind.as_deref() == Some("truncated"))
            .map(Self))
    }
}

impl Lenient for Block {
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut block = Self::default();
        while let Some(field) = object.next_key()? {
            match field {
                Field::CategoryType => block.category = value(&mut object)?.unwrap_or_default(),
                Field::FineCategoryType => {
                    let fine: Option<String> = value(&mut object)?;
                    block.fine = fine.filter(|fine| !fine.is_empty());
                }
                Field::Order => block.order = value(&mut object)?,
                Field::AnnoId => block.id = value(&mut object)?,
                Field::Text => block.text = value(&mut object)?,
                Field::Latex => block.latex = value(&mut object)?,
                Field::Html => block.html = value(&mut object)?,
                Field::Content => block.content = value(&mut object)?,
                Field::Position => block.position = value(&mut object)?,
                Field::Ignore => block.ignore = object.next_value::<Value>()? == Value::Bool(true),
                Field::Attribute => {
                    block.attribute = Arc::new(value(&mut object)?.unwrap_or_default());
                }
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(block))
    }
}

impl Lenient for Page {
    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut page = Self::default();
        while let Some(field) = object.next_key()? {
            match field {
                Field::PageInfo => {
                    let info: Info = value(&mut object)?.unwrap_or_default();
                    let name = info.path.rsplit(['/', '\\']).next();
                    page.image = name.unwrap_or("").to_owned();
                    page.attribute = info.attribute;
                    page.size = info.size;
                }
                Field::LayoutDets => page.blocks = value(&mut object)?.unwrap_or_default(),
                Field::Extra => {
                    let torn = value(&mut object)?.map_or_else(Vec::new, |Extra(torn)| torn);
                    page.truncated = torn.into_iter().map(|Truncated(ends)| ends).collect();
                }
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(page))
    }
}

/// An object, and nothing else, as the type.
struct Whole<T>(PhantomData<T>);

impl<'de, T: Lenient + Default> Visitor<'de> for Whole<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        Ok(T::object(object)?.unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Page {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Whole(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Whole(PhantomData))
    }
}
