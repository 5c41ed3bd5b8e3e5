//! The table of units: what each measures and its size in base units.

/// What a quantity is measured in. Currencies and scales of temperature are not converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dimension {
    Length,
    Mass,
    Time,
    Month,
    Current,
    Kelvin,
    Celsius,
    Fahrenheit,
    Amount,
    Angle,
    Byte,
    Turn,
    Dollar,
    Euro,
    Pound,
    Yuan,
    Yen,
    Rupee,
    Won,
    /// "units": the reader knows which.
    Any,
}

use Dimension as D;

/// Dimensions with exponents, sorted, and the size in base units.
pub(super) type Size = (Vec<(Dimension, i32)>, f64);

fn of(dimension: Dimension, size: f64) -> Size {
    (vec![(dimension, 1)], size)
}

const METRE2: &[(Dimension, i32)] = &[(D::Length, 2)];
const METRE3: &[(Dimension, i32)] = &[(D::Length, 3)];
const JOULE: &[(Dimension, i32)] = &[(D::Length, 2), (D::Mass, 1), (D::Time, -2)];
const WATT: &[(Dimension, i32)] = &[(D::Length, 2), (D::Mass, 1), (D::Time, -3)];
const NEWTON: &[(Dimension, i32)] = &[(D::Length, 1), (D::Mass, 1), (D::Time, -2)];
const PASCAL: &[(Dimension, i32)] = &[(D::Length, -1), (D::Mass, 1), (D::Time, -2)];
const VOLT: &[(Dimension, i32)] = &[
    (D::Length, 2),
    (D::Mass, 1),
    (D::Time, -3),
    (D::Current, -1),
];
const OHM: &[(Dimension, i32)] = &[
    (D::Length, 2),
    (D::Mass, 1),
    (D::Time, -3),
    (D::Current, -2),
];
const FARAD: &[(Dimension, i32)] = &[
    (D::Length, -2),
    (D::Mass, -1),
    (D::Time, 4),
    (D::Current, 2),
];
const HENRY: &[(Dimension, i32)] = &[
    (D::Length, 2),
    (D::Mass, 1),
    (D::Time, -2),
    (D::Current, -2),
];
const WEBER: &[(Dimension, i32)] = &[
    (D::Length, 2),
    (D::Mass, 1),
    (D::Time, -2),
    (D::Current, -1),
];
const TESLA: &[(Dimension, i32)] = &[(D::Mass, 1), (D::Time, -2), (D::Current, -1)];
const COULOMB: &[(Dimension, i32)] = &[(D::Time, 1), (D::Current, 1)];
const HERTZ: &[(Dimension, i32)] = &[(D::Time, -1)];
const SPEED: &[(Dimension, i32)] = &[(D::Length, 1), (D::Time, -1)];
const SPIN: &[(Dimension, i32)] = &[(D::Time, -1), (D::Turn, 1)];
const MOLAR: &[(Dimension, i32)] = &[(D::Length, -3), (D::Amount, 1)];

fn made(dimensions: &[(Dimension, i32)], size: f64) -> Size {
    (dimensions.to_vec(), size)
}

const LITRE: f64 = 1e-3;
const GALLON: f64 = 3.785411784e-3;

/// A unit by symbol or name, English or Chinese.
pub(super) fn unit(word: &str) -> Option<Size> {
    symbol(word)
        .or_else(|| prefixed_symbol(word))
        .or_else(|| long(word))
        .or_else(|| chinese(word))
}

/// Symbols that take metric prefixes.
fn metric(symbol: &str) -> Option<Size> {
    Some(match symbol {
        "m" => of(D::Length, 1.0),
        "g" => of(D::Mass, 1e-3),
        "s" => of(D::Time, 1.0),
        "A" => of(D::Current, 1.0),
        "K" => of(D::Kelvin, 1.0),
        "mol" => of(D::Amount, 1.0),
        "L" | "l" => made(METRE3, LITRE),
        "J" => made(JOULE, 1.0),
        "eV" => made(JOULE, 1.602176634e-19),
        "cal" => made(JOULE, 4.184),
        "Wh" => made(JOULE, 3600.0),
        "W" => made(WATT, 1.0),
        "V" => made(VOLT, 1.0),
        "N" => made(NEWTON, 1.0),
        "Pa" => made(PASCAL, 1.0),
        "bar" => made(PASCAL, 1e5),
        "Hz" => made(HERTZ, 1.0),
        "F" => made(FARAD, 1.0),
        "C" => made(COULOMB, 1.0),
        "T" => made(TESLA, 1.0),
        "H" => made(HENRY, 1.0),
        "Wb" => made(WEBER, 1.0),
        "Ω" | "Omega" => made(OHM, 1.0),
        _ => return None,
    })
}

fn prefix(letter: char) -> Option<f64> {
    Some(match letter {
        'p' => 1e-12,
        'n' => 1e-9,
        'μ' | 'u' => 1e-6,
        'm' => 1e-3,
        'c' => 1e-2,
        'd' => 1e-1,
        'h' => 1e2,
        'k' => 1e3,
        'M' => 1e6,
        'G' => 1e9,
        'T' => 1e12,
        _ => return None,
    })
}

fn prefixed_symbol(word: &str) -> Option<Size> {
    let mut chars = word.chars();
    let factor = prefix(chars.next()?)?;
    let (dimensions, size) = metric(chars.as_str())?;
    Some((dimensions, size * factor))
}

fn symbol(word: &str) -> Option<Size> {
    if let Some(size) = metric(word) {
        return Some(size);
    }
    Some(match word {
        "in" => of(D::Length, 0.0254),
        "ft" => of(D::Length, 0.3048),
        "yd" | "yds" => of(D::Length, 0.9144),
        "mi" => of(D::Length, 1609.344),
        "ly" => of(D::Length, 9.4607304725808e15),
        "Kg" | "KG" | "kgs" => of(D::Mass, 1.0),
        "lb" | "lbs" => of(D::Mass, 0.45359237),
        "oz" => of(D::Mass, 0.028349523125),
        "sec" | "secs" => of(D::Time, 1.0),
        "min" | "mins" => of(D::Time, 60.0),
        "h" | "hr" | "hrs" => of(D::Time, 3600.0),
        "yr" | "yrs" => of(D::Month, 12.0),
        "ML" | "mL" => made(METRE3, 1e-3 * LITRE),
        "cc" => made(METRE3, 1e-6),
        "ha" => made(METRE2, 1e4),
        "gal" => made(METRE3, GALLON),
        "qt" => made(METRE3, GALLON / 4.0),
        "pt" => made(METRE3, GALLON / 8.0),
        "tbsp" => made(METRE3, GALLON / 256.0),
        "tsp" => made(METRE3, GALLON / 768.0),
        "mph" => made(SPEED, 0.44704),
        "kph" | "kmh" | "kmph" => made(SPEED, 1.0 / 3.6),
        "fps" => made(SPEED, 0.3048),
        "rpm" | "RPM" => made(SPIN, 1.0 / 60.0),
        "bpm" => made(HERTZ, 1.0 / 60.0),
        "psi" => made(PASCAL, 6894.757293168),
        "atm" => made(PASCAL, 101_325.0),
        "mmHg" => made(PASCAL, 133.322387415),
        "torr" => made(PASCAL, 133.322368421),
        "hp" => made(WATT, 745.699871582),
        "rad" | "rads" => of(D::Angle, 1.0),
        "rev" | "revs" => of(D::Turn, 1.0),
        "M" => made(MOLAR, 1e3),
        "B" => of(D::Byte, 1.0),
        "KB" | "kB" => of(D::Byte, 1e3),
        "MB" => of(D::Byte, 1e6),
        "GB" => of(D::Byte, 1e9),
        "TB" => of(D::Byte, 1e12),
        "°C" => of(D::Celsius, 1.0),
        "°F" => of(D::Fahrenheit, 1.0),
        "¢" => of(D::Dollar, 0.01),
        _ => return None,
    })
}

/// The currency of a sign.
pub(super) fn currency(sign: &str) -> Dimension {
    match sign {
        "£" => D::Pound,
        "€" => D::Euro,
        "¥" => D::Yuan,
        "₹" => D::Rupee,
        "₩" => D::Won,
        _ => D::Dollar,
    }
}

fn long(word: &str) -> Option<Size> {
    let lower = word.to_ascii_lowercase();
    let lower = lower.as_str();
    let single = match lower {
        "feet" => "foot",
        "inches" => "inch",
        "pence" => "penny",
        "pennies" => "penny",
        "centuries" => "century",
        "hertz" | "celsius" | "siemens" => lower,
        other => other.strip_suffix('s').unwrap_or(other),
    };
    named(single).or_else(|| {
        const PREFIXES: [(&str, f64); 9] = [
            ("pico", 1e-12),
            ("nano", 1e-9),
            ("micro", 1e-6),
            ("milli", 1e-3),
            ("centi", 1e-2),
            ("deci", 1e-1),
            ("kilo", 1e3),
            ("mega", 1e6),
            ("giga", 1e9),
        ];
        PREFIXES.iter().find_map(|(prefix, factor)| {
            let base = single.strip_prefix(prefix)?;
            let takes_prefix = matches!(
                base,
                "meter"
                    | "metre"
                    | "gram"
                    | "gramme"
                    | "liter"
                    | "litre"
                    | "second"
                    | "joule"
                    | "watt"
                    | "volt"
                    | "amp"
                    | "ampere"
                    | "newton"
                    | "pascal"
                    | "hertz"
                    | "farad"
                    | "ohm"
                    | "coulomb"
                    | "tesla"
                    | "henry"
                    | "mole"
                    | "calorie"
                    | "byte"
                    | "electronvolt"
            );
            let (dimensions, size) = takes_prefix.then(|| named(base))??;
            Some((dimensions, size * factor))
        })
    })
}

fn named(single: &str) -> Option<Size> {
    Some(match single {
        "meter" | "metre" => of(D::Length, 1.0),
        "inch" => of(D::Length, 0.0254),
        "foot" => of(D::Length, 0.3048),
        "yard" => of(D::Length, 0.9144),
        "mile" => of(D::Length, 1609.344),
        "lightyear" => of(D::Length, 9.4607304725808e15),
        "gram" | "gramme" => of(D::Mass, 1e-3),
        "kilo" => of(D::Mass, 1.0),
        "tonne" => of(D::Mass, 1e3),
        "ton" => of(D::Mass, 907.18474),
        "pound" => of(D::Mass, 0.45359237),
        "ounce" => of(D::Mass, 0.028349523125),
        "second" => of(D::Time, 1.0),
        "minute" => of(D::Time, 60.0),
        "hour" => of(D::Time, 3600.0),
        "day" => of(D::Time, 86_400.0),
        "week" => of(D::Time, 604_800.0),
        "month" => of(D::Month, 1.0),
        "year" => of(D::Month, 12.0),
        "decade" => of(D::Month, 120.0),
        "century" => of(D::Month, 1200.0),
        "liter" | "litre" => made(METRE3, LITRE),
        "gallon" => made(METRE3, GALLON),
        "quart" => made(METRE3, GALLON / 4.0),
        "pint" => made(METRE3, GALLON / 8.0),
        "cup" => made(METRE3, GALLON / 16.0),
        "tablespoon" => made(METRE3, GALLON / 256.0),
        "teaspoon" => made(METRE3, GALLON / 768.0),
        "acre" => made(METRE2, 4_046.8564224),
        "hectare" => made(METRE2, 1e4),
        "dollar" | "buck" => of(D::Dollar, 1.0),
        "cent" => of(D::Dollar, 0.01),
        "euro" => of(D::Euro, 1.0),
        "penny" => of(D::Pound, 0.01),
        "quid" => of(D::Pound, 1.0),
        "yuan" => of(D::Yuan, 1.0),
        "yen" => of(D::Yen, 1.0),
        "rupee" => of(D::Rupee, 1.0),
        "won" => of(D::Won, 1.0),
        "joule" => made(JOULE, 1.0),
        "calorie" => made(JOULE, 4.184),
        "electronvolt" => made(JOULE, 1.602176634e-19),
        "watt" => made(WATT, 1.0),
        "horsepower" => made(WATT, 745.699871582),
        "volt" => made(VOLT, 1.0),
        "amp" | "ampere" => of(D::Current, 1.0),
        "ohm" => made(OHM, 1.0),
        "farad" => made(FARAD, 1.0),
        "henry" | "henrie" => made(HENRY, 1.0),
        "coulomb" => made(COULOMB, 1.0),
        "tesla" => made(TESLA, 1.0),
        "weber" => made(WEBER, 1.0),
        "pascal" => made(PASCAL, 1.0),
        "atmosphere" => made(PASCAL, 101_325.0),
        "newton" => made(NEWTON, 1.0),
        "hertz" => made(HERTZ, 1.0),
        "kelvin" => of(D::Kelvin, 1.0),
        "celsius" => of(D::Celsius, 1.0),
        "fahrenheit" => of(D::Fahrenheit, 1.0),
        "mole" => of(D::Amount, 1.0),
        "radian" => of(D::Angle, 1.0),
        "revolution" => of(D::Turn, 1.0),
        "byte" => of(D::Byte, 1.0),
        "unit" => of(D::Any, 1.0),
        _ => return None,
    })
}

fn chinese(word: &str) -> Option<Size> {
    let power = |rest: &str, exponent: i32| {
        let (dimensions, size) = chinese(rest)?;
        (dimensions == [(D::Length, 1)])
            .then(|| (vec![(D::Length, exponent)], f64::powi(size, exponent)))
    };
    if let Some(rest) = word.strip_prefix("平方") {
        return power(rest, 2);
    }
    if let Some(rest) = word.strip_prefix("立方") {
        return power(rest, 3);
    }
    Some(match word {
        "米" => of(D::Length, 1.0),
        "厘米" | "公分" => of(D::Length, 1e-2),
        "毫米" => of(D::Length, 1e-3),
        "分米" => of(D::Length, 0.1),
        "千米" | "公里" => of(D::Length, 1e3),
        "克" => of(D::Mass, 1e-3),
        "千克" | "公斤" => of(D::Mass, 1.0),
        "毫克" => of(D::Mass, 1e-6),
        "吨" => of(D::Mass, 1e3),
        "秒" | "秒钟" => of(D::Time, 1.0),
        "分钟" => of(D::Time, 60.0),
        "小时" | "时" => of(D::Time, 3600.0),
        "天" | "日" => of(D::Time, 86_400.0),
        "周" | "星期" => of(D::Time, 604_800.0),
        "月" | "个月" => of(D::Month, 1.0),
        "年" => of(D::Month, 12.0),
        "升" => made(METRE3, LITRE),
        "毫升" => made(METRE3, 1e-3 * LITRE),
        "公顷" => made(METRE2, 1e4),
        "元" | "块" | "元钱" | "人民币" => of(D::Yuan, 1.0),
        "角" => of(D::Yuan, 0.1),
        "美元" => of(D::Dollar, 1.0),
        "欧元" => of(D::Euro, 1.0),
        "牛" | "牛顿" => made(NEWTON, 1.0),
        "焦耳" => made(JOULE, 1.0),
        "瓦" | "瓦特" => made(WATT, 1.0),
        "伏" | "伏特" => made(VOLT, 1.0),
        "安" | "安培" => of(D::Current, 1.0),
        "欧" | "欧姆" => made(OHM, 1.0),
        "摄氏度" => of(D::Celsius, 1.0),
        "华氏度" => of(D::Fahrenheit, 1.0),
        "弧度" => of(D::Angle, 1.0),
        "单位" => of(D::Any, 1.0),
        "米每秒" => made(SPEED, 1.0),
        "千米每小时" | "公里每小时" => made(SPEED, 1.0 / 3.6),
        "平方单位" => (vec![(D::Any, 2)], 1.0),
        _ => return None,
    })
}

/// Chinese measure words: they say that something is counted, not what.
pub(super) fn is_counter(word: &str) -> bool {
    const COUNTERS: &str = "个只本人辆棵条张件支枝头匹朵次名位岁页座间块种道台双根套节把片瓶杯盒袋箱包组类份倍场段句步层对排篇";
    let mut chars = word.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => COUNTERS.contains(c),
        _ => matches!(
            word,
            "个人" | "种方法" | "种情况" | "个数" | "个单位" | "人次"
        ),
    }
}
