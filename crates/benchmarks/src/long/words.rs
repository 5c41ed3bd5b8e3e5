//! Words of the questions: everyday adjectives and nouns.

use super::random::Random;

const ADJECTIVES: &str = "amber ancient bitter blunt brave bright broad busy calm careful cheerful clever cold common \
    crisp curious damp dark deep dry dusty eager early elegant empty even faint fair famous fancy fast feral fine firm \
    flat fond formal free fresh gentle giant glad golden grand great green happy harsh heavy high hollow honest humble \
    icy idle jolly keen kind large late lazy light little lively lonely long loose loud loyal lucky mellow mild modest \
    narrow neat new noble odd old open pale patient plain polite proud pure quick quiet rapid rare ready rich rough \
    round royal rustic safe salty sharp shiny short shy silent silver simple sleepy slow small smooth soft solid sour \
    spare steady steep still strange strict strong sturdy subtle sudden sunny sweet swift tall tame tender thick thin \
    tidy tiny tired vast vivid warm weak wet white wide wild wise young";
const NOUNS: &str = "acorn anchor apple arrow badge bakery balcony banjo barrel basket beacon beaver bench berry \
    blanket bottle branch bridge bucket button cabin camel candle canyon carpet castle cedar cellar chimney cliff cloud \
    clover coast comet copper corner cottage cricket crown crystal curtain daisy desert dolphin donkey dragon drawer \
    drum eagle engine falcon farmer feather fence ferry fiddle field flute forest fossil fountain fox garden gate ginger \
    glacier glove grape guitar hammer harbor hazel hedge helmet heron hill honey horizon island ivory jacket jungle \
    kettle kitchen ladder lagoon lantern lemon letter lily lion lobster magnet maple marble market meadow melon mirror \
    monkey mountain mushroom needle oasis ocean olive onion orchard otter owl paddle palace panther parrot pasture \
    pebble pencil pepper piano pigeon pillow pirate planet plum pocket pond prairie pumpkin quarry rabbit raven ribbon \
    river robin rocket rope saddle sailor salmon scarf shadow shelf shovel signal spider spoon squirrel stable statue \
    stone storm stream summit swallow table teapot temple thistle thunder ticket tiger tower tractor trumpet tulip \
    tunnel turtle valley vessel village violin wagon walnut walrus whale wheat whistle willow window winter wolf zebra";

fn list(words: &'static str) -> Vec<&'static str> {
    words.split_whitespace().collect()
}

/// `adjective-noun`.
pub(super) fn compound(random: &mut Random) -> String {
    let adjective = *random.of(&list(ADJECTIVES));
    format!("{adjective}-{}", random.of(&list(NOUNS)))
}

/// `n` different words in random order: single ones as far as they reach, then compounds.
pub(super) fn different(n: usize, random: &mut Random) -> Vec<String> {
    let (adjectives, nouns) = (list(ADJECTIVES), list(NOUNS));
    let mut words: Vec<String> = nouns
        .iter()
        .chain(&adjectives)
        .map(|word| (*word).to_owned())
        .collect();
    if n > words.len() {
        let pairs = adjectives
            .iter()
            .flat_map(|a| nouns.iter().map(move |n| format!("{a}-{n}")));
        words.extend(pairs);
    }
    random.shuffle(&mut words);
    words.truncate(n);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_word_stands_twice() {
        let all = different(usize::MAX, &mut Random::new(0, 0, 0));
        assert!(all.len() > 20_000, "{}", all.len());
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        let single = different(300, &mut Random::new(0, 0, 0));
        assert_eq!(single.len(), 300);
        assert!(single.iter().all(|word| !word.contains('-')));
    }
}
